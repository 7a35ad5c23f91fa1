"""`pruner: {type: asha}`: who is paused, promoted and given up, against a slow reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import best_epoch, make_metrics, space_mapping
from optuna.storages import InMemoryStorage

from sweep.errors import InputError
from sweep.records import Decision, TrialConfig, TrialOutcome, TrialState
from sweep.space import SearchSpace, load_space
from sweep.study import StudySession, promotion

MOST_EPOCHS = 9


def make_space(epochs: Any = MOST_EPOCHS, **pruner: Any) -> SearchSpace:
    return load_space(
        space_mapping(
            parameters={"learning_rate": {"low": 1e-4, "high": 1e-1}, "epochs": epochs},
            sampler={"type": "random", "seed": 1},
            pruner={"type": "asha", "reduction_factor": 2, **pruner},
        )
    )


# ---------------------------------------------------------------- rungs


@pytest.mark.parametrize(
    ("pruner", "epochs", "expected"),
    [
        ({}, 9, (1, 2, 4)),
        ({"reduction_factor": 4}, 20, (1, 4)),
        ({"reduction_factor": 4}, 16, (1, 4)),
        ({"reduction_factor": 4}, 15, (1,)),
        ({"reduction_factor": 3, "min_resource": 2}, 20, (2, 6)),
        ({"reduction_factor": 10}, 9, ()),
        ({"min_resource": 5}, {"low": 2, "high": 40}, (5, 10, 20)),
    ],
)
def test_each_rung_leaves_so_many_times_as_many_epochs_to_come(pruner, epochs, expected):
    assert make_space(epochs, **pruner).rungs == expected


def test_a_space_without_it_has_none():
    assert load_space(space_mapping(pruner={"type": "hyperband"})).rungs == ()


@pytest.mark.parametrize(
    ("pruner", "message"),
    [
        ({"reduction_factor": 1}, "reduction_factor.*greater than or equal to 2|at least 2"),
        ({"min_resource": 0}, "min_resource.*greater than or equal to 1|at least 1"),
        ({"bootstrap_count": 1}, "bootstrap_count"),
    ],
)
def test_its_options_are_checked(pruner, message):
    with pytest.raises(InputError, match=message):
        make_space(**pruner)


# ---------------------------------------------------------------- decisions


def value(trial: int, epoch: int) -> float:
    """Learning curves that cross, with ties."""
    return round(float(np.random.default_rng((trial, epoch)).random()) * 0.3 + epoch / 20, 1)


class Reference:
    """Who may go on, from all that was reported, without any memory."""

    def __init__(self, space: SearchSpace, total: int | None) -> None:
        self._rungs = space.rungs
        self._factor = space.pruner.reduction_factor
        self._total = total
        self.reports: dict[int, list[float]] = {}
        self.epochs: dict[int, int] = {}

    def order(self, rung: int) -> list[int]:
        """The trials that have arrived, the best first."""
        epoch = self._rungs[rung]
        at = {
            trial: values[min(epoch, self.epochs[trial]) - 1]
            for trial, values in self.reports.items()
            if len(values) >= min(epoch, self.epochs[trial])
        }
        return sorted(at, key=lambda trial: (-at[trial], trial))

    def rung(self, trial: int) -> int:
        """The last rung at which a paused trial has arrived."""
        return max(r for r, epoch in enumerate(self._rungs) if len(self.reports[trial]) >= epoch)

    def promoted(self, paused: set[int], *, at_end: bool) -> int | None:
        for rung in reversed(range(len(self._rungs))):
            order = self.order(rung)
            number = len(order) // self._factor
            later = self._rungs[rung + 1 :][:1]
            beyond = [
                trial
                for trial, values in self.reports.items()
                if len(values) == self.epochs[trial] or (later and len(values) >= later[0])
            ]
            if at_end and not beyond:
                number = max(1, number)
            for trial in order[:number]:
                if trial in paused and self.rung(trial) == rung:
                    return trial
        return None

    def has_hope(self, trial: int) -> bool:
        rung = self.rung(trial)
        places = 100
        if self._total is not None:
            places = min(100, max(1, self._total // self._factor ** (rung + 1)))
        return trial in self.order(rung)[:places]


def outcome(config: TrialConfig, values: list[float], state: TrialState, space: SearchSpace):
    history = tuple(make_metrics(config.number, n, v) for n, v in enumerate(values, start=1))
    best = best_epoch(history, space.trial_objective)
    return TrialOutcome(config.number, state, history, best_epoch=best)


@pytest.mark.parametrize("restart", [False, True], ids=["in one go", "restarted"])
@pytest.mark.parametrize(
    ("epochs", "total"), [(MOST_EPOCHS, 12), ({"low": 1, "high": MOST_EPOCHS}, 20), (4, None)]
)
@pytest.mark.parametrize("seed", range(3))
def test_it_decides_as_the_slow_reference(epochs, total, restart, seed):
    space, storage, draw = make_space(epochs), InMemoryStorage(), np.random.default_rng(seed)
    session = StudySession(storage, "x", space)
    session.plan(total, {})
    expected = Reference(space, total)
    running: dict[int, TrialConfig] = {}
    states = {Decision.PAUSE: 0, Decision.PRUNE: 0, Decision.CONTINUE: 0}
    count = total or 15
    while True:
        if restart and not running:
            paused = session.paused
            session = StudySession(storage, "x", space)
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
            elif len(values) not in space.rungs:
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
    space = make_space(reduction_factor=4)
    session = StudySession(InMemoryStorage(), "x", space)
    session.plan(3, {})
    arrive(session, 0.5)
    assert session.promotable(at_end=False) is None
    assert session.promotable(at_end=True) == 0


def test_without_a_number_of_trials_the_paused_ones_are_bounded(monkeypatch):
    monkeypatch.setattr(promotion, "_MOST_KEPT", 3)
    session = StudySession(InMemoryStorage(), "x", make_space())
    for value in (0.1, 0.2, 0.3, 0.4):
        arrive(session, value)
    assert session.hopeless == [0]
