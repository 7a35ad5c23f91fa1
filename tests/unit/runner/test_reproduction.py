"""`sweep reproduce`: from the store alone, to the last bit, or how far off and what differs."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from typing import Any

import pytest
from helpers import HERE, space_mapping

import sweep
from sweep.errors import InputError, Interrupted, StoreError, SweepFailedError
from sweep.execution import Ended, InlineLauncher
from sweep.execution.wire import unpack
from sweep.records import Epoch, EpochMetrics, FailureKind, TrialOutcome
from sweep.runner import reproduction
from sweep.store import Store
from sweep.store.trials import Trials

SPACE = space_mapping(
    parameters={
        "num_layers": {"low": 1, "high": 3},
        "layer_size": {"choices": [16, 32]},
        "optimizer": {"choices": ["adamw", "sgd"]},
        "learning_rate": {"choices": [0.01, 10.0]},
        "momentum": 0.99,
        "weight_decay": 1.0,
        "dropout": 0.2,
        "epochs": 6,
    },
    pruner={"type": "median", "n_startup_trials": 1},
    enqueue=[
        {"num_layers": 2, "layer_size": 32, "optimizer": "adamw", "learning_rate": 0.01},
        {"num_layers": 3, "layer_size": 16, "optimizer": "sgd", "learning_rate": 10.0},
        {"num_layers": 1, "layer_size": 16, "optimizer": "adamw", "learning_rate": 10.0},
    ],
    budget={"trials": 3},
)
STATES = ("COMPLETE", "FAIL", "PRUNED")


@pytest.fixture(scope="module", params=["sequential", "stacked"])
def made(request, tmp_path_factory) -> str:
    """A study with a trial of each kind of end."""
    storage = f"sqlite:///{tmp_path_factory.mktemp('made') / 'studies.db'}"
    options = {**HERE, "engine": request.param, "lanes": 1}
    study = sweep.run(SPACE, storage=storage, **options)
    assert tuple(trial.state.value for trial in study.trials) == STATES
    return storage


def with_values(metrics: EpochMetrics, **values: float) -> EpochMetrics:
    assert values.keys() <= metrics.values.keys()
    return replace(metrics, values={**metrics.values, **values})


def without(metrics: EpochMetrics, name: str) -> EpochMetrics:
    """As a version measured that did not know this metric."""
    return replace(metrics, values={n: v for n, v in metrics.values.items() if n != name})


@pytest.mark.slow
@pytest.mark.parametrize("trial", range(3))
def test_a_trial_is_reproduced_to_the_last_bit(made, trial):
    found = sweep.reproduce("small", trial, storage=made, executor="inline")
    assert found.is_identical
    assert found.first_difference is None
    assert set(found.largest.values()) == ({0.0} if found.recorded.history else set())
    assert found.conditions == ()
    assert found.weights is (True if trial == 0 else None)
    assert len(found.repeated.history) == len(found.recorded.history)
    assert found.repeated.engine == found.recorded.engine


@pytest.mark.slow
def test_nothing_is_written(made):
    path = Store(made, to_write=False).path
    before = path.read_bytes()
    sweep.reproduce("small", 2, storage=made, executor="inline")
    assert path.read_bytes() == before


@pytest.fixture
def recorded_otherwise(made, monkeypatch):
    """Pretend that trial 0 ended in another way than it did."""

    def pretend(**changes: Any) -> None:
        real = reproduction._ended

        def ended(record, trial) -> TrialOutcome:
            return replace(real(record, trial), **changes)

        monkeypatch.setattr(reproduction, "_ended", ended)

    return pretend


def test_what_is_off_is_said_with_what_was_different(made, recorded_otherwise, main, capfd):
    record = Store(made, to_write=False).read_study("small")
    outcome = record.trials[0].outcome
    history = list(outcome.history)
    history[3] = with_values(history[3], train_loss=history[3].values["train_loss"] + 0.25)
    environment = {**outcome.environment, "torch": "1.13.0"}
    recorded_otherwise(
        history=tuple(history), environment=environment, device="cpu (Another, 9 threads)",
        num_lanes=8,
    )  # fmt: skip
    found = sweep.reproduce("small", 0, storage=made, executor="inline")
    assert not found.is_identical
    assert found.first_difference == 4
    assert found.largest["train_loss"] == pytest.approx(0.25)
    assert found.largest["validation_accuracy"] == 0.0
    words = "\n".join(found.conditions)
    assert f"torch: 1.13.0 then, {outcome.environment['torch']} now" in words
    assert "device: cpu (Another, 9 threads) then, cpu (" in words
    assert "trained together: 8 trials then, 1 now" in words

    output, errors = main(f"reproduce small 0 --storage {made}", code=1)
    assert "trial 0 of study small: not identical: it differs from epoch 4 on" in output
    assert "largest difference of train loss: 0.25" in output
    assert "  torch: 1.13.0 then" in output
    assert errors == ""


def test_what_was_not_recorded_then_is_no_difference(made, recorded_otherwise, main):
    outcome = Store(made, to_write=False).read_study("small").trials[0].outcome
    old = tuple(without(metrics, "validation_f1_macro") for metrics in outcome.history)
    recorded_otherwise(history=old)
    found = sweep.reproduce("small", 0, storage=made, executor="inline")
    assert found.is_identical
    assert "validation_f1_macro" not in found.largest
    assert found.largest["train_loss"] == 0.0
    other = (with_values(old[0], train_loss=0.0), *old[1:])
    recorded_otherwise(history=other)
    output, _ = main(f"reproduce small 0 --storage {made}", code=1)
    assert "largest difference of train loss" in output
    assert "f1 macro" not in output


def test_another_train_accuracy_is_a_difference(made, recorded_otherwise):
    outcome = Store(made, to_write=False).read_study("small").trials[0].outcome
    history = list(outcome.history)
    history[1] = with_values(history[1], train_accuracy=history[1].values["train_accuracy"] - 0.125)
    recorded_otherwise(history=tuple(history))
    found = sweep.reproduce("small", 0, storage=made, executor="inline")
    assert (found.first_difference, found.is_identical) == (2, False)
    assert found.largest["train_accuracy"] == pytest.approx(0.125)


def test_the_command_says_that_a_trial_is_identical(made, main):
    output, _ = main(f"reproduce small 0 --storage {made}", code=0)
    assert output == (
        "trial 0 of study small: identical: 6 of 6 epochs to the last bit, and its best weights "
        "are the same, too\n"
    )
    data = json.loads(main(f"reproduce small 2 --json --storage {made}", code=0)[0])
    assert (data["identical"], data["first_difference"], data["same_weights"]) == (True, None, None)


def test_other_weights_are_not_identical(made, monkeypatch):
    monkeypatch.setattr(Trials, "recorded_weights", lambda *_: "0" * 64)
    found = sweep.reproduce("small", 0, storage=made, executor="inline")
    assert (found.first_difference, found.weights, found.is_identical) == (None, False, False)


def test_a_trial_that_was_killed_is_trained_as_far_as_it_came(
    made, recorded_otherwise, monkeypatch
):
    record = Store(made, to_write=False).read_study("small")
    outcome = record.trials[0].outcome
    failure = sweep.records.Failure(FailureKind.KILLED, "its worker process ended with signal 9")
    recorded_otherwise(
        history=outcome.history[:2], state=sweep.records.TrialState.FAIL, failure=failure,
        best_epoch=None, validation_predictions=None, device="cuda:7 (gone)",
    )  # fmt: skip
    monkeypatch.setattr(Trials, "recorded_weights", lambda *_: None)
    found = sweep.reproduce("small", 0, storage=made, executor="inline")
    assert [m.epoch for m in found.repeated.history] == [1, 2]
    assert found.is_identical
    assert any(line.startswith("device: cuda:7 (gone) then, cpu") for line in found.conditions)


class LosesAWorker(InlineLauncher):
    """In line; the first worker ends with its first epoch, in this way."""

    def __init__(self, ended: Ended) -> None:
        super().__init__()
        self._ended: Ended | None = ended

    def receive(self, timeout: float) -> Any:
        received = super().receive(timeout)
        if received is None or not isinstance(unpack(received[1])[0], Epoch):
            return received
        ended, self._ended = self._ended, None
        return (received[0], ended) if ended else received


def test_a_worker_that_somebody_stopped_is_replaced(made):
    started = time.monotonic()
    found = sweep.reproduce(
        "small",
        0,
        storage=made,
        executor=lambda: LosesAWorker(Ended("signal 15", by_itself=False, is_innocent=True)),
        stop=lambda: time.monotonic() - started > 600,  # only so that a test that failed ends
    )
    assert found.is_identical


def test_a_worker_that_is_killed_after_a_stop_is_an_interruption(made):
    launcher = LosesAWorker(Ended("signal 9", by_itself=False))
    options = {"storage": made, "executor": lambda: launcher}
    with pytest.raises(Interrupted, match="nothing was written"):
        sweep.reproduce("small", 0, stop=lambda: launcher._ended is None, **options)
    launcher = LosesAWorker(Ended("signal 9", by_itself=False))
    with pytest.raises(SweepFailedError, match="trial 0: its worker process ended with signal 9"):
        sweep.reproduce("small", 0, **options)


def test_how_a_trial_ended_is_said_beside_how_its_repetition_did(made, main):
    output, _ = main(f"reproduce small 1 --storage {made}", code=0)
    assert re.search("^trial 1 itself failed: nan: .*; so does the repetition$", output, re.M)
    assert "0 of 0 epochs" not in output
    data = json.loads(main(f"reproduce small 1 --json --storage {made}", code=0)[0])
    assert data["state_then"] == "FAIL"
    assert data["failure_then"] == data["failure"]
    output, _ = main(f"reproduce small 2 --storage {made}", code=0)
    found = re.search(r"^trial 2 itself was pruned after epoch \d; (.*)$", output, re.M)
    assert found[1] == "the repetition was ended after as many epochs"


@pytest.mark.parametrize(
    ("kind", "again"),
    [
        (FailureKind.TIME_LIMIT, "the repetition was ended after as many epochs"),
        (FailureKind.OUT_OF_MEMORY, "the repetition did not fail"),
    ],
)
def test_a_failure_that_is_not_repeated_is_said(
    made, recorded_otherwise, main, monkeypatch, kind, again
):
    failure = sweep.records.Failure(kind, "too much")
    recorded_otherwise(
        state=sweep.records.TrialState.FAIL, failure=failure,
        best_epoch=None, validation_predictions=None,
    )  # fmt: skip
    monkeypatch.setattr(Trials, "recorded_weights", lambda *_: None)
    line = f"reproduce small 0 --storage {made}"
    output, _ = main(line, code=0 if kind is FailureKind.TIME_LIMIT else 1)
    assert f"\ntrial 0 itself failed: {kind}: too much; {again}\n" in output


@pytest.mark.slow
def test_other_predictions_are_not_called_weights(made, recorded_otherwise, main):
    recorded_otherwise(validation_predictions=b"")
    output, _ = main(f"reproduce small 0 --storage {made}", code=1)
    assert "its 6 epochs are the same, its best epoch and predictions not" in output


@pytest.mark.parametrize("trial", [3, -1, 10**9])
def test_there_must_be_such_a_trial(made, trial):
    with pytest.raises(InputError, match=f"has no trial {trial}; it has 3, numbered from 0"):
        sweep.reproduce("small", trial, storage=made, executor="inline")


def test_a_trial_that_has_not_ended_is_refused(storage):
    with pytest.raises(Interrupted, match="interrupted; "):
        sweep.run(SPACE, storage=storage, stop=iter([False, True, True]).__next__, **HERE)
    with pytest.raises(StoreError, match=r"trial 2 of study 'small' is WAITING: there is nothing"):
        sweep.reproduce("small", 2, storage=storage, executor="inline")
