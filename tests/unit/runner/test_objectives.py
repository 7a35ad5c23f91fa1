"""Each metric can be what a study ranks by: its best epochs, its best trial, what Optuna sees."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import optuna
import pytest
from helpers import HERE, best_epoch, space_mapping

import sweep
from sweep import definitions
from sweep.data import sources
from sweep.data.parts import Part, Pool
from sweep.definitions import OBJECTIVES
from sweep.records import DataSpec, Objective, StudyRecord, TrialState
from sweep.store import Store

PARAMETERS = {
    "num_layers": 2,
    "layer_size": {"choices": [4, 16, 64]},
    "optimizer": "sgd",
    "learning_rate": {"low": 0.01, "high": 2.0, "log": True},
    "learning_rate_schedule": "constant",
    "weight_decay": 0.0,
    "epochs": 10,
    "batch_size": 16,
}
SPEC = DataSpec("table", (4,), ("common", "rare", "rarest"), 480, 0)


class Unbalanced:
    """Classes of 80, 15 and 5 per cent that overlap: to guess the common one is often right."""

    def pool(self) -> Pool:
        generator = np.random.default_rng(0)
        labels = generator.choice(3, SPEC.num_pool, p=[0.8, 0.15, 0.05])
        inputs = generator.normal(size=(SPEC.num_pool, 4)) + np.eye(3, 4)[labels] * 1.2
        return Pool(Part(inputs.astype(np.float32), labels), SPEC.class_names, SPEC.num_test)


@pytest.fixture
def unbalanced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(definitions.DATASETS, "unbalanced", SPEC)
    monkeypatch.setitem(sources.SOURCES, "unbalanced", lambda _settings: Unbalanced())


def space(metric: str) -> dict[str, Any]:
    return space_mapping(
        dataset="unbalanced", parameters=PARAMETERS, objective=metric, budget={"trials": 6}
    )


def choices(study: StudyRecord, metric: str) -> list[int | None]:
    """The epochs and the trial that a metric would choose of what was trained."""
    objective = Objective(metric, OBJECTIVES[metric].goal)
    epochs = [best_epoch(trial.outcome.history, objective) for trial in study.trials]
    values = [
        objective.value(trial.outcome.history[epoch - 1])
        for trial, epoch in zip(study.trials, epochs, strict=True)
    ]
    best = max(values) if objective.goal == "maximize" else min(values)
    losses = [
        trial.outcome.history[epoch - 1].values["validation_loss"]
        for trial, epoch in zip(study.trials, epochs, strict=True)
    ]
    tied = [number for number, value in enumerate(values) if value == best]
    return [*epochs, min(tied, key=lambda number: losses[number])]


@pytest.mark.slow
@pytest.mark.usefixtures("unbalanced")
@pytest.mark.parametrize("engine", ["sequential", "stacked"])
@pytest.mark.parametrize("metric", OBJECTIVES)
def test_a_study_ranks_by_its_metric(storage, main, metric, engine):
    study = sweep.run(space(metric), storage=storage, **{**HERE, "engine": engine})
    goal = OBJECTIVES[metric].goal
    assert study.objective == Objective(metric, goal)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    *epochs, best = choices(study, metric)
    assert [trial.outcome.best_epoch for trial in study.trials] == epochs
    assert study.best.number == best
    for trial in study.trials:
        assert trial.reports == {m.epoch: m.values[metric] for m in trial.outcome.history}
        assert study.value(trial) == trial.outcome.best.values[metric]
        losses = trial.outcome.validation_losses
        if metric == "validation_loss":
            found = np.frombuffer(losses, np.float32)
            assert len(found) == SPEC.num_pool // 6
            assert found.mean() == pytest.approx(study.value(trial), rel=1e-4)
        else:
            assert losses is None
    assert Store(storage, to_write=False).read_study("small") == study

    theirs = optuna.load_study(study_name="small", storage=storage)
    assert theirs.direction.name == goal.upper()
    assert theirs.best_value == study.value(study.best)  # Optuna takes the first of equal ones

    shown = json.loads(main(f"show small --json --storage {storage}", code=0)[0])
    assert shown["best"]["number"] == best
    text, _ = main(f"show small {best} --storage {storage}", code=0)
    assert f"{best} of study small: COMPLETE, {metric} " in text
    assert ("%" in text.splitlines()[0]) == (metric != "validation_loss")
    plain = json.loads(main(f"show small {best} --json --storage {storage}", code=0)[0])
    assert plain["history"][plain["best_epoch"] - 1]["values"][metric] == plain["value"]
    assert not {"validation_predictions", "validation_losses", "weights"} & plain.keys()


@pytest.mark.usefixtures("unbalanced")
def test_the_metrics_disagree_about_what_the_test_above_trains(storage):
    """Otherwise it would pass whatever a study ranked by."""
    study = sweep.run(space("validation_accuracy"), storage=storage, **HERE)
    found = [choices(study, metric) for metric in OBJECTIVES]
    assert len({tuple(epochs) for *epochs, _ in found}) == len(OBJECTIVES)
    assert len({best for *_, best in found}) > 1
