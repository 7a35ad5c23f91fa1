"""The reference on the digits: it learns, repeats itself, and is the loop that everyone writes."""

from __future__ import annotations

import math

import pytest
import torch
from driving import MLP, make_batches, make_group, train
from helpers import make_config, without_seconds
from torch.nn import functional

from sweep.definitions import Recipe, parameters_of, view
from sweep.records import FailureKind, TrialState
from sweep.training.groups import drawing_from, dropout_generator
from sweep.training.learning_rates import SCHEDULES

PARAMETERS = parameters_of("mlp")
OPTIMIZERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}


def sequential(data, *configs, **changes):
    return train(data, *configs, name="sequential", **changes)


def losses_of(outcome) -> list[float]:
    return [metrics.values["train_loss"] for metrics in outcome.history]


def test_it_learns_the_digits(digits):
    (outcome,) = sequential(digits, make_config(epochs=8))
    assert outcome.state is TrialState.COMPLETE
    assert outcome.best.values["validation_accuracy"] > 0.9
    assert [m.epoch for m in outcome.history] == list(range(1, 9))
    assert losses_of(outcome)[-1] < losses_of(outcome)[0] / 3


@pytest.mark.parametrize(
    "changes",
    [
        *({"optimizer": name} for name in PARAMETERS["optimizer"].choices),
        *({"activation": name} for name in PARAMETERS["activation"].choices),
    ],
    ids=str,
)
def test_every_optimizer_and_activation_learns(digits, changes):
    rate = 0.1 if changes.get("optimizer") == "sgd" else 0.01
    config = make_config(**changes, learning_rate=rate, epochs=3)
    (outcome,) = sequential(digits, config)
    assert outcome.best.values["validation_accuracy"] > 0.8


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("schedule", PARAMETERS["learning_rate_schedule"].choices)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_it_is_the_usual_loop(small, optimizer, schedule, dropout):
    """Two epochs by hand, with `torch.optim` and nothing else of this room but its seeds."""
    config = make_config(
        optimizer=optimizer, learning_rate_schedule=schedule, dropout=dropout, epochs=2,
        weight_decay=0.01, num_layers=3,
    )  # fmt: skip
    recipe = view(Recipe, config.params)
    group = make_group("sequential", [config], small)
    batches = make_batches(small)
    torch.manual_seed(config.seed)
    model = MLP.build(config.params, small.spec)
    masks = dropout_generator(config.seed, batches.device)
    momentum = {"momentum": recipe.momentum} if optimizer == "sgd" else {}
    known = OPTIMIZERS[optimizer](model.parameters(), weight_decay=0.01, **momentum)
    mean, std = torch.tensor(small.mean).float(), torch.tensor(small.std).float()
    pixels = (batches.train.inputs.float() - mean) / std
    validation = (batches.validation.inputs.float() - mean) / std
    step = 0
    for epoch in (1, 2):
        model.train()
        losses, num_correct = [], 0
        for rows in batches.order(config.order, epoch).split(recipe.batch_size):
            known.param_groups[0]["lr"] = recipe.learning_rate * SCHEDULES[schedule](step, 8)
            with drawing_from(masks):
                logits = model(pixels[rows])
            loss = functional.cross_entropy(logits, batches.train.labels[rows])
            num_correct += int((logits.argmax(1) == batches.train.labels[rows]).sum())
            known.zero_grad()
            loss.backward()
            known.step()
            losses += [loss.item()] * len(rows)
            step += 1
        model.eval()
        with torch.no_grad():
            logits = model(validation)

        group.begin_epoch()
        for index in range(group.num_steps):
            group.step(index)
        (measured,) = group.finish_epoch()
        group.lanes[0].epoch += 1  # what an engine does
        values = measured.values
        assert values["train_loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-5)
        assert values["train_accuracy"] == pytest.approx(num_correct / len(losses), abs=1.5 / 120)
        expected = functional.cross_entropy(logits, batches.validation.labels).item()
        assert values["validation_loss"] == pytest.approx(expected, rel=1e-4)
        assert measured.predictions.tolist() == logits.argmax(1).tolist()
        num_right = (logits.argmax(1) == batches.validation.labels).sum().item()
        assert values["validation_accuracy"] == num_right / len(batches.validation)
        assert measured.learning_rate == pytest.approx(known.param_groups[0]["lr"])
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(group.copy_weights(0)[name], weight, rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_trial(small):
    configs = [make_config(number=number, dropout=0.2) for number in range(2)]
    first, second = sequential(small, *configs)
    assert losses_of(first) == losses_of(second)
    assert first.weights == second.weights


def test_what_was_trained_before_makes_no_difference(small):
    config = make_config(number=1, dropout=0.2)
    (alone,) = sequential(small, config)
    _, after = sequential(small, make_config(layer_size=8, epochs=1, seed=99, dropout=0.5), config)
    assert without_seconds(alone.history) == without_seconds(after.history)
    assert alone.weights == after.weights


def test_another_seed_gives_another_trial(small):
    first, second = sequential(small, make_config(number=1, seed=1), make_config(number=2, seed=2))
    assert first.weights != second.weights
    assert losses_of(first) != losses_of(second)


def test_dropout_and_initial_weights_have_unrelated_sources():
    """One seed for both would make the first masks a function of the weights."""
    device = torch.device("cpu")
    assert dropout_generator(7, device).initial_seed() != 7
    seeds = {dropout_generator(seed, device).initial_seed() for seed in range(100)}
    assert len(seeds) == 100
    assert dropout_generator(7, device).initial_seed() in seeds
    assert torch.equal(
        torch.rand(5, generator=dropout_generator(7, device)),
        torch.rand(5, generator=dropout_generator(7, device)),
    )


def test_the_epochs_before_the_loss_was_nan_are_kept(small, monkeypatch):
    real = torch.nn.functional.cross_entropy
    calls = []

    def break_in_third_epoch(*arguments, **options):
        loss = real(*arguments, **options)
        calls.append(options.get("reduction"))
        return loss * math.nan if calls.count("sum") == 3 else loss

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", break_in_third_epoch)
    (outcome,) = sequential(small, make_config(epochs=5))
    assert outcome.failure.kind is FailureKind.NAN
    assert [m.epoch for m in outcome.history] == [1, 2]


def test_a_group_has_one_lane(small):
    with pytest.raises(ValueError, match="too many values"):
        make_group("sequential", [make_config(number=0), make_config(number=1)], small)


def test_nothing_can_leave_a_group_of_one(small):
    group = make_group("sequential", [make_config()], small)
    with pytest.raises(ValueError, match=r"keeps its only lane; asked to keep \[\]"):
        group.keep([])
