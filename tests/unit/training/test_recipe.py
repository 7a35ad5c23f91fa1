"""The recipe's parts: the reference against plain autograd, a stack against the reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from driving import (
    MLP,
    assert_same,
    continued,
    interrupted,
    make_batches,
    make_engine,
    make_group,
    prune_at,
    train,
)
from helpers import make_config, timeless
from torch import nn
from torch.nn import functional

from sweep.data import TrainingData
from sweep.definitions import Recipe, view
from sweep.training.disturbances import disturb, disturb_lanes
from sweep.training.groups import drawing_from, dropout_generator
from sweep.training.learning_rates import learning_rates
from sweep.training.updates import Update

ENGINES = ("sequential", "stacked")
PARTS = {
    "plain": {},
    "clip": {"gradient_clip": 0.5},
    "max-norm": {"max_norm": 0.6},
    "averages": {"weight_averaging": 0.8},
    "noise": {"input_noise": 0.3},
    "input dropout": {"input_dropout": 0.25},
    "warm-up": {"warmup": 0.4},
    "all": {
        "gradient_clip": 0.4,
        "max_norm": 0.6,
        "weight_averaging": 0.9,
        "input_noise": 0.2,
        "input_dropout": 0.1,
        "warmup": 0.2,
        "optimizer": "nadam",
    },
}


@pytest.fixture(scope="module")
def tiny(digits: TrainingData) -> TrainingData:
    """49 images to train on, a single one more than three batches of 16, and 20 to validate."""
    return replace(
        digits,
        train=digits.train.take(np.arange(49)),
        validation=digits.validation.take(np.arange(20)),
    )


# ---------------------------------------------------------------- the reference


@pytest.mark.parametrize("changes", PARTS.values(), ids=PARTS)
def test_the_reference_is_what_everyone_would_write(tiny, changes):
    """Two epochs with autograd and `torch.optim`, and nothing else of this room but its seeds."""
    config = make_config(num_layers=3, dropout=0.2, epochs=2, batch_size=16, **changes)
    recipe = view(Recipe, config.params)
    group = make_group("sequential", [config], tiny, "float64")
    batches = make_batches(tiny, "float64")
    torch.manual_seed(config.seed)
    model = MLP.build(config.params, tiny.spec).double()
    kind = torch.optim.NAdam if recipe.optimizer == "nadam" else torch.optim.AdamW
    known = kind(model.parameters(), weight_decay=recipe.weight_decay)
    generator = dropout_generator(config.seed, batches.device)
    averages = [p.detach().clone() for p in model.parameters()]
    rates = [learning_rates(recipe, epoch, 3, batches.device) for epoch in range(2)]
    for epoch in range(2):
        group.begin_epoch()
        model.train()
        rows = batches.order(config.order, epoch + 1).split([16, 16, 17])
        for step in range(3):
            inputs, labels = batches.read(batches.train, rows[step])
            if recipe.input_noise:
                noise = torch.empty_like(inputs).normal_(generator=generator)
                inputs = inputs + recipe.input_noise * noise
            if recipe.input_dropout:
                chances = torch.empty_like(inputs).uniform_(generator=generator)
                keep = 1 - recipe.input_dropout
                inputs = torch.where(chances < keep, inputs / keep, 0.0)
            with drawing_from(generator):
                loss = functional.cross_entropy(model(inputs), labels)
            known.zero_grad()
            loss.backward()
            if recipe.gradient_clip:
                norm = nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_clip)
                assert norm > recipe.gradient_clip, "the test needs gradients that are clipped"
            known.param_groups[0]["lr"] = rates[epoch][step].item()
            known.step()
            with torch.no_grad():
                bounded = 0
                for weight in model.parameters():
                    if recipe.max_norm and weight.dim() == 2:
                        norms = weight.norm(dim=1, keepdim=True)
                        bounded += int((norms > recipe.max_norm).sum())
                        weight *= (recipe.max_norm / norms).clamp(max=1)
                assert bounded or not recipe.max_norm, "the test needs weights that are bounded"
                taken = 3 * epoch + step
                decay = min(recipe.weight_averaging, (1 + taken) / (10 + taken))
                for average, weight in zip(averages, model.parameters(), strict=True):
                    average.copy_(decay * average + (1 - decay) * weight)
            group.step(step)
        (measured,) = group.finish_epoch()
        kept = group.copy_weights(0)
        model.eval()
        trained = [p.detach().clone() for p in model.parameters()]
        with torch.no_grad():
            for weight, average in zip(model.parameters(), averages, strict=True):
                if recipe.weight_averaging:
                    weight.copy_(average)
            inputs, labels = batches.read(batches.validation, torch.arange(20))
            expected = functional.cross_entropy(model(inputs), labels).item()
            assert measured.values["validation_loss"] == pytest.approx(expected, rel=1e-6)
            for name, weight in model.state_dict().items():
                torch.testing.assert_close(kept[name], weight, rtol=1e-6, atol=1e-6)
            for weight, value in zip(model.parameters(), trained, strict=True):
                weight.copy_(value)
        group.lanes[0].epoch += 1


# ---------------------------------------------------------------- the stack


CONFIGS = [
    make_config(
        number=number, seed=60 + number, num_layers=3, layer_size=(19, 33, 8)[number % 3],
        dropout=0.1 * (number % 2), epochs=3, batch_size=16, **changes,
    )
    for number, changes in enumerate(
        [
            {"optimizer": "rmsprop", "normalization": "batch", "weight_averaging": 0.6},
            {"optimizer": "muon", "normalization": "layer"},
            {"optimizer": "muon", "gradient_clip": 0.5, "max_norm": 0.7, "weight_averaging": 0.9},
            *PARTS.values(),
        ]
    )
]  # fmt: skip


def test_lanes_of_a_stack_are_what_they_are_alone(tiny):
    """Some leave in the middle of an epoch, and a single image is left over in each."""
    answer = prune_at({1: 1, 5: 1, 8: 2})
    alone = train(tiny, *CONFIGS, name="sequential", precision="float64", answer=answer)
    together = train(tiny, *CONFIGS, precision="float64", lanes=16, answer=answer, patience=2)
    for ours, theirs in zip(together, alone, strict=True):
        if ours.trial in (1, 5, 8):
            assert len(ours.history) < 3, "it was to leave"
        else:
            assert_same(ours, replace(theirs, num_lanes=ours.num_lanes))


# ---------------------------------------------------------------- checkpoints


@pytest.mark.parametrize("name", ENGINES)
def test_every_part_goes_on_to_the_last_bit(tiny, name):
    """From the middle of the second epoch."""
    for config in (*CONFIGS[:3], CONFIGS[-1]):
        (undisturbed,) = train(tiny, config, name=name)
        states = interrupted(make_engine(tiny, name), 5, config)
        driver = continued(make_engine(tiny, name), states, config)
        assert driver.refused == {}
        assert timeless(driver.outcomes[config.number]) == timeless(undisturbed), config


@pytest.mark.parametrize("first", ENGINES)
def test_either_engine_goes_on_from_the_others_averages(tiny, first):
    (second,) = set(ENGINES) - {first}
    for config in (CONFIGS[0], CONFIGS[2]):
        (undisturbed,) = train(tiny, config, name="sequential", precision="float64")
        states = interrupted(make_engine(tiny, first, precision="float64"), 5, config)
        driver = continued(make_engine(tiny, second, precision="float64"), states, config)
        assert driver.refused == {}
        assert_same(driver.outcomes[config.number], undisturbed)


# ---------------------------------------------------------------- averages


def test_running_means_are_averaged_and_counts_are_not():
    recipe = view(Recipe, {"weight_averaging": 0.5})
    weight, mean, count = torch.zeros(2, 2), torch.zeros(2), torch.zeros((), dtype=torch.int64)
    update = Update(recipe, [weight], [mean, count])
    for buffer in (mean, count):
        buffer.fill_(10)
    update.step([weight], [torch.zeros(2, 2)], torch.zeros(()), [mean, count])
    with update.averaging([weight], [mean, count]):
        assert (mean.tolist(), count.item()) == ([9.0, 9.0], 10)
    assert mean.tolist() == [10.0, 10.0]


@pytest.mark.parametrize("name", ENGINES)
def test_training_goes_on_with_the_weights_themselves(small, name):
    """Measuring and keeping the averages change nothing, to the last bit."""
    configs = make_config(), make_config(weight_averaging=0.9)
    plain, averaged = (train(small, config, name=name)[0] for config in configs)
    for ours, theirs in zip(averaged.history, plain.history, strict=True):
        assert ours.values["train_loss"] == theirs.values["train_loss"]
        assert ours.values["validation_loss"] != theirs.values["validation_loss"]


# ---------------------------------------------------------------- inputs


def test_noise_and_dropout_have_the_declared_strengths():
    recipe = view(Recipe, {"input_noise": 0.5, "input_dropout": 0.25})
    inputs = torch.ones(100, 500)
    disturb(inputs, recipe, torch.Generator().manual_seed(0))
    assert (inputs == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert inputs.mean().item() == pytest.approx(1.0, abs=0.01)
    assert inputs[inputs != 0].std().item() == pytest.approx(0.5 / 0.75, abs=0.01)


def test_lanes_share_their_inputs_unless_one_disturbs_them():
    inputs = torch.randn(4, 1, 3, 3)
    plain, noisy = view(Recipe, {}), view(Recipe, {"input_noise": 0.5})
    generators = [torch.Generator().manual_seed(seed) for seed in range(3)]
    assert disturb_lanes(inputs, (1, 3, 3), [plain] * 3, generators) is inputs
    lanes = disturb_lanes(inputs, (1, 3, 3), [noisy, plain, noisy], generators)
    assert lanes.shape == (3, 4, 1, 3, 3)
    assert torch.equal(lanes[1], inputs)
    assert not torch.equal(lanes[0], lanes[2])
