"""The reference engine on the digits: it learns, repeats itself, and keeps what it says."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from helpers import make_config, make_settings, without_seconds

from sweep.data import TrainingData, load_training_data
from sweep.records import Decision, FailureKind, Objective, TrialConfig, TrialOutcome, TrialState
from sweep.training import load_engine
from sweep.training.sequential import SequentialEngine


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return load_training_data("digits", Path("nowhere"), num_validation=None, split_seed=0)


def go_on(metrics):
    return [Decision.CONTINUE] * len(metrics)


def train(data: TrainingData, *configs: TrialConfig, report=go_on, **changes) -> list[TrialOutcome]:
    engine = SequentialEngine(make_settings(**changes), data)
    return list(engine.train(configs, report))


def numpy_logits(data: TrainingData, weights: bytes) -> np.ndarray:
    """Logits of the validation split by a relu network, computed without torch."""
    tensors = safetensors.numpy.load(weights)
    names = sorted({name.rsplit(".", 1)[0] for name in tensors}, key=lambda n: int(n.split(".")[1]))
    values = data.validation.images.reshape(len(data.validation), -1).astype(np.float64)
    values = (values - data.train.images.mean()) / data.train.images.std()
    for name in names:
        values = values @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]
        if name != names[-1]:
            values = np.maximum(values, 0)
    return values


def test_the_engine_learns_the_digits(data):
    (outcome,) = train(data, make_config(epochs=8))
    assert outcome.state is TrialState.COMPLETE
    assert outcome.best.validation_accuracy > 0.9
    assert [m.epoch for m in outcome.history] == list(range(1, 9))
    assert outcome.history[-1].train_loss < outcome.history[0].train_loss / 3


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "sigmoid", "tanh"])
def test_every_optimizer_and_activation_learns(data, optimizer, activation):
    rate = 0.1 if optimizer == "sgd" else 0.01
    config = make_config(optimizer=optimizer, activation=activation, learning_rate=rate, epochs=3)
    (outcome,) = train(data, config)
    assert outcome.best.validation_accuracy > 0.8


def test_the_same_seed_gives_the_same_trial(data):
    first, second = train(data, make_config(dropout=0.2), make_config(dropout=0.2))
    assert without_seconds(first.history) == without_seconds(second.history)
    assert first.weights == second.weights


def test_what_was_trained_before_makes_no_difference(data):
    config = make_config(number=1, dropout=0.2)
    (alone,) = train(data, config)
    _, after = train(data, make_config(layer_size=8, epochs=1, seed=99), config)
    assert without_seconds(alone.history) == without_seconds(after.history)
    assert alone.weights == after.weights


def test_another_seed_gives_another_trial(data):
    first, second = train(data, make_config(seed=1), make_config(seed=2))
    assert first.weights != second.weights
    assert without_seconds(first.history) != without_seconds(second.history)


def test_the_order_of_images_belongs_to_study_and_epoch(data):
    engine = SequentialEngine(make_settings(order_seed=3), data)
    same = SequentialEngine(make_settings(order_seed=3), data)
    other = SequentialEngine(make_settings(order_seed=4), data)
    first = engine.epoch_order(1)
    assert sorted(first.tolist()) == list(range(len(data.train)))
    assert torch.equal(first, engine.epoch_order(1))
    assert torch.equal(first, same.epoch_order(1))
    assert not torch.equal(first, engine.epoch_order(2))
    assert not torch.equal(first, other.epoch_order(1))


def test_the_order_does_not_depend_on_the_trials_seed(data, monkeypatch):
    seen = []
    batch = SequentialEngine.batch

    def spy(self, split, indices):
        if isinstance(indices, torch.Tensor):
            seen.append(indices.tolist())
        return batch(self, split, indices)

    monkeypatch.setattr(SequentialEngine, "batch", spy)
    train(data, make_config(seed=1, epochs=2), make_config(seed=2, layer_size=8, epochs=2))
    half = len(seen) // 2
    assert seen[:half] == seen[half:]
    assert seen[: half // 2] != seen[half // 2 : half]


# ---------------------------------------------------------------- the best epoch


def unstable() -> TrialConfig:
    """A trial whose accuracy goes up and down, so that its best epoch is not its last."""
    return make_config(
        optimizer="sgd", learning_rate=0.6, momentum=0.9, epochs=8, num_layers=3,
        learning_rate_schedule="constant",
    )  # fmt: skip


def test_the_best_epochs_weights_are_kept(data):
    (outcome,) = train(data, unstable())
    values = [m.validation_accuracy for m in outcome.history]
    assert outcome.best_epoch == values.index(max(values)) + 1
    assert outcome.best_epoch != len(values), "the test needs a trial that gets worse"

    logits = numpy_logits(data, outcome.weights)
    predictions = logits.argmax(1)
    labels = data.validation.labels
    assert (predictions == labels).mean() == pytest.approx(outcome.best.validation_accuracy)
    assert list(outcome.validation_predictions) == predictions.tolist()
    matrix = np.zeros((10, 10), int)
    np.add.at(matrix, (labels, predictions), 1)
    assert outcome.validation_confusion_matrix == tuple(map(tuple, matrix.tolist()))
    shifted = logits - logits.max(1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(labels)), labels]
    assert losses.mean() == pytest.approx(outcome.best.validation_loss, rel=1e-3)


def test_the_objective_decides_which_epoch_is_best(data):
    objective = Objective("validation_loss", "minimize")
    (outcome,) = train(data, unstable(), objective=objective)
    losses = [m.validation_loss for m in outcome.history]
    assert outcome.best_epoch == losses.index(min(losses)) + 1
    logits = numpy_logits(data, outcome.weights)
    accuracy = (logits.argmax(1) == data.validation.labels).mean()
    assert accuracy == pytest.approx(outcome.best.validation_accuracy)


def test_an_outcome_says_what_it_was_made_with(data):
    (outcome,) = train(data, make_config(epochs=1))
    assert outcome.num_parameters == 64 * 32 + 32 + 32 * 10 + 10
    assert outcome.device.startswith("cpu (")
    assert outcome.precision == "float32"
    assert outcome.data_fingerprint == data.fingerprint
    assert {"torch", "numpy", "python", "sweep"} <= set(outcome.environment)
    assert outcome.seconds >= outcome.history[0].seconds > 0


# ---------------------------------------------------------------- endings


def test_a_pruned_trial_ends_after_the_epoch_of_the_decision(data):
    asked = []

    def prune_second(metrics):
        asked.append(metrics[0].epoch)
        return [Decision.PRUNE if metrics[0].epoch == 2 else Decision.CONTINUE]

    (outcome,) = train(data, make_config(epochs=5), report=prune_second)
    assert outcome.state is TrialState.PRUNED
    assert [m.epoch for m in outcome.history] == asked == [1, 2]
    assert outcome.failure is None
    assert outcome.weights is None


def test_a_loss_that_is_not_finite_fails_the_trial(data):
    # float32 overflows for certain with this rate and depth.
    config = make_config(
        optimizer="sgd", learning_rate=10.0, momentum=0.99, num_layers=6, layer_size=64,
        weight_decay=1.0, epochs=30, learning_rate_schedule="constant",
    )  # fmt: skip
    (outcome,) = train(data, config)
    assert outcome.state is TrialState.FAIL
    assert outcome.failure.kind is FailureKind.NAN
    assert f"epoch {len(outcome.history) + 1}: training loss" in outcome.failure.reason
    assert all(math.isfinite(m.train_loss + m.validation_loss) for m in outcome.history)
    assert outcome.weights is None


def test_the_epochs_before_the_loss_was_nan_are_kept(data, monkeypatch):
    real = torch.nn.functional.cross_entropy
    calls = []

    def break_in_third_epoch(*arguments, **options):
        loss = real(*arguments, **options)
        calls.append(options.get("reduction"))
        return loss * math.nan if calls.count("sum") == 3 else loss

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", break_in_third_epoch)
    (outcome,) = train(data, make_config(epochs=5))
    assert outcome.failure.kind is FailureKind.NAN
    assert [m.epoch for m in outcome.history] == [1, 2]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ZeroDivisionError("by zero\nsecond line"), FailureKind.EXCEPTION),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), FailureKind.EXCEPTION),
        (MemoryError(), FailureKind.OUT_OF_MEMORY),
        (torch.OutOfMemoryError("CUDA out of memory"), FailureKind.OUT_OF_MEMORY),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
            FailureKind.OUT_OF_MEMORY,
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_exception_is_the_trials_outcome(data, monkeypatch, error, kind):
    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(SequentialEngine, "batch", fail)
        (outcome,) = train(data, make_config())
    assert outcome.state is TrialState.FAIL
    assert outcome.failure.kind is kind
    assert type(error).__name__ in outcome.failure.reason
    assert "\n" not in outcome.failure.reason
    assert "Traceback" in outcome.failure.traceback
    (after,) = train(data, make_config(epochs=1))
    assert after.state is TrialState.COMPLETE


def test_a_network_that_cannot_be_allocated_is_out_of_memory(data):
    (outcome,) = train(data, make_config(layer_size=2**40))
    assert outcome.failure.kind is FailureKind.OUT_OF_MEMORY


@pytest.mark.parametrize("error", [EOFError, BrokenPipeError])
def test_a_driver_that_has_gone_is_no_trials_fault(data, error):
    def gone(_):
        raise error

    with pytest.raises(error, match=r"^$"):
        train(data, make_config(), report=gone)


# ---------------------------------------------------------------- edges


@pytest.mark.parametrize(
    "changes",
    [
        {"num_layers": 1, "dropout": 0.5},
        {"batch_size": 65536},
        {"batch_size": 1197},
        {"layer_size": 1},
        {"epochs": 1, "batch_size": 65536, "learning_rate_schedule": "one_cycle"},
        {"epochs": 2, "batch_size": 65536, "learning_rate_schedule": "one_cycle"},
        {"epochs": 2, "batch_size": 1000, "learning_rate_schedule": "one_cycle"},
    ],
)
def test_edges(data, changes):
    (outcome,) = train(data, make_config(**changes))
    assert outcome.state is TrialState.COMPLETE, outcome.failure
    assert len(outcome.history) == outcome.history[-1].epoch


def test_an_unknown_engine_is_refused():
    with pytest.raises(ValueError, match=r"engine must be one of sequential.*'warp'"):
        load_engine("warp")
