"""Trials that run to their end against the pruner: how many, which, and after an interruption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers import HERE, sqlite_url, timeless
from killing import small_space

import sweep
from sweep.cli.json_output import trial_json
from sweep.cli.study_text import summarize, trial_text
from sweep.errors import Interrupted, SearchSpaceError
from sweep.records import Epoch, Notice, StudyRecord, TrialState
from sweep.reporting.pruning import pruning
from sweep.store import Store

TRIALS = 10
GOOD, POOR = (0.01, 0.011), (1e-4, 2e-4)
SPACE = small_space(
    TRIALS,
    parameters={
        "num_layers": 2,
        "layer_size": 16,
        "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
        "dropout": 0.1,
        "epochs": 6,
    },
    pruner={"type": "percentile", "percentile": 75.0, "n_startup_trials": 2, "n_warmup_steps": 2},
    # Whatever the weights begin with, the poor ones are far worse than the good ones.
    # None repeats another: it would be a copy.
    enqueue=[{"learning_rate": factor * rate} for factor in (1.0, 1.01) for rate in (*GOOD, *POOR)],
    budget={"trials": TRIALS, "audit": 2},
)


def run(storage: str, space: dict[str, Any] = SPACE, **options: Any) -> StudyRecord:
    return sweep.run(space, storage=storage, **HERE, **options)


def audits(study: StudyRecord) -> dict[int, int]:
    return {t.number: t.audited for t in study.trials if t.audited is not None}


@pytest.fixture(scope="module")
def events() -> list[Any]:
    return []


@pytest.fixture(scope="module")
def whole(tmp_path_factory, events) -> StudyRecord:
    return run(sqlite_url(tmp_path_factory.mktemp("whole")), on_event=events.append)


@pytest.mark.slow
def test_one_trial_of_each_slice_runs_to_its_end(whole, events):
    found = audits(whole)
    assert list(found) == [2, 6], "the first poor one of each half"
    for number in found:
        trial = whole.trials[number]
        assert (trial.state, trial.epochs_run) == (TrialState.COMPLETE, 6)
    assert [whole.trials[number].state for number in (3, 7)] == [TrialState.PRUNED] * 2
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert notices == [
        f"trial {number}: the pruner would end it after epoch {epoch}; it is audited and continues"
        for number, epoch in found.items()
    ]


def test_it_is_shown(whole):
    first, epoch = next(iter(audits(whole).items()))
    assert f"audited: the pruner would have ended it after epoch {epoch}" in trial_text(
        whole, whole.trials[first], has_weights=True
    )
    assert trial_json(whole, whole.trials[first])["audited"] == epoch
    found = pruning(whole).audit
    assert (found.num_planned, found.num_complete) == (2, 2)
    line = next(line for line in summarize(whole, 1.0).splitlines() if "audited" in line)
    assert line.startswith(f"2 trials audited: {found.num_better_than_best} of 2 would have beaten")


class StopAfter:
    """Says stop once a trial has finished so many epochs."""

    def __init__(self, trial: int, epoch: int) -> None:
        self._at, self._has_come = (trial, epoch), False

    def on_event(self, event: Any) -> None:
        if isinstance(event, Epoch):
            self._has_come |= self._at in [(m.trial, m.epoch) for m in event.metrics]

    def __call__(self) -> bool:
        return self._has_come


@pytest.mark.slow
@pytest.mark.parametrize("later", [-1, 0, 1])
def test_a_stopped_study_audits_the_same_trials(tmp_path: Path, whole, later):
    """Stopped before, at and after the epoch at which an audit was decided."""
    first, epoch = next(iter(audits(whole).items()))
    stop = StopAfter(first, epoch + later)
    with pytest.raises(Interrupted, match="interrupted; "):
        run(sqlite_url(tmp_path), on_event=stop.on_event, stop=stop)
    half = Store(sqlite_url(tmp_path), to_write=False).read_study("small")
    assert half.trials[first].state is TrialState.RUNNING
    again = sweep.resume("small", storage=sqlite_url(tmp_path), **HERE)
    assert audits(again) == audits(whole)
    for one, other in zip(again.trials, whole.trials, strict=True):
        assert (one.params, one.state, one.reports) == (other.params, other.state, other.reports)
        assert timeless(one.outcome) == timeless(other.outcome)


def test_more_trials_move_the_slices_and_add_no_more_than_planned(tmp_path, whole):
    storage = sqlite_url(tmp_path)
    half = run(storage, {**SPACE, "budget": {"trials": 4, "audit": 2}})
    assert list(audits(half)) == [2]
    more = sweep.resume("small", storage=storage, trials=TRIALS, **HERE)
    assert more.num_audits == 2
    assert audits(more).items() >= audits(half).items()
    assert list(audits(more)) == [2, 6]


def test_the_budget_may_change_its_audits(tmp_path):
    storage = sqlite_url(tmp_path)
    few = run(storage, {**SPACE, "budget": {"trials": 4}})
    assert (few.num_audits, audits(few)) == (0, {})
    assert few.count(TrialState.PRUNED) == 2
    more = run(storage)
    assert (more.num_audits, list(audits(more))[-1]) == (2, 6)
    assert sweep.resume("small", storage=storage, **HERE).num_audits == 2


def test_a_plan_without_a_pruner_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(SearchSpaceError, match=r"budget\.audit: needs a pruner"):
        run(sqlite_url(tmp_path), {**SPACE, "pruner": "none"})
    assert list(tmp_path.iterdir()) == []
