"""Another family than the multi-layer perceptron gets all that it gets."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import linear_family
import pytest
from helpers import HERE, run_cli, sqlite_url

import sweep
from sweep.definitions import parameters_of
from sweep.records import StudyRecord, TrialState
from sweep.space import load_space, search_space_schema

SPACE: dict[str, Any] = {
    "name": "own",
    "dataset": "digits",
    "model": "linear",
    "parameters": {
        "scale": {"low": 0.5, "high": 2.0},
        "epochs": {"low": 2, "high": 4},
        "learning_rate": 0.01,
        "batch_size": 64,
    },
    "sampler": "random",
    "pruner": "none",
    "budget": {"trials": 4},
}


def values(study: StudyRecord) -> list[list[float]]:
    outcomes = [trial.outcome for trial in study.trials]
    assert all(outcomes)
    return [[m.values["validation_loss"] for m in o.history] for o in outcomes if o]


def test_its_hyperparameters_are_its_own_and_the_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    linear_family.register(monkeypatch)
    assert list(parameters_of("linear"))[:2] == ["scale", "weight_decay"]
    assert load_space({"name": "a", "dataset": "digits", "model": "linear"}).domains["scale"] == 1
    with pytest.raises(sweep.SearchSpaceError, match="unknown key 'num_layers'"):
        load_space({**SPACE, "parameters": {"num_layers": 3}})
    with pytest.raises(sweep.SearchSpaceError, match=r"scale: must be at most 10\.0; found 11"):
        load_space({**SPACE, "parameters": {"scale": 11}})
    with pytest.raises(
        sweep.SearchSpaceError, match=r"must be one of mlp, cnn, linear; found 'linar'"
    ):
        load_space({**SPACE, "model": "linar"})
    assert "scale" in str(search_space_schema())


@pytest.mark.slow
@pytest.mark.parametrize("stackable", [True, False])
def test_it_is_searched_resumed_tested_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stackable: bool
) -> None:
    linear_family.register(monkeypatch, stackable=stackable)
    storage = sqlite_url(tmp_path)
    options = {**HERE, "engine": "auto", "storage": storage}
    study = sweep.run(SPACE, **options, trials=3)
    engines = {trial.outcome.engine for trial in study.trials if trial.outcome}
    assert engines == {"stacked" if stackable else "sequential"}
    study = sweep.resume("own", storage=storage, trials=4, executor="inline")
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 4
    assert {*study.trials[0].params} == {*parameters_of("linear")}
    report = sweep.report("own", storage=storage, out=tmp_path / "report")
    best = report.data["studies"]["own"]["best"]
    assert best["test_accuracy"] > 0.8
    assert set(report.data["studies"]["own"]["importances"] or {}) <= {"scale", "epochs"}


@pytest.mark.slow
def test_both_engines_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linear_family.register(monkeypatch)
    found = [
        values(sweep.run(SPACE, **{**HERE, **options}, precision="float32", storage=storage))
        for options, storage in (
            ({"engine": "sequential", "lanes": 1}, sqlite_url(tmp_path)),
            ({"engine": "stacked", "lanes": 4}, f"sqlite:///{tmp_path / 'stacked.db'}"),
        )
    ]
    for ours, theirs in zip(*found, strict=True):
        assert len(ours) == len(theirs)
        assert all(math.isclose(a, b, rel_tol=1e-4) for a, b in zip(ours, theirs, strict=True))


def test_a_family_without_a_stack_cannot_be_stacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linear_family.register(monkeypatch, stackable=False)
    with pytest.raises(sweep.InputError, match="model linear is trained one by one"):
        sweep.run(SPACE, **{**HERE, "engine": "stacked"}, storage=sqlite_url(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_study_of_a_family_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        linear_family.register(patched)
        sweep.run(SPACE, **HERE, storage=sqlite_url(tmp_path))
    shown = run_cli("show", "own", "--storage", sqlite_url(tmp_path), cwd=tmp_path)
    assert shown.returncode == 2
    assert "must be one of mlp, cnn; found 'linear'" in shown.stderr
    assert "Traceback" not in shown.stderr
