"""Engines as a driver sees them: what they say when, how trials end, what outcomes hold.

Whatever holds for both engines is asked of both.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch
import torch
from driving import (
    GROUPS,
    Driver,
    WatchedGroup,
    assert_same,
    logits_of,
    make_engine,
    prune_at,
    several,
    train,
)
from helpers import best_epoch, changed, make_config, make_settings, timeless
from sklearn.metrics import balanced_accuracy_score, f1_score

from sweep.codec import unpack_labels
from sweep.definitions import OBJECTIVES as METRICS
from sweep.records import (
    Decision,
    Epoch,
    EpochMetrics,
    FailureKind,
    Message,
    Objective,
    TrialConfig,
    TrialState,
)
from sweep.training import load_engine
from sweep.training.engine import Engine

NUM_STEPS = 4  # of an epoch: 120 images, 32 a batch
NUM_VALIDATION = 60

both = pytest.mark.parametrize("name", GROUPS)


def labels(data) -> np.ndarray:
    return data.validation.labels


def metrics_of(message: Message) -> tuple[EpochMetrics, ...]:
    assert isinstance(message, Epoch)
    return message.metrics


def only_epoch(messages: list[Message]) -> tuple[EpochMetrics, ...]:
    (message,) = messages
    return metrics_of(message)


@both
def test_an_engine_is_loaded_by_its_name(small, monkeypatch, name):
    built = []
    for each in GROUPS:
        build = GROUPS[each].func
        monkeypatch.setattr(
            f"sweep.training.{each}.{build.__name__}",
            lambda *a, each=each, build=build, **o: built.append(each) or build(*a, **o),
        )
    engine = load_engine(make_settings(engine=name), small)
    Driver(engine).run(make_config(epochs=1))
    assert built == [name]


# ---------------------------------------------------------------- what it says when


@both
def test_without_trials_there_is_nothing_to_do(small, name):
    engine = make_engine(small, name)
    assert engine.is_idle
    assert engine.advance(1.0) == []
    assert engine.decide([], []) == []


@both
def test_an_engine_says_an_epoch_trains_the_next_and_waits(small, name):
    steps = []
    watch = lambda what, *_: steps.append(what) if what == "step" else None  # noqa: E731
    engine = make_engine(small, name, watch)
    engine.add([make_config(number=3, epochs=3)])
    assert not engine.is_idle
    assert steps == []
    (metrics,) = only_epoch(engine.advance(math.inf))
    assert (metrics.trial, metrics.epoch, len(steps)) == (3, 1, NUM_STEPS)
    assert not engine.is_idle
    assert engine.advance(math.inf) == []
    assert len(steps) == 2 * NUM_STEPS
    for _ in range(3):
        assert engine.is_idle, "it never gets further ahead than one epoch"
        assert engine.advance(math.inf) == []
    assert len(steps) == 2 * NUM_STEPS

    assert engine.decide([3], [Decision.CONTINUE]) == []
    assert not engine.is_idle
    (metrics,) = only_epoch(engine.advance(math.inf))
    assert (metrics.epoch, len(steps)) == (2, 2 * NUM_STEPS), "it had been trained already"
    assert engine.advance(math.inf) == []
    engine.decide([3], [Decision.CONTINUE])
    (metrics,) = only_epoch(engine.advance(math.inf))
    assert (metrics.epoch, len(steps)) == (3, 3 * NUM_STEPS)

    assert engine.is_idle, "the last epoch has to be decided, too"
    assert engine.advance(math.inf) == []
    (outcome,) = engine.decide([3], [Decision.CONTINUE])
    assert (outcome.trial, outcome.state) == (3, TrialState.COMPLETE)
    assert engine.is_idle
    assert engine.advance(math.inf) == []


@both
def test_an_engine_looks_up_after_the_time_that_it_was_given(small, name):
    steps = []
    engine = make_engine(small, name, lambda what, *_: steps.append(what))
    engine.add([make_config()])
    for count in range(1, NUM_STEPS):
        assert engine.advance(0.0) == []
        assert steps.count("step") == count
    assert len(engine.advance(0.0)) == 1


def test_the_trials_of_a_stack_are_told_together(small):
    driver = Driver(make_engine(small))
    driver.run(*several(epochs=2))
    assert [sorted(m.trial for m in epoch) for epoch in driver.epochs] == [[0, 1, 2, 3, 4]] * 2
    assert [{m.epoch for m in epoch} for epoch in driver.epochs] == [{1}, {2}]
    for epoch in driver.epochs:
        assert len({m.seconds for m in epoch}) == 1, "trained together, they share the time"


def test_a_stack_waits_for_the_answers_to_all_of_its_trials(small):
    engine = make_engine(small)
    engine.add(several())
    while not engine.is_idle:
        engine.advance(math.inf)
    engine.decide([0, 1, 2, 4], [Decision.CONTINUE] * 4)
    assert engine.is_idle
    engine.decide([3], [Decision.CONTINUE])
    assert not engine.is_idle


@both
def test_groups_take_turns_epoch_by_epoch(small, name):
    """The sequential engine has a group for each trial, the stacked one for each batch size."""
    steps = []
    watch = lambda what, trials, *_: steps.append(trials) if what == "step" else None  # noqa: E731
    driver = Driver(make_engine(small, name, watch))
    first, second = make_config(number=0, epochs=3), make_config(number=1, epochs=2, batch_size=60)
    driver.run(first, second)
    assert [(m.trial, m.epoch) for (m,) in driver.epochs] == [
        (0, 1), (1, 1), (0, 2), (1, 2), (0, 3),
    ]  # fmt: skip
    assert steps == [[0]] * 4 + [[1]] * 2 + [[0]] * 4 + [[1]] * 2 + [[0]] * 4


@both
def test_a_group_that_waits_holds_up_no_other(small, name):
    engine = make_engine(small, name)
    engine.add([make_config(number=0)])
    engine.add([make_config(number=1, batch_size=60)])
    said = []
    while not engine.is_idle:
        said += engine.advance(0.0)
    assert [(m.trial, m.epoch) for (m,) in map(metrics_of, said)] == [(0, 1), (1, 1)]
    engine.decide([1], [Decision.CONTINUE])
    while not engine.is_idle:
        said += engine.advance(0.0)
    assert [(m.trial, m.epoch) for (m,) in map(metrics_of, said[2:])] == [(1, 2)]


@both
def test_trials_may_be_added_while_others_are_trained(small, name):
    driver = Driver(make_engine(small, name, precision="float64"))
    configs = several()
    driver.add(*configs[:2])
    for _ in range(6):
        driver.turn()
    driver.run(*configs[2:])
    while driver.num_open:
        driver.turn()
    for config in configs:
        (alone,) = train(small, config, name="sequential", precision="float64")
        assert_same(driver.outcomes[config.number], alone)


# ---------------------------------------------------------------- both engines agree


@pytest.mark.parametrize("patience", [0, 2, 5, 1000])
def test_the_engines_agree_whenever_the_answers_come(small, patience):
    """Lanes of different epochs, batch sizes and fates; float64."""
    configs = [
        *several(),
        *(replace(changed(c, batch_size=50), number=c.number + 5) for c in several(epochs=2)),
    ]
    answer = prune_at({0: 2, 3: 1, 4: 3, 7: 1, 8: 2})
    results = {
        name: train(
            small, *configs, name=name, answer=answer, patience=patience, precision="float64"
        )
        for name in GROUPS
    }
    for ours, theirs in zip(results["stacked"], results["sequential"], strict=True):
        assert_same(ours, theirs)
    assert [(o.state.value, len(o.history)) for o in results["stacked"]] == [
        ("PRUNED", 2), ("COMPLETE", 4), ("COMPLETE", 3), ("PRUNED", 1), ("PRUNED", 3),
        ("COMPLETE", 2), ("COMPLETE", 2), ("PRUNED", 1), ("PRUNED", 2), ("COMPLETE", 2),
    ]  # fmt: skip


def test_the_engines_agree_in_bfloat16(small):
    """Within 2 %, which is what the order of sums may do to products of 8 bits."""
    configs = several()
    ours, theirs = (train(small, *configs, name=name, precision="bfloat16") for name in GROUPS)
    for one, other in zip(ours, theirs, strict=True):
        assert one.precision == other.precision == "bfloat16"
        for mine, yours in zip(one.history, other.history, strict=True):
            for loss in ("train_loss", "validation_loss"):
                assert mine.values[loss] == pytest.approx(yours.values[loss], rel=0.02)
        weights = safetensors.torch.load(one.weights)
        assert {w.dtype for w in weights.values() if w.is_floating_point()} == {torch.float32}


@both
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_seeds_give_the_same_outcomes_twice(small, name, precision):
    """To the last bit, with dropout, and a trial that is pruned."""
    configs = several(dropout=0.3)
    options = {"name": name, "answer": prune_at({2: 1}), "patience": 2, "precision": precision}
    first, second = (train(small, *configs, **options) for _ in range(2))
    assert [timeless(outcome) for outcome in first] == [timeless(outcome) for outcome in second]
    assert [outcome.state for outcome in first].count(TrialState.COMPLETE) == 4


@both
def test_a_seed_means_what_it_meant_in_the_first_version(digits, name):
    """Initial weights, order of images, batches, schedule: as before there were stacks."""
    kinds = [
        {},
        {"optimizer": "sgd", "learning_rate": 0.05},
        {"activation": "sigmoid", "num_layers": 4, "layer_size": 33, "optimizer": "adam"},
    ]
    configs = [make_config(number=n, **kind) for n, kind in enumerate(kinds)]
    found = [
        [(m.values["train_loss"], m.values["validation_loss"]) for m in outcome.history]
        for outcome in train(digits, *configs, name=name)
    ]
    recorded = [
        [(1.812558, 1.251620), (0.930093, 0.751951), (0.685055, 0.695398)],
        [(1.228216, 0.424886), (0.230441, 0.176835), (0.142401, 0.174878)],
        [(2.313189, 2.298304), (2.288981, 2.279474), (2.268772, 2.274217)],
    ]
    for ours, theirs in zip(found, recorded, strict=True):
        assert np.array(ours) == pytest.approx(np.array(theirs), rel=1e-4)


def test_torchs_own_random_numbers_are_not_what_dropout_draws_from(small):
    """Whoever draws from them between two steps changes nothing."""
    quiet = train(small, *several(dropout=0.3))
    busy = Driver(make_engine(small, watch=lambda *_: torch.rand(3))).run(*several(dropout=0.3))
    assert [timeless(outcome) for outcome in quiet] == [timeless(outcome) for outcome in busy]


# ---------------------------------------------------------------- what an outcome holds


def unstable(**changes) -> TrialConfig:
    """A trial whose accuracy goes up and down, so that its best epoch is not its last."""
    return make_config(
        **{
            "optimizer": "sgd", "learning_rate": 0.6, "momentum": 0.9, "epochs": 8,
            "num_layers": 3, "learning_rate_schedule": "constant", **changes,
        }
    )  # fmt: skip


OBJECTIVES = [Objective(name, metric.goal) for name, metric in METRICS.items()]


@pytest.mark.slow
@both
@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda objective: objective.metric)
def test_an_outcome_holds_the_best_epoch(digits, name, objective):
    """Its weights give its metrics, predictions and losses, without dropout."""
    configs = [
        unstable(number=0, dropout=0.1),
        unstable(number=1, activation="tanh", layer_size=33, optimizer="adam", learning_rate=0.1),
        unstable(number=2, num_layers=1, learning_rate=10.0),
    ]
    outcomes = train(digits, *configs, name=name, objective=objective)
    ends = [outcome.best_epoch == len(outcome.history) for outcome in outcomes]
    assert not all(ends), "the test needs a trial that gets worse"
    for config, outcome in zip(configs, outcomes, strict=True):
        assert outcome.best_epoch == best_epoch(outcome.history, objective)
        logits = logits_of(outcome, config, digits)
        predictions, truth = logits.argmax(1), labels(digits)
        assert unpack_labels(outcome.validation_predictions, 10).tolist() == predictions.tolist()
        shifted = logits - logits.max(1, keepdims=True)
        losses = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(truth)), truth]
        found = outcome.best.values
        assert found["validation_loss"] == pytest.approx(losses.mean(), rel=1e-4)
        assert found["validation_accuracy"] == pytest.approx((predictions == truth).mean())
        balanced = balanced_accuracy_score(truth, predictions)
        assert found["validation_balanced_accuracy"] == pytest.approx(balanced)
        f1 = f1_score(truth, predictions, average="macro")
        assert found["validation_f1_macro"] == pytest.approx(f1)
        if objective.metric == "validation_loss":
            kept = np.frombuffer(outcome.validation_losses, np.float32)
            assert kept == pytest.approx(losses, rel=1e-4, abs=1e-5)
        else:
            assert outcome.validation_losses is None


@both
def test_of_equally_good_epochs_the_first_is_best(small, name):
    config = make_config(learning_rate=1e-8, epochs=4)
    (outcome,) = train(small, config, name=name)
    assert len({m.values["validation_accuracy"] for m in outcome.history}) == 1, (
        "the test needs equals"
    )
    assert outcome.best_epoch == 1
    (outcome,) = train(
        small, config, name=name, objective=Objective("validation_accuracy", "minimize")
    )
    assert outcome.best_epoch == 1


@both
def test_an_outcome_says_what_it_was_made_with(small, name):
    (outcome,) = train(small, make_config(number=7, epochs=2), name=name)
    assert (outcome.trial, outcome.state, outcome.failure) == (7, TrialState.COMPLETE, None)
    assert outcome.num_parameters == 64 * 32 + 32 + 32 * 10 + 10
    assert outcome.device.startswith("cpu (")
    assert outcome.precision == "float32"
    assert outcome.data_fingerprint == small.fingerprint
    assert {"torch", "numpy", "python", "sweep"} <= set(outcome.environment)
    assert [m.epoch for m in outcome.history] == [1, 2]
    assert {m.trial for m in outcome.history} == {7}
    assert outcome.seconds >= sum(m.seconds for m in outcome.history) > 0


@both
def test_what_was_said_is_what_the_outcome_holds(small, name):
    driver = Driver(make_engine(small, name), prune_at({1: 2}), patience=2)
    driver.run(*several())
    for number, outcome in driver.outcomes.items():
        said = tuple(m for epoch in driver.epochs for m in epoch if m.trial == number)
        assert outcome.history == said


@pytest.mark.parametrize(("threads", "words"), [(1, r", 1 thread\)"), (3, r", 3 threads\)")])
def test_the_hardware_has_a_name(small, threads, words):
    torch.set_num_threads(threads)
    hardware = make_engine(small).ready().hardware
    torch.set_num_threads(1)
    assert hardware.startswith("cpu (")
    assert hardware.endswith(words.replace("\\", ""))


# ---------------------------------------------------------------- pruning


@both
@pytest.mark.parametrize("patience", range(2 * NUM_STEPS + 2))
def test_a_pruned_trial_ends_with_the_epoch_of_the_decision(small, name, patience):
    """However far it has been trained meanwhile."""
    driver = Driver(make_engine(small, name), prune_at({0: 2}), patience)
    (outcome,) = driver.run(make_config(epochs=5))
    assert outcome.state is TrialState.PRUNED
    assert [m.epoch for m in outcome.history] == [1, 2]
    assert [(m.trial, m.epoch) for (m,) in driver.epochs] == [(0, 1), (0, 2)]
    assert outcome.failure is None
    assert outcome.weights is None
    assert outcome.best_epoch == best_epoch(outcome.history, make_settings().objective)
    assert len(unpack_labels(outcome.validation_predictions, 10)) == NUM_VALIDATION
    assert driver.engine.is_idle


@both
def test_the_last_epoch_can_be_pruned(small, name):
    (outcome,) = train(small, make_config(epochs=2), name=name, answer=prune_at({0: 2}))
    assert outcome.state is TrialState.PRUNED
    assert [m.epoch for m in outcome.history] == [1, 2]
    assert outcome.weights is None


@pytest.mark.parametrize("patience", [0, 1, 3, 100])
def test_trials_that_end_together_end_each_in_its_way(small, patience):
    configs = several(epochs=2)
    outcomes = train(small, *configs, answer=prune_at({1: 2, 2: 1, 4: 2}), patience=patience)
    assert [o.state.value for o in outcomes] == [
        "COMPLETE", "PRUNED", "PRUNED", "COMPLETE", "PRUNED",
    ]  # fmt: skip
    assert [len(o.history) for o in outcomes] == [2, 2, 1, 2, 2]


@both
def test_every_trial_of_a_group_can_be_pruned_at_once(small, name):
    driver = Driver(make_engine(small, name), lambda _: Decision.PRUNE, patience=1)
    outcomes = driver.run(*several())
    assert {o.state for o in outcomes} == {TrialState.PRUNED}
    assert [len(o.history) for o in outcomes] == [1] * 5
    (after,) = driver.run(make_config(number=9, epochs=1))
    assert after.state is TrialState.PRUNED


@both
def test_an_answer_to_a_trial_that_is_gone_is_ignored(small, name):
    driver = Driver(make_engine(small, name))
    driver.run(make_config(number=1, epochs=1))
    assert driver.engine.decide([1, 99], [Decision.PRUNE, Decision.CONTINUE]) == []
    (after,) = driver.run(make_config(number=2, epochs=1))
    assert after.state is TrialState.COMPLETE


# ---------------------------------------------------------------- failures


def overflowing(**changes) -> TrialConfig:
    """float32 overflows for certain with this rate and depth."""
    return make_config(
        **{
            "optimizer": "sgd", "learning_rate": 10.0, "momentum": 0.99, "num_layers": 6,
            "layer_size": 32, "weight_decay": 1.0, "epochs": 30,
            "learning_rate_schedule": "constant", **changes,
        }
    )  # fmt: skip


@both
def test_a_loss_that_is_not_finite_fails_the_trial(small, name):
    (outcome,) = train(small, overflowing(), name=name)
    assert outcome.state is TrialState.FAIL
    assert outcome.failure.kind is FailureKind.NAN
    assert f"epoch {len(outcome.history) + 1}: training loss" in outcome.failure.reason
    assert all(math.isfinite(sum(m.values.values())) for m in outcome.history)
    assert outcome.weights is None


@both
@pytest.mark.parametrize("patience", [0, 3])
def test_a_loss_that_is_not_finite_fails_no_other_trial(small, name, patience):
    configs = several()
    sick = [overflowing(number=7, layer_size=18), overflowing(number=8, activation="leaky_relu")]
    outcomes = train(small, *configs, *sick, name=name, patience=patience)
    assert [o.state for o in outcomes[5:]] == [TrialState.FAIL] * 2
    for ours, theirs in zip(outcomes, train(small, *configs, name=name), strict=False):
        assert_same(ours, theirs, 1e-5)


class Reporting(WatchedGroup):
    """A group that reports what it is told to as a trial's losses in a certain epoch."""

    def __init__(self, group, trial: int, epoch: int, **losses: float) -> None:
        super().__init__(group, lambda *_: None)
        self._found = trial, epoch, losses

    def finish_epoch(self):
        trial, epoch, losses = self._found
        measured = self._group.finish_epoch()
        return [
            replace(m, values={**m.values, **losses})
            if (lane.config.number, lane.epoch + 1) == (trial, epoch)
            else m
            for lane, m in zip(self._group.lanes, measured, strict=True)
        ]


@pytest.mark.slow
@both
@pytest.mark.parametrize("loss", ["train_loss", "validation_loss"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("epoch", [1, 3, 4])
def test_the_epochs_before_the_loss_was_not_finite_are_kept(small, name, loss, value, epoch):
    lanes = 1 if name == "sequential" else 8
    engine = Engine(
        make_settings(lanes=lanes),
        small,
        lambda *arguments: Reporting(GROUPS[name](*arguments), 1, epoch, **{loss: value}),
    )
    outcomes = Driver(engine).run(*several(epochs=4))
    failed = outcomes[1]
    assert failed.failure.kind is FailureKind.NAN
    assert f"epoch {epoch}: " in failed.failure.reason
    assert str(value) in failed.failure.reason
    assert [m.epoch for m in failed.history] == list(range(1, epoch))
    assert failed.best_epoch == best_epoch(failed.history, make_settings().objective)
    assert [o.state.value for o in outcomes] == ["COMPLETE", "FAIL", *["COMPLETE"] * 3]


def test_an_unknown_engine_is_refused(small):
    with pytest.raises(ValueError, match="must be one of sequential, stacked; found 'warp'"):
        load_engine(make_settings(engine="warp"), small)


ERRORS = [
    (ZeroDivisionError("by zero\nsecond line"), FailureKind.EXCEPTION),
    (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), FailureKind.EXCEPTION),
    (ValueError(), FailureKind.EXCEPTION),
    (MemoryError(), FailureKind.OUT_OF_MEMORY),
    (torch.OutOfMemoryError("CUDA out of memory"), FailureKind.OUT_OF_MEMORY),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: x"), FailureKind.OUT_OF_MEMORY),
]

PLACES = ["build", "begin_epoch", "step", "finish_epoch", "copy_weights"]


@both
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("error", "kind"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_exception_is_the_trials_outcome(small, name, place, error, kind):
    """Of a trial alone, at every place; the engine continues."""

    def watch(what, trials, *_):
        if what == place and trials == [0]:
            raise error

    driver = Driver(make_engine(small, name, watch))
    (outcome,) = driver.run(make_config())
    assert outcome.state is TrialState.FAIL
    assert outcome.failure.kind is kind
    assert outcome.failure.reason.startswith(type(error).__name__)
    assert "\n" not in outcome.failure.reason
    assert "Traceback" in outcome.failure.traceback
    assert (outcome.history, outcome.weights) == ((), None)
    assert driver.engine.is_idle
    (after,) = driver.run(make_config(number=1, epochs=1))
    assert after.state is TrialState.COMPLETE


@pytest.mark.parametrize("place", ["build", "begin_epoch", "step", "finish_epoch"])
def test_an_exception_fails_the_trials_of_its_group_alone(small, place):
    def watch(what, trials, *_):
        if what == place and 1 in trials:
            raise ZeroDivisionError("as told")

    configs = several()
    other = [replace(changed(c, batch_size=60), number=c.number + 10) for c in configs]
    outcomes = Driver(make_engine(small, watch=watch, precision="float64")).run(*configs, *other)
    assert {o.failure.kind for o in outcomes[:5]} == {FailureKind.EXCEPTION}
    for ours, theirs in zip(outcomes[5:], train(small, *other, precision="float64"), strict=True):
        assert_same(ours, theirs)


@both
def test_the_epochs_before_an_exception_are_kept(small, name):
    count = 0

    def watch(what, *_):
        nonlocal count
        count += what == "step"
        if count > 2 * NUM_STEPS:
            raise ZeroDivisionError("as told")

    (outcome,) = Driver(make_engine(small, name, watch)).run(make_config(epochs=4))
    assert outcome.state is TrialState.FAIL
    assert [m.epoch for m in outcome.history] == [1, 2]
    assert outcome.best_epoch in (1, 2)
    assert outcome.weights is None


def test_when_gaps_cannot_be_closed_those_that_stay_fail(small):
    def watch(what, *_):
        if what == "keep":
            raise ZeroDivisionError("as told")

    driver = Driver(make_engine(small, watch=watch), prune_at({2: 1}), patience=2)
    outcomes = driver.run(*several())
    assert [o.state.value for o in outcomes] == ["FAIL", "FAIL", "PRUNED", "FAIL", "FAIL"]
    assert [len(o.history) for o in outcomes] == [1] * 5
    assert driver.engine.is_idle


@both
def test_a_network_that_cannot_be_allocated_is_out_of_memory(small, name):
    (outcome,) = train(small, make_config(layer_size=2**40), name=name)
    assert outcome.failure.kind is FailureKind.OUT_OF_MEMORY


# ---------------------------------------------------------------- edges


@both
@pytest.mark.parametrize(
    "changes",
    [
        {"num_layers": 1, "dropout": 0.5},
        {"batch_size": 65536},
        {"batch_size": 119},  # the last batch is one image
        {"batch_size": 120},
        {"batch_size": 1, "epochs": 1},
        {"layer_size": 1},
        {"num_layers": 64, "layer_size": 17, "epochs": 1},
        {"dropout": 0.99},
        {"momentum": 0.0, "optimizer": "sgd"},
        {"weight_decay": 0.0},
        {"epochs": 1, "batch_size": 65536, "learning_rate_schedule": "one_cycle"},
        {"epochs": 2, "batch_size": 65536, "learning_rate_schedule": "one_cycle"},
        {"epochs": 2, "batch_size": 100, "learning_rate_schedule": "one_cycle"},
    ],
    ids=str,
)
def test_edges(small, name, changes):
    config = make_config(**changes)
    (outcome,) = train(small, config, name=name, precision="float64")
    assert outcome.state is TrialState.COMPLETE, outcome.failure
    assert len(outcome.history) == config.params["epochs"]
    (other,) = train(small, config, name="sequential", precision="float64")
    assert_same(outcome, other)


@both
def test_an_epoch_of_many_validation_batches(digits, name):
    """More images than one batch of validation has."""
    pool = digits.train.take(np.arange(4200) % len(digits.train))
    data = replace(digits, train=digits.train.take(np.arange(64)), validation=pool)
    config = make_config(epochs=1)
    (outcome,) = train(data, config, name=name)
    predictions = logits_of(outcome, config, data).argmax(1)
    assert unpack_labels(outcome.validation_predictions, 10).tolist() == predictions.tolist()
    assert outcome.best.values["validation_accuracy"] == pytest.approx(
        (predictions == labels(data)).mean()
    )


@both
def test_an_epoch_costs_its_own_time_and_not_that_of_epochs_before_it(small, name, monkeypatch):
    ticks = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: float(next(ticks)))
    monkeypatch.setattr("sweep.training.groups.time", clock)
    (outcome,) = train(small, make_config(epochs=3), name=name)
    assert len({m.seconds for m in outcome.history}) == 1
