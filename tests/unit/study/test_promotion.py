"""A paused trial: RUNNING in the store, PRUNED to samplers, promoted or told PRUNED in the end."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from helpers import best_epoch, make_metrics, space_mapping
from optuna.storages import InMemoryStorage, RDBStorage
from optuna.trial import TrialState as OptunaState

from sweep.records import Decision, TrialConfig, TrialOutcome, TrialState
from sweep.space import SearchSpace, load_space
from sweep.study import StudySession

EPOCHS = 5
PARAMETERS = {
    "num_layers": {"low": 1, "high": 4},
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "epochs": EPOCHS,
}
TPE = {"type": "tpe", "seed": 5, "n_startup_trials": 3}


ASHA = {  # rungs after epochs 1 and 2
    "type": "asha",
    "rungs": [0.2, 0.4],
    "reduction_factors": [2, 2],
}


def make_space(**changes: Any) -> SearchSpace:
    sections = {"parameters": PARAMETERS, "sampler": TPE, "pruner": ASHA, **changes}
    return load_space(space_mapping(**sections))


def accuracy(config: TrialConfig, epoch: int) -> float:
    params = config.params
    return (1 - abs(params["num_layers"] - 2) / 10 - params["learning_rate"]) * epoch / EPOCHS


def outcome_of(config: TrialConfig, space: SearchSpace, epochs: int, state: TrialState):
    history = tuple(
        make_metrics(config.number, epoch, accuracy(config, epoch))
        for epoch in range(1, epochs + 1)
    )
    best = best_epoch(history, space.trial_objective)
    return TrialOutcome(config.number, state, history, best_epoch=best)


def train(
    session: StudySession, config: TrialConfig, space: SearchSpace, start: int = 1
) -> Decision:
    """Report until a decision ends it or the epochs do; what was decided last."""
    for epoch in range(start, EPOCHS + 1):
        decision = session.report(make_metrics(config.number, epoch, accuracy(config, epoch)))
        if decision is Decision.PAUSE:
            session.pause(config.number)
            return decision
    session.tell(outcome_of(config, space, EPOCHS, TrialState.COMPLETE))
    return decision


def work(storage: Any, space: SearchSpace, count: int, *, restart: bool) -> list[Any]:
    """Promotions before new trials, as the runner has it; what was trained, in order."""
    said: list[Any] = []
    session = StudySession(storage, "x", space)
    epochs: dict[int, int] = {}
    while True:
        if restart:
            paused = session.paused
            session = StudySession(storage, "x", space)
            assert session.recover(paused=paused) == []
        number = session.promotable(at_end=False)
        if number is not None:
            config = session.promote(number)
        elif session.num_started < count:
            config = session.ask()
        else:
            return [*said, session.paused]
        start = epochs.get(config.number, 0) + 1
        said.append((config, start))
        if train(session, config, space, start) is Decision.PAUSE:
            epochs[config.number] = stored(storage, config.number).last_step


def stored(storage: Any, number: int) -> Any:
    return optuna.load_study(study_name="x", storage=storage).trials[number]


def test_a_paused_trial_is_running_in_the_store_and_pruned_to_whoever_looks_at_all(storage):
    space, database = make_space(), RDBStorage(storage)
    session = StudySession(database, "x", space)
    config = session.ask()
    assert train(session, config, space) is Decision.PAUSE
    assert session.paused == [0]
    assert stored(database, 0).state is OptunaState.RUNNING

    (shown,) = session._study.get_trials()
    assert shown.state is OptunaState.PRUNED
    assert shown.intermediate_values == {1: accuracy(config, 1)}
    assert shown.value == accuracy(config, 1)
    assert session._study.get_trials(states=[OptunaState.RUNNING]) == []
    assert session._study.get_trials(states=[OptunaState.PRUNED]) == [shown]
    assert session.num_started == 1

    assert session.promote(0) == config
    assert session.paused == []
    (shown,) = session._study.get_trials()
    assert (shown.state, shown.values) == (OptunaState.RUNNING, None)


def test_a_sampler_draws_what_it_would_draw_had_the_trial_been_pruned():
    def drawn(*, told: bool) -> list[TrialConfig]:
        storage, space = InMemoryStorage(), make_space()
        session = StudySession(storage, "x", space)
        configs = []
        for _ in range(8):
            configs.append(session.ask())
            assert train(session, configs[-1], space) is Decision.PAUSE
            if told:
                session.tell(outcome_of(configs[-1], space, 1, TrialState.PRUNED))
        return configs

    assert drawn(told=False) == drawn(told=True)


def test_restarts_change_neither_configurations_nor_promotions(storage):
    space = make_space()
    steady = work(RDBStorage(storage), space, 12, restart=False)
    assert work(InMemoryStorage(), space, 12, restart=True) == steady
    *trained, paused = steady
    promoted = [config.number for config, start in trained if start > 1]
    assert len(set(promoted)) < len(promoted), "one went on twice"
    assert len(paused) > 5


def test_a_trial_that_was_told_to_pause_and_has_not_left_is_told_again():
    """The schedule is not asked twice, and before that epoch it continues."""
    storage, space = InMemoryStorage(), make_space()
    session = StudySession(storage, "x", space)
    config = session.ask()
    metrics = make_metrics(0, 1, 0.5)
    assert session.report(metrics) is Decision.PAUSE
    later = StudySession(storage, "x", space)
    assert later.recover() == [config]
    later._schedule = None  # whoever asks it fails
    assert later.report(metrics) is Decision.PAUSE
    assert later.paused == []


def test_a_promoted_trial_that_has_not_reported_goes_on_after_a_restart():
    storage, space = InMemoryStorage(), make_space()
    session = StudySession(storage, "x", space)
    config = session.ask()
    train(session, config, space)
    session.promote(0)
    later = StudySession(storage, "x", space)
    assert later.recover() == [config]
    assert later.report(make_metrics(0, 1, accuracy(config, 1))) is Decision.CONTINUE
    assert later.report(make_metrics(0, 2, 0.5)) is Decision.PAUSE
    assert set(stored(storage, 0).intermediate_values) == {1, 2}


def test_once_told_pruned_a_trial_is_not_promoted():
    storage, space = InMemoryStorage(), make_space()
    session = StudySession(storage, "x", space)
    configs = [session.ask() for _ in range(3)]
    for config in configs:
        train(session, config, space)
    best = session.promotable(at_end=False)
    assert best is not None
    session.tell(outcome_of(configs[best], space, 1, TrialState.PRUNED))
    assert best not in session.paused
    assert session.promotable(at_end=False) is None
    with pytest.raises(KeyError, match=str(best)):
        session.promote(best)
    trial = stored(storage, best)
    assert (trial.state, trial.value) == (OptunaState.PRUNED, accuracy(configs[best], 1))


def test_after_its_last_epoch_no_trial_is_paused():
    space = make_space(parameters={**PARAMETERS, "epochs": 1})
    session = StudySession(InMemoryStorage(), "x", space)
    config = session.ask()
    assert session.report(make_metrics(config.number, 1)) is Decision.CONTINUE


def test_the_schedule_of_a_search_space_prunes_and_never_pauses():
    space = make_space(pruner={"type": "threshold", "lower": 0.5})
    assert space.rungs == ()
    session = StudySession(InMemoryStorage(), "x", space)
    for value, expected in ((0.9, Decision.CONTINUE), (0.1, Decision.PRUNE)):
        config = session.ask()
        assert session.report(make_metrics(config.number, 1, value)) is expected
    assert session.promotable(at_end=False) is None
