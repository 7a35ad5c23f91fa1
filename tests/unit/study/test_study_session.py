"""Ask, report, tell and recover: what a study does never depends on how often it was restarted."""

from __future__ import annotations

import math
import statistics
import warnings
from dataclasses import replace
from typing import Any

import optuna
import pytest
from helpers import best_epoch, make_metrics, space_mapping
from optuna.storages import InMemoryStorage, RDBStorage

from sweep.definitions import parameters_of, with_defaults
from sweep.records import (
    Decision,
    Failure,
    FailureKind,
    TrialConfig,
    TrialOutcome,
    TrialState,
)
from sweep.space import SearchSpace, load_space
from sweep.study import StudySession, derive_seed, distributions

DEFAULTS = with_defaults(parameters_of("mlp"), {})
CONDITIONAL = {
    "num_layers": {"low": 1, "high": 4},
    "layer_size": {"choices": [16, 32, 64], "when": {"num_layers": [2, 3, 4]}},
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "optimizer": {"choices": ["adamw", "sgd"]},
    "momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
    "epochs": 3,
}
GRID = {
    "num_layers": {"choices": [1, 2]},
    "layer_size": {"choices": [16, 32, 64], "when": {"num_layers": 2}},
    "activation": {"choices": ["relu", "tanh"]},
    "epochs": 3,
}


def make_space(**changes: Any) -> SearchSpace:
    return load_space(space_mapping(**changes))


def quality(config: TrialConfig) -> float:
    """A made-up accuracy that depends on the configuration."""
    params = config.params
    size = params["num_layers"] + params["layer_size"] / 64
    return 1 / (1 + size + abs(params["learning_rate"] - 0.01))


def finish(
    session: StudySession,
    config: TrialConfig,
    space: SearchSpace,
    values: list[float] | None = None,
) -> TrialState:
    """Pretend to train a trial that is known to the session."""
    if values is None:
        epochs = config.params["epochs"]
        values = [quality(config) * epoch / epochs for epoch in range(1, epochs + 1)]
    history, state = (), TrialState.COMPLETE
    for epoch, value in enumerate(values, 1):
        history += (make_metrics(config.number, epoch, value, loss=1 - value),)
        if session.report(history[-1]) is Decision.PRUNE:
            state = TrialState.PRUNED
            break
    best = best_epoch(history, space.trial_objective)
    session.tell(TrialOutcome(config.number, state, history, best_epoch=best))
    return state


def work(storage, space: SearchSpace, count: int, *, restart: bool) -> list[TrialConfig]:
    configs = []
    session = StudySession(storage, "x", space)
    session.enqueue()
    for _ in range(count):
        if restart:
            session = StudySession(storage, "x", space)
            session.enqueue()
        configs.append(session.ask())
        finish(session, configs[-1], space)
    return configs


SAMPLERS: dict[str, dict[str, Any]] = {
    "tpe": {"sampler": {"type": "tpe", "seed": 5, "n_startup_trials": 4}},
    "tpe alone": {
        "sampler": {"type": "tpe", "seed": 5, "n_startup_trials": 4, "multivariate": False}
    },
    "random": {"sampler": {"type": "random", "seed": 5}},
    "qmc": {"sampler": {"type": "qmc", "seed": 5}},
    "halton": {"sampler": {"type": "qmc", "seed": 5, "qmc_type": "halton", "scramble": False}},
    "gp": {"sampler": {"type": "gp", "seed": 5, "n_startup_trials": 6}},
    "grid": {"sampler": {"type": "grid", "seed": 5}, "parameters": GRID},
}


@pytest.mark.slow
@pytest.mark.parametrize("changes", SAMPLERS.values(), ids=SAMPLERS)
def test_restarts_change_no_configuration(storage, changes):
    space = make_space(**{"parameters": CONDITIONAL, "pruner": "median", **changes})
    count = min(8, space.num_configurations or 8)
    steady = work(RDBStorage(storage), space, count, restart=False)
    restarted = work(InMemoryStorage(), space, count, restart=True)
    assert restarted == steady
    assert [config.number for config in steady] == list(range(count))
    assert len({tuple(config.params.items()) for config in steady}) == count
    assert len({config.seed for config in steady}) == count


@pytest.mark.parametrize("name", ["tpe", "random", "grid"])
def test_another_seed_is_another_search(name):
    changes = {"parameters": CONDITIONAL, **SAMPLERS[name]}
    other = {**changes, "sampler": {**changes["sampler"], "seed": 6}}
    one = work(InMemoryStorage(), make_space(**changes), 6, restart=False)
    two = work(InMemoryStorage(), make_space(**other), 6, restart=False)
    assert [c.params for c in one] != [c.params for c in two]
    assert {c.seed for c in one}.isdisjoint(c.seed for c in two)


def test_tpe_learns_from_what_it_was_told():
    parameters = {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, "epochs": 1}
    sampler = {"type": "tpe", "seed": 0, "n_startup_trials": 8}
    space = make_space(parameters=parameters, sampler=sampler)
    session = StudySession(InMemoryStorage(), "x", space)
    distances = []
    for _ in range(40):
        config = session.ask()
        distances.append(abs(math.log10(config.params["learning_rate"]) + 2))
        finish(session, config, space, [1 / (1 + distances[-1])])
    assert statistics.fmean(distances[-16:]) < 0.6  # random draws are 0.83 away on average


def test_tpe_models_conditional_parameters_together_without_warnings():
    space = make_space(parameters=CONDITIONAL, sampler={"type": "tpe", "n_startup_trials": 3})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        configs = work(InMemoryStorage(), space, 15, restart=False)
    assert {config.params["optimizer"] for config in configs} == {"adamw", "sgd"}
    adamw = [config.params for config in configs if config.params["optimizer"] == "adamw"]
    assert {params["momentum"] for params in adamw} == {DEFAULTS["momentum"]}


def test_seeds_differ_by_study_trial_and_purpose():
    seeds = {
        derive_seed(study, trial, stream)
        for study in range(10)
        for trial in range(10)
        for stream in ("sampler", "training")
    }
    assert len(seeds) == 200
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_distributions_are_optunas(storage):
    space = make_space(
        parameters={**CONDITIONAL, "dropout": {"low": 0.0, "high": 0.4, "step": 0.2}}
    )
    assert distributions(space) == {
        "num_layers": optuna.distributions.IntDistribution(1, 4),
        "layer_size": optuna.distributions.CategoricalDistribution([16, 32, 64]),
        "learning_rate": optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True),
        "optimizer": optuna.distributions.CategoricalDistribution(["adamw", "sgd"]),
        "momentum": optuna.distributions.FloatDistribution(0.0, 0.9),
        "dropout": optuna.distributions.FloatDistribution(0.0, 0.4, step=0.2),
    }


# ---------------------------------------------------------------- grids


def tried(configs: list[TrialConfig], space: SearchSpace) -> list[dict[str, Any]]:
    return [{name: config.params[name] for name in space.sampled} for config in configs]


def expected_grid(space: SearchSpace) -> list[dict[str, Any]]:
    return [
        {n: configuration.get(n, DEFAULTS[n]) for n in space.sampled}
        for configuration in space.configurations()
    ]


def by_text(configurations: list[dict[str, Any]]) -> list[str]:
    return sorted(map(str, configurations))


@pytest.mark.parametrize(
    "enqueue",
    [
        [],
        [{"num_layers": 2, "layer_size": 32, "activation": "tanh"}],
        [{"num_layers": 1, "activation": "relu"}],
        [{"activation": "tanh", "num_layers": 2}],
        [{"activation": "tanh"}],
        [{"activation": "relu"}],
        [{}],
        [{"num_layers": 1, "activation": "relu", "epochs": 3}],
        [{"num_layers": 1, "activation": "relu"}, {"num_layers": 1, "activation": "tanh"}],
    ],
    ids=str,
)
def test_a_grid_tries_every_configuration_once(enqueue):
    space = make_space(parameters=GRID, sampler="grid", enqueue=enqueue, budget={})
    configs = work(InMemoryStorage(), space, space.num_trials, restart=False)
    assert by_text(tried(configs, space)) == by_text(expected_grid(space))
    for wanted, config in zip(enqueue, configs, strict=False):
        assert wanted.items() <= config.params.items()


def test_a_grid_reaches_the_end_of_a_stepped_range():
    parameters = {"dropout": {"low": 0.0, "high": 0.3, "step": 0.1}, "epochs": 1}
    space = make_space(parameters=parameters, sampler="grid", budget={})
    configs = work(InMemoryStorage(), space, 4, restart=False)
    assert sorted(c.params["dropout"] for c in configs) == pytest.approx([0.0, 0.1, 0.2, 0.3])


# ---------------------------------------------------------------- enqueued configurations

ENQUEUED = [
    {"num_layers": 2, "layer_size": 32},
    {"num_layers": 1, "layer_size": 16, "learning_rate": 0.005},
]


def test_enqueued_configurations_come_first_and_once(storage):
    space = make_space(enqueue=ENQUEUED)
    configs = work(RDBStorage(storage), space, 4, restart=True)
    for wanted, config in zip(ENQUEUED, configs[:2], strict=True):
        assert wanted.items() <= config.params.items()
    assert len(optuna.load_study(study_name="x", storage=storage).trials) == 4
    assert configs == work(InMemoryStorage(), space, 4, restart=False)


def test_interrupted_enqueuing_is_finished(storage):
    space = make_space(enqueue=ENQUEUED)
    StudySession(RDBStorage(storage), "x", space)
    optuna.load_study(study_name="x", storage=storage).enqueue_trial(ENQUEUED[0])
    session = StudySession(RDBStorage(storage), "x", space)
    session.enqueue()
    session.enqueue()
    assert session.num_started == 0
    trials = optuna.load_study(study_name="x", storage=storage).trials
    assert [trial.system_attrs["fixed_params"] for trial in trials] == ENQUEUED


# ---------------------------------------------------------------- telling


def stored(storage, number: int = 0) -> optuna.trial.FrozenTrial:
    return optuna.load_study(study_name="x", storage=storage).trials[number]


@pytest.mark.parametrize(
    ("metric", "value"), [("validation_accuracy", 0.9), ("validation_loss", pytest.approx(0.1))]
)
def test_a_complete_trial_is_told_its_best_epoch(metric, value):
    space = make_space(objective={"metric": metric})
    storage = InMemoryStorage()
    session = StudySession(storage, "x", space)
    finish(session, session.ask(), space, [0.5, 0.9, 0.7])
    trial = stored(storage)
    assert trial.state.name == "COMPLETE"
    assert trial.value == value
    study = optuna.load_study(study_name="x", storage=storage)
    assert study.direction.name == space.trial_objective.goal.upper()


def test_a_failure_is_told_as_one():
    storage, space = InMemoryStorage(), make_space()
    session = StudySession(storage, "x", space)
    config = session.ask()
    metrics = make_metrics(config.number, 1)
    session.report(metrics)
    failure = Failure(FailureKind.NAN, "nan")
    session.tell(TrialOutcome(0, TrialState.FAIL, (metrics,), best_epoch=1, failure=failure))
    trial = stored(storage)
    assert (trial.state.name, trial.value) == ("FAIL", None)
    assert trial.intermediate_values == {1: 0.5}


# ---------------------------------------------------------------- pruning

GOOD = [0.5, 0.7, 0.8, 0.85, 0.9, 0.92]
BAD = [0.2, 0.18, 0.16, 0.14, 0.12, 0.1]

PRUNERS: dict[str, Any] = {
    "median": {"type": "median", "n_startup_trials": 3},
    "percentile": {"type": "percentile", "percentile": 50.0, "n_startup_trials": 3},
    "threshold": {"type": "threshold", "lower": 0.3},
    "successive_halving": {"type": "successive_halving", "reduction_factor": 2},
    "hyperband": {"type": "hyperband", "reduction_factor": 2},
    "patient": {
        "type": "patient",
        "pruner": {"type": "median", "n_startup_trials": 3},
        "patience": 1,
    },
    "patient alone": {"type": "patient", "patience": 1},
}


@pytest.mark.parametrize("pruner", PRUNERS.values(), ids=PRUNERS)
def test_a_bad_trial_among_good_ones_is_pruned(pruner):
    space = make_space(
        pruner=pruner, parameters={"epochs": 6, "dropout": {"low": 0.0, "high": 0.5}}
    )
    session = StudySession(InMemoryStorage(), "x", space)
    for index in range(8):
        # Slightly better each time, so that no good trial is the worst of its rung.
        better = [value + index / 1000 for value in GOOD]
        assert finish(session, session.ask(), space, better) is TrialState.COMPLETE
    states = [finish(session, session.ask(), space, BAD) for _ in range(4)]
    assert TrialState.PRUNED in states


def test_a_trial_that_has_run_all_its_epochs_is_complete():
    """The threshold is missed in the last epoch only, and then with epochs to come."""
    low = [0.5, 0.5, 0.1]
    for epochs, state in ((3, TrialState.COMPLETE), (4, TrialState.PRUNED)):
        space = make_space(pruner=PRUNERS["threshold"], parameters={"epochs": epochs})
        session = StudySession(InMemoryStorage(), "x", space)
        assert finish(session, session.ask(), space, [*low, 0.5][:epochs]) is state


def test_without_a_pruner_nothing_is_pruned():
    space = make_space(pruner="none", parameters={"epochs": 6})
    session = StudySession(InMemoryStorage(), "x", space)
    for _ in range(8):
        finish(session, session.ask(), space, GOOD)
    assert finish(session, session.ask(), space, BAD) is TrialState.COMPLETE


def test_a_loss_is_pruned_when_it_is_high():
    space = make_space(
        objective={"metric": "validation_loss"},
        pruner=PRUNERS["median"],
        parameters={"epochs": 6},
    )
    session = StudySession(InMemoryStorage(), "x", space)
    for _ in range(4):
        finish(session, session.ask(), space, GOOD)
    assert finish(session, session.ask(), space, GOOD) is TrialState.COMPLETE
    assert finish(session, session.ask(), space, BAD) is TrialState.PRUNED


@pytest.mark.parametrize(
    "pruner",
    [
        "none",
        "hyperband",
        "successive_halving",
        "median",
        "percentile",
        {"type": "threshold", "upper": 0.5, "n_warmup_steps": 1, "interval_steps": 2},
        {"type": "hyperband", "reduction_factor": 4, "bootstrap_count": 1},
        {"type": "successive_halving", "min_resource": 2, "min_early_stopping_rate": 1},
        {"type": "median", "n_warmup_steps": 2, "interval_steps": 3, "n_min_trials": 2},
        {"type": "patient", "pruner": "hyperband", "patience": 0, "min_delta": 0.1},
    ],
    ids=str,
)
@pytest.mark.parametrize("epochs", [1, 6])
def test_every_pruner_works(pruner, epochs):
    space = make_space(pruner=pruner, parameters={"epochs": epochs})
    session = StudySession(InMemoryStorage(), "x", space)
    for _ in range(3):
        finish(session, session.ask(), space, GOOD[:epochs])
    assert session.num_started == 3


# ---------------------------------------------------------------- recovery


def test_an_orphan_keeps_its_number_configuration_and_seed(storage):
    space = make_space(parameters=CONDITIONAL)
    session = StudySession(RDBStorage(storage), "x", space)
    finish(session, session.ask(), space)
    lost = [session.ask(), session.ask()]
    session.report(make_metrics(1, 1))

    later = StudySession(RDBStorage(storage), "x", space)
    assert later.num_started == 3
    assert later.recover() == lost
    assert later.ask().number == 3
    for config in lost:
        finish(later, config, space)
    assert stored(storage, 1).state.name == "COMPLETE"
    assert StudySession(RDBStorage(storage), "x", space).recover()[0].number == 3


def test_an_orphan_of_an_enqueued_trial_keeps_its_configuration(storage):
    space = make_space(enqueue=ENQUEUED)
    session = StudySession(RDBStorage(storage), "x", space)
    session.enqueue()
    lost = session.ask()
    assert ENQUEUED[0].items() <= lost.params.items()
    later = StudySession(RDBStorage(storage), "x", space)
    later.enqueue()
    assert later.recover() == [lost]
    assert later.num_started == 1


def test_a_trial_whose_sampling_was_interrupted_is_sampled_to_the_end(storage):
    space = make_space(parameters=CONDITIONAL, sampler={"type": "random", "seed": 5})
    whole = work(InMemoryStorage(), space, 2, restart=False)
    session = StudySession(RDBStorage(storage), "x", space)
    finish(session, session.ask(), space)
    optuna.load_study(study_name="x", storage=storage).ask()  # killed before the first suggestion
    (config,) = StudySession(RDBStorage(storage), "x", space).recover()
    assert config.number == 1
    assert set(config.params) == set(whole[1].params)


@pytest.mark.parametrize("lost_after", range(1, 6))
@pytest.mark.parametrize("pruner", PRUNERS.values(), ids=PRUNERS)
def test_an_orphans_pruning_is_that_of_an_uninterrupted_trial(pruner, lost_after):
    """The trial is trained again from its start; known epochs bring the same decisions."""
    space = make_space(pruner=pruner, parameters={"epochs": 6})
    middling = [0.5, 0.55, 0.6, 0.62, 0.62, 0.62]

    def decisions(lost_after: int | None) -> list[Decision]:
        storage = InMemoryStorage()
        session = StudySession(storage, "x", space)
        for index in range(6):
            finish(session, session.ask(), space, [v + index / 1000 for v in GOOD])
        number = session.ask().number
        answers = []
        for epoch, value in enumerate(middling, 1):
            answers.append(session.report(make_metrics(number, epoch, value)))
            if answers[-1] is Decision.PRUNE:
                return answers
            if epoch == lost_after:
                session = StudySession(storage, "x", space)
                session.recover()
                answers = []
                for again in range(1, epoch + 1):
                    answers.append(session.report(make_metrics(number, again, middling[again - 1])))
        return answers

    assert decisions(lost_after) == decisions(None)


def test_recovered_reports_are_not_written_twice(storage):
    space = make_space(parameters={"epochs": 3})
    session = StudySession(RDBStorage(storage), "x", space)
    config = session.ask()
    session.report(make_metrics(0, 1, 0.25))
    later = StudySession(RDBStorage(storage), "x", space)
    later.recover()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        finish(later, config, space, [0.25, 0.5, 0.75])
    assert stored(storage).intermediate_values == {1: 0.25, 2: 0.5, 3: 0.75}


def test_a_seed_belongs_to_the_trial_not_to_the_configuration():
    space = make_space(enqueue=[ENQUEUED[1], ENQUEUED[1]])
    first, second = work(InMemoryStorage(), space, 2, restart=False)
    assert first.params == second.params
    assert replace(first, number=1, seed=second.seed) == second
    assert first.seed != second.seed


RUNG_PRUNERS = [
    {"type": "hyperband"},
    {"type": "successive_halving", "min_resource": 1},
    {"type": "median", "n_startup_trials": 1},
    {"type": "percentile", "n_startup_trials": 1},
]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("pruner", RUNG_PRUNERS, ids=lambda pruner: pruner["type"])
def test_a_decision_is_the_same_when_it_is_asked_for_again(pruner, restarted):
    """A rung of hyperband that was counted once answers otherwise the second time."""
    parameters = {**CONDITIONAL, "epochs": 9}
    space = make_space(parameters=parameters, pruner=pruner, budget={"trials": 30})
    storage = InMemoryStorage()
    session = StudySession(storage, "x", space)
    seen = set()
    for number in range(12):
        config = session.ask()
        for epoch in range(1, 10):
            metrics = make_metrics(number, epoch, accuracy=(17 * number + epoch) % 12 / 12)
            decision = session.report(metrics)
            if restarted:
                session = StudySession(storage, "x", space)
                assert session.recover() == [config]
            assert session.report(metrics) is decision
            seen.add(decision)
            if decision is Decision.PRUNE:
                break
        state = TrialState.PRUNED if decision is Decision.PRUNE else TrialState.COMPLETE
        history = tuple(make_metrics(number, e, 0.5) for e in range(1, epoch + 1))
        session.tell(TrialOutcome(number, state, history, best_epoch=1))
    assert seen == {Decision.CONTINUE, Decision.PRUNE}


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])
def test_optuna_is_told_how_a_trial_ended(state):
    storage, space = InMemoryStorage(), make_space()
    session = StudySession(storage, "x", space)
    config = session.ask()
    metrics = make_metrics(config.number, 1, 0.25)
    session.report(metrics)
    failure = Failure(FailureKind.NAN, "no number") if state is TrialState.FAIL else None
    session.tell(TrialOutcome(config.number, state, (metrics,), best_epoch=1, failure=failure))
    (trial,) = optuna.load_study(study_name="x", storage=storage).trials
    assert trial.state.name == state
    assert trial.intermediate_values == {1: 0.25}
    if state is not TrialState.PRUNED:
        assert trial.value == (0.25 if state is TrialState.COMPLETE else None)


def test_a_gaussian_process_leaves_the_threads_of_the_process_alone():
    import torch

    sampler = {"type": "gp", "seed": 1, "n_startup_trials": 2}
    space = load_space(space_mapping(sampler=sampler, pruner="none"))
    session = StudySession(InMemoryStorage(), "x", space)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        for _ in range(4):
            config = session.ask()
            history = (make_metrics(config.number, 1, config.params["learning_rate"]),)
            session.report(history[0])
            outcome = TrialOutcome(config.number, TrialState.COMPLETE, history, best_epoch=1)
            session.tell(outcome)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
