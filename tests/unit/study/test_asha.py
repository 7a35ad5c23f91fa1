"""`pruner: {type: asha}`: who is paused, promoted and given up, against a slow reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import best_epoch, make_metrics, space_mapping
from optuna.storages import InMemoryStorage

from sweep.errors import InputError
from sweep.records import (
    Decision,
    StartingPoint,
    TrialConfig,
    TrialOutcome,
    TrialState,
    rung_epochs,
)
from sweep.space import SearchSpace, load_space
from sweep.study import StudySession, promotion

MOST_EPOCHS = 9


def make_space(epochs: Any = MOST_EPOCHS, **pruner: Any) -> SearchSpace:
    asha = {"type": "asha", "rungs": [0.1, 0.25, 0.5], "reduction_factors": [2, 2, 2], **pruner}
    return load_space(
        space_mapping(
            parameters={"learning_rate": {"low": 1e-4, "high": 1e-1}, "epochs": epochs},
            sampler={"type": "random", "seed": 1},
            pruner=asha,
        )
    )


# ---------------------------------------------------------------- rungs


@pytest.mark.parametrize(
    ("shares", "epochs", "expected"),
    [
        ((0.05, 0.17, 0.5), 20, (1, 4, 10)),
        ((0.05, 0.17, 0.5), 5, (1, 2, 3)),  # 0.17 of 5 epochs is the first one, too
        ((0.05, 0.17, 0.5), 3, (1, 2)),  # the last would be at the end
        ((0.05, 0.17, 0.5), 1, ()),
        ((0.1, 0.2, 0.3), 10, (1, 2, 3)),  # 0.3 * 10 is 3.0000000000000004 to a computer
        ((0.5,), 100_000, (50_000,)),
        ((), 20, ()),
    ],
)
def test_rungs_are_shares_of_a_trials_epochs(shares, epochs, expected):
    assert rung_epochs(shares, epochs) == expected


def test_only_asha_has_them():
    assert load_space(space_mapping(pruner={"type": "hyperband"})).rungs == ()
    assert load_space(space_mapping(pruner="asha")).rungs == (0.05, 0.17)


@pytest.mark.parametrize(
    ("pruner", "message"),
    [
        ({"reduction_factors": [1, 2, 2]}, r"reduction_factors\.0.*at least 2"),
        ({"reduction_factors": [2, 2]}, "each rung needs a reduction factor; found 3 rungs and 2"),
        ({"rungs": [0.0, 0.2, 0.5]}, r"rungs\.0.*above 0"),
        ({"rungs": [0.1, 0.2, 1]}, r"rungs\.2.*below 1"),
        ({"rungs": [0.1, 0.1, 0.5]}, "rungs must ascend"),
        ({"rungs": [], "reduction_factors": []}, "rungs"),
        ({"bootstrap_count": 1}, "bootstrap_count"),
    ],
)
def test_its_options_are_checked(pruner, message):
    with pytest.raises(InputError, match=message):
        make_space(**pruner)


# ---------------------------------------------------------------- decisions


GIVEN = [StartingPoint({"learning_rate": rate}, "the portfolio") for rate in (0.01, 0.02)]


def value(trial: int, epoch: int) -> float:
    """Learning curves that cross, with ties."""
    return round(float(np.random.default_rng((trial, epoch)).random()) * 0.3 + epoch / 20, 1)


class Reference:
    """Who may go on, from all that was reported, without any memory."""

    def __init__(self, space: SearchSpace, total: int | None) -> None:
        self._shares = space.rungs
        self._total = total
        self.reports: dict[int, list[float]] = {}
        self.epochs: dict[int, int] = {}

    def place(self, trial: int, rung: int) -> int:
        """The epoch of a trial that counts at a rung: its last one if it has no such rung."""
        own = rung_epochs(self._shares, self.epochs[trial])
        return own[rung] if rung < len(own) else self.epochs[trial]

    def order(self, rung: int) -> list[int]:
        """The trials that have arrived, the best first."""
        at = {
            trial: values[self.place(trial, rung) - 1]
            for trial, values in self.reports.items()
            if len(values) >= self.place(trial, rung)
        }
        return sorted(at, key=lambda trial: (-at[trial], trial))

    def rung(self, trial: int) -> int:
        """The last rung at which a paused trial has arrived."""
        own = rung_epochs(self._shares, self.epochs[trial])
        return own.index(len(self.reports[trial]))

    def promoted(self, paused: set[int], *, at_end: bool) -> int | None:
        for rung in reversed(range(len(self._shares))):
            order = self.order(rung)
            number = len(order) // 2
            if at_end:
                number = max(1, number)
            for trial in order[:number]:
                if trial in paused and self.rung(trial) == rung:
                    return trial
        return None

    def has_hope(self, trial: int) -> bool:
        rung = self.rung(trial)
        places = 100
        if self._total is not None:
            places = min(100, max(1, self._total // 2))
        return trial in self.order(rung)[:places]


def outcome(config: TrialConfig, values: list[float], state: TrialState, space: SearchSpace):
    history = tuple(make_metrics(config.number, n, v) for n, v in enumerate(values, start=1))
    best = best_epoch(history, space.trial_objective)
    return TrialOutcome(config.number, state, history, best_epoch=best)


@pytest.mark.parametrize("restart", [False, True], ids=["in one go", "restarted"])
@pytest.mark.parametrize(
    ("epochs", "total"), [(MOST_EPOCHS, 12), ({"low": 1, "high": MOST_EPOCHS}, 20), (4, None)]
)
@pytest.mark.parametrize("starting", [(), GIVEN], ids=["drawn", "given"])
@pytest.mark.parametrize("seed", range(3))
def test_it_decides_as_the_slow_reference(epochs, total, restart, starting, seed):
    space, storage, draw = make_space(epochs), InMemoryStorage(), np.random.default_rng(seed)
    session = StudySession(storage, "x", space, starting=starting)
    session.enqueue()
    session.plan(total, {})
    expected = Reference(space, total)
    running: dict[int, TrialConfig] = {}
    states = {Decision.PAUSE: 0, Decision.PRUNE: 0, Decision.CONTINUE: 0}
    count = total or 15
    while True:
        if restart and not running:
            paused = session.paused
            session = StudySession(storage, "x", space, starting=starting)
            session.plan(total, {})
            assert session.recover(paused=paused) == []
        at_end = not running and session.num_started >= count
        number = session.promotable(at_end=at_end)
        assert number == expected.promoted(set(session.paused), at_end=at_end)
        if len(running) < 3 and number is not None:
            running[number] = session.promote(number)
        elif len(running) < 3 and session.num_started < count:
            config = session.ask()
            running[config.number] = config
            expected.epochs[config.number] = config.params["epochs"]
            expected.reports[config.number] = []
        elif running:
            number = int(draw.choice(sorted(running)))
            config, values = running[number], expected.reports[number]
            values.append(value(number, len(values) + 1))
            decision = session.report(make_metrics(number, len(values), values[-1]))
            states[decision] += 1
            if len(values) == config.params["epochs"]:
                assert decision is Decision.CONTINUE
                session.tell(outcome(config, values, TrialState.COMPLETE, space))
                del running[number]
            elif len(values) not in rung_epochs(space.rungs, config.params["epochs"]) or (
                starting and number == 0
            ):
                assert decision is Decision.CONTINUE
            else:
                hope = expected.has_hope(number)
                assert decision is (Decision.PAUSE if hope else Decision.PRUNE)
                del running[number]
                if hope:
                    session.pause(number)
                else:
                    session.tell(outcome(config, values, TrialState.PRUNED, space))
            hopeless = [each for each in session.paused if not expected.has_hope(each)]
            assert session.hopeless == hopeless
            for each in hopeless:
                values = expected.reports[each]
                config = TrialConfig(each, 0, {})
                session.tell(outcome(config, values, TrialState.PRUNED, space))
        else:
            break
    assert states[Decision.PAUSE] > 3
    assert any(len(v) == expected.epochs[trial] for trial, v in expected.reports.items())


def arrive(session: StudySession, value: float, loss: float = 1.0, epochs: int = 1) -> int:
    """A new trial that reports until it is paused or pruned; its number."""
    config = session.ask()
    metrics = make_metrics(config.number, epochs, value)
    session.report(
        type(metrics)(
            **{
                **{name: getattr(metrics, name) for name in metrics.__slots__},
                "values": {**metrics.values, "validation_loss": loss},
            }
        )
    )
    session.pause(config.number)
    return config.number


def test_of_equal_values_the_lower_loss_goes_on():
    session = StudySession(InMemoryStorage(), "x", make_space())
    arrive(session, 0.5, loss=0.9)
    assert session.promotable(at_end=False) is None
    assert arrive(session, 0.5, loss=0.8) == 1
    assert session.promotable(at_end=False) == 1


def test_too_few_trials_still_complete_one():
    space = make_space(reduction_factors=[4, 4, 4])
    session = StudySession(InMemoryStorage(), "x", space)
    session.plan(3, {})
    arrive(session, 0.5)
    assert session.promotable(at_end=False) is None
    assert session.promotable(at_end=True) == 0


def test_of_too_few_trials_the_best_goes_on_beside_the_one_that_never_paused():
    session = StudySession(InMemoryStorage(), "x", make_space(), starting=GIVEN[:1])
    session.enqueue()
    session.plan(2, {})
    session.ask()
    for epoch in range(1, MOST_EPOCHS + 1):
        assert session.report(make_metrics(0, epoch, 0.1)) is Decision.CONTINUE
    arrive(session, 0.5)
    assert session.promotable(at_end=True) == 1


def test_the_first_starting_point_comes_after_what_is_enqueued_and_never_pauses():
    mapping = make_space().to_json() | {"enqueue": [{"learning_rate": 0.05}]}
    session = StudySession(InMemoryStorage(), "x", load_space(mapping), starting=GIVEN)
    session.enqueue()
    trials = [session.ask().number for _ in range(4)]
    decisions = [session.report(make_metrics(trial, 1, 0.5)) for trial in trials]
    pause, go_on = Decision.PAUSE, Decision.CONTINUE
    assert decisions == [pause, go_on, pause, pause]


def test_without_a_number_of_trials_the_paused_ones_are_bounded(monkeypatch):
    monkeypatch.setattr(promotion, "_MOST_KEPT", 3)
    session = StudySession(InMemoryStorage(), "x", make_space())
    for value in (0.1, 0.2, 0.3, 0.4):
        arrive(session, value)
    assert session.hopeless == [0]
