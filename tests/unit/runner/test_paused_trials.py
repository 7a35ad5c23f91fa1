"""Studies whose trials are paused and promoted: to their end, stopped and resumed, shown."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from helpers import HERE, sqlite_url, timeless
from killing import small_space

import sweep
from sweep.cli.json_output import study_json
from sweep.cli.progress import Tally
from sweep.cli.study_text import headline, study_rows, summarize
from sweep.errors import Interrupted, StoreError
from sweep.execution import Pool
from sweep.records import (
    Epoch,
    Failure,
    FailureKind,
    Notice,
    Paused,
    Resumed,
    StudyOpened,
    StudyRecord,
    StudyState,
    TrialOutcome,
    TrialStarted,
    TrialState,
)
from sweep.reporting.tables import counts
from sweep.runner.loop import Loop
from sweep.store import Store
from sweep.store.trials import Trials
from sweep.study import StudySession

TRIALS = 9
EPOCHS = 5
SPACE = small_space(
    TRIALS,
    parameters={
        "num_layers": 2,
        "layer_size": 16,
        "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
        "dropout": 0.1,
        "epochs": EPOCHS,
    },
    pruner={"type": "asha", "rungs": [0.2, 0.4], "reduction_factors": [2, 2]},
)
RUNGS = (1, 2)
ENGINES = {"sequential": HERE, "stacked": {**HERE, "engine": "stacked", "lanes": 3}}


def run(storage: str, engine: str = "sequential", **options: Any) -> StudyRecord:
    return sweep.run(SPACE, storage=storage, **{**ENGINES[engine], **options})


def resume(storage: str, engine: str = "sequential", **options: Any) -> StudyRecord:
    return sweep.resume("small", storage=storage, **{**ENGINES[engine], **options})


def read(storage: str) -> StudyRecord:
    return Store(storage, to_write=False).read_study("small")


def checkpoints(storage: str) -> list[Path]:
    return sorted(Path(storage.removeprefix("sqlite:///")).parent.rglob("checkpoint-*"))


def assert_same(one: StudyRecord, other: StudyRecord) -> None:
    for mine, theirs in zip(one.trials, other.trials, strict=True):
        assert (mine.params, mine.state, mine.reports) == (
            theirs.params,
            theirs.state,
            theirs.reports,
        )
        assert timeless(mine.outcome) == timeless(theirs.outcome)
    assert (one.state, one.finished_by) == (other.state, other.finished_by)


@dataclasses.dataclass
class Made:
    """A study to which nothing happened, and what those who watched were told."""

    storage: str
    record: StudyRecord
    events: list[Any]


@pytest.fixture(scope="module")
def makes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    found: dict[str, Made] = {}
    for engine in ENGINES:
        storage = sqlite_url(tmp_path_factory.mktemp(engine))
        events: list[Any] = []
        record = run(storage, engine, on_event=events.append)
        found[engine] = Made(storage, record, events)
    return found


@pytest.fixture(params=ENGINES)
def made(makes, request) -> Made:
    return makes[request.param]


# ---------------------------------------------------------------- to the end


@pytest.mark.slow
def test_the_best_are_promoted_and_the_others_pruned_where_they_stood(made):
    study = made.record
    assert (study.state, study.finished_by) == (StudyState.FINISHED, "trials")
    epochs = [trial.epochs_run for trial in study.trials]
    assert set(epochs) == {*RUNGS, EPOCHS}
    assert len([count for count in epochs if count > RUNGS[0]]) >= 3
    for trial in study.trials:
        is_whole = trial.epochs_run == EPOCHS
        assert trial.state is (TrialState.COMPLETE if is_whole else TrialState.PRUNED)
        assert trial.reports == {
            m.epoch: m.values["validation_accuracy"] for m in trial.outcome.history
        }
        assert trial.outcome.worker == 0
    assert checkpoints(made.storage) == []


def test_those_who_watch_are_told_in_order(made):
    of_best = [
        event
        for event in made.events
        if isinstance(event, TrialStarted | Paused | Resumed | TrialOutcome)
        and made.record.best.number
        in (
            getattr(event, "trial", None),
            event.config.number if isinstance(event, TrialStarted) else None,
            event.outcome.trial if isinstance(event, Paused) else None,
        )
    ]
    again = [TrialStarted, Resumed]
    assert [type(event) for event in of_best] == [
        TrialStarted, Paused, *again, Paused, *again, TrialOutcome,
    ]  # fmt: skip
    ended = [event.trial for event in made.events if isinstance(event, TrialOutcome)]
    assert sorted(ended) == list(range(TRIALS)), "each once"
    tally = Tally()
    for event in made.events:
        tally.update(event)
    assert tally.finished == {
        state: made.record.count(state)
        for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    }
    assert (tally.running, tally.paused) == ({}, {})
    assert tally.epochs == sum(trial.epochs_run for trial in made.record.trials)


def test_what_cannot_be_promoted_any_more_is_pruned_before_the_end(makes):
    paused: set[int] = set()
    given_up, last_start = [], 0
    for position, event in enumerate(makes["sequential"].events):
        match event:
            case Paused(outcome):
                paused.add(outcome.trial)
            case TrialStarted(config):
                paused.discard(config.number)
                last_start = position
            case TrialOutcome() if event.trial in paused:
                given_up.append(position)
    assert given_up
    assert given_up[0] < last_start


def test_a_promoted_trial_is_what_it_would_be_without_a_pause(makes):
    made = makes["sequential"]
    best = made.record.best.number
    found = sweep.reproduce("small", best, storage=made.storage, executor="inline")
    assert found.is_identical
    assert found.weights


def test_more_trials_leave_those_that_were_pruned_as_they_are(makes, tmp_path):
    storage = sqlite_url(tmp_path)
    first = run(storage, trials=6)
    more = resume(storage, trials=TRIALS)
    ended = {t.number: t.outcome for t in first.trials}
    assert {t.number: t.outcome for t in more.trials[:6]} == ended
    assert more.count(TrialState.PAUSED, TrialState.RUNNING) == 0
    assert len(more.trials) == TRIALS


# ---------------------------------------------------------------- stopped and resumed


class StopAt:
    """Says stop at the n-th event of a kind."""

    def __init__(self, kind: type, count: int) -> None:
        self._kind, self._left = kind, count

    def on_event(self, event: Any) -> None:
        self._left -= isinstance(event, self._kind)

    def __call__(self) -> bool:
        return self._left <= 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "count"),
    [
        (Paused, 1),
        (Paused, 4),
        (Paused, 7),
        (Resumed, 1),
        (Resumed, 2),
        (Epoch, 6),
        (TrialOutcome, 1),
    ],
)
def test_a_stopped_study_ends_as_if_it_had_not_been(made, tmp_path, kind, count):
    engine = made.record.trials[0].outcome.engine
    storage = sqlite_url(tmp_path)
    stop = StopAt(kind, count)
    with pytest.raises(Interrupted, match="interrupted"):
        run(storage, engine, on_event=stop.on_event, stop=stop)
    half = read(storage)
    paused = [t.number for t in half.trials if t.state is TrialState.PAUSED]
    kept = {int(path.name.split("-")[1]) for path in checkpoints(storage)}
    assert set(paused) <= kept, "their checkpoints are there"
    events: list[Any] = []
    again = resume(storage, engine, on_event=events.append)
    assert not [event for event in events if isinstance(event, Notice)], "and are used"
    if engine == "sequential":
        assert_same(again, made.record)
    assert (again.state, again.finished_by) == (StudyState.FINISHED, "trials")
    assert {trial.state for trial in again.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert checkpoints(storage) == []


def test_the_next_command_does_not_take_it_up_as_an_orphan(tmp_path, monkeypatch):
    """It would only be trained to be paused again."""
    storage = sqlite_url(tmp_path)
    stop = StopAt(Paused, 2)
    with pytest.raises(Interrupted, match="interrupted"):
        run(storage, on_event=stop.on_event, stop=stop)
    monkeypatch.setattr(Loop, "_is_too_late", True)
    events: list[Any] = []
    study = resume(storage, on_event=events.append)
    assert [type(event) for event in events] == [StudyOpened]
    assert [trial.state for trial in study.trials] == [TrialState.PAUSED] * 2


class Killed(BaseException):
    """The driver is no more; nothing that it would do on the way out happens."""


MOMENTS = {
    "told to pause": (Pool, "decide", 1),
    "told to pause, later": (Pool, "decide", 6),
    "checkpoint there, pause not": (Trials, "write_paused", 1),
    "paused": (Loop, "_promote_trial", 3),
    "about to promote": (StudySession, "promote", 1),
    "promoted, not submitted": (Loop, "_go_on_with", 1),
    "promoted, submitted": (StudySession, "promote", 2),
    "promoted, about to report": (Loop, "_go_on", 1),
    "about to end": (Loop, "_finish_study", 1),
    "ending": (Trials, "discard_checkpoints", 5),
}


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_a_driver_that_dies_at_this_moment_changes_nothing(makes, tmp_path, monkeypatch, moment):
    owner, name, call = moment
    original, calls = getattr(owner, name), []

    def die(*args: Any, **options: Any) -> Any:
        calls.append(name)
        if len(calls) == call:
            raise Killed
        return original(*args, **options)

    storage = sqlite_url(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, die)
        with pytest.raises(Killed, match=r"^$"):
            run(storage)
    assert read(storage).finished_by is None
    assert_same(resume(storage), makes["sequential"].record)
    assert checkpoints(storage) == []


def test_a_lost_checkpoint_costs_time_and_nothing_else(makes, tmp_path):
    storage = sqlite_url(tmp_path)
    stop = StopAt(Paused, 3)
    with pytest.raises(Interrupted, match="interrupted"):
        run(storage, on_event=stop.on_event, stop=stop)
    for path in checkpoints(storage):
        path.write_bytes(b"half")
    events: list[Any] = []
    again = resume(storage, on_event=events.append)
    assert_same(again, makes["sequential"].record)
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert any("its checkpoint is missing or damaged" in text for text in notices)


# ---------------------------------------------------------------- time


@pytest.mark.slow
def test_after_the_timeout_nothing_is_promoted_and_the_study_can_go_on(tmp_path, monkeypatch):
    """All trials have been started, the last to arrive is promoted by the next command."""
    storage, total = sqlite_url(tmp_path), 8
    with monkeypatch.context() as patch:
        # Once the last trial has started it is too late for anything.
        patch.setattr(
            Loop, "_is_too_late", property(lambda loop: loop._spending.num_started >= total)
        )
        half = run(storage, trials=total)
    assert (half.state, half.finished_by) == (StudyState.FINISHED, "timeout")
    assert len(half.trials) == total
    assert half.count(TrialState.PAUSED) > 1
    assert half.count(TrialState.RUNNING) == 0
    again = resume(storage)
    (tmp_path / "whole").mkdir()
    assert_same(again, run(sqlite_url(tmp_path / "whole"), trials=total))
    promoted = [t.number for t in again.trials if t.epochs_run > half.trials[t.number].epochs_run]
    assert promoted


def test_the_timeout_of_a_study_without_a_number_of_trials_leaves_its_trials_paused(
    tmp_path, monkeypatch
):
    storage = sqlite_url(tmp_path)
    monkeypatch.setattr(
        Loop, "_is_too_late", property(lambda loop: loop._spending.num_started >= 3)
    )
    study = sweep.run({**SPACE, "budget": {"timeout": 1000}}, storage=storage, **HERE)
    assert study.finished_by == "timeout"
    assert {trial.state for trial in study.trials} == {TrialState.PAUSED}


# ---------------------------------------------------------------- failures


def test_what_ended_its_workers_is_remembered_over_a_pause(tmp_path, monkeypatch):
    """A trial that may end its worker gets one to itself, promoted or not."""
    storage = sqlite_url(tmp_path)
    stop = StopAt(Paused, 2)
    with pytest.raises(Interrupted, match="interrupted"):
        run(storage, on_event=stop.on_event, stop=stop)
    store = Store(storage, to_write=True)
    lost = Failure(FailureKind.KILLED, "signal 9")
    for trial in range(2):
        store.trials("small").change(trial, lost=(lost,))
    given: list[Any] = []
    original = Pool.resubmit
    monkeypatch.setattr(
        Pool,
        "resubmit",
        lambda pool, config, checkpoint, failures=(): (
            given.append((config.number, failures)) or original(pool, config, checkpoint, failures)
        ),
    )
    resume(storage)
    (first, failures), *_ = given
    assert first < 2
    assert failures == (lost,)


# ---------------------------------------------------------------- shown


@pytest.fixture
def half(tmp_path) -> str:
    """A study that was stopped with five paused trials."""
    storage = sqlite_url(tmp_path)
    stop = StopAt(Paused, 5)
    with pytest.raises(Interrupted, match="interrupted"):
        run(storage, on_event=stop.on_event, stop=stop)
    return storage


def test_it_is_shown(half):
    study = read(half)
    num = study.count(TrialState.PAUSED)
    assert num >= 4
    assert f"{num} paused" in headline(study)
    assert f"of {TRIALS}, {num} paused" in study_rows([study])
    assert f"{num} paused" in summarize(study, 1.0)
    shown = [t for t in study_json(study, with_trials=True)["trials"] if t["state"] == "PAUSED"]
    assert len(shown) == num
    assert {(t["value"], t["epochs_run"]) for t in shown} <= {(None, epoch) for epoch in RUNGS}
    assert {t["reason"] for t in shown} <= {f"paused after epoch {e} of {EPOCHS}" for e in RUNGS}


@pytest.mark.usefixtures("words_only")
def test_a_report_counts_it_and_is_not_broken_by_it(half, tmp_path):
    study = read(half)
    assert counts(study).paused == study.count(TrialState.PAUSED)
    sweep.report("small", storage=half, out=tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert f"{study.count(TrialState.PAUSED)} paused" in page
    rows = (tmp_path / "report" / "trials.csv").read_text().splitlines()
    assert sum(",PAUSED," in row for row in rows) == study.count(TrialState.PAUSED)


def test_it_has_not_ended_and_is_not_reproduced(half):
    number = next(t.number for t in read(half).trials if t.state is TrialState.PAUSED)
    with pytest.raises(StoreError, match=rf"trial {number} of study 'small' is PAUSED: there is"):
        sweep.reproduce("small", number, storage=half, executor="inline")


def test_its_search_is_not_confirmed_before_it_is_finished(half):
    with pytest.raises(StoreError, match=r"only a finished search is confirmed"):
        sweep.confirm("small", storage=half, **HERE)


def test_its_checkpoint_is_written_before_it_is_paused(tmp_path, monkeypatch):
    written: list[tuple[str, int]] = []
    for name in ("write_checkpoints", "write_paused"):
        original = getattr(Trials, name)

        def note(trials: Trials, what: Any, name=name, original=original) -> None:
            each = what if isinstance(what, list) else [what]
            written.extend((name, one.trial) for one in each)
            original(trials, what)

        monkeypatch.setattr(Trials, name, note)
    run(sqlite_url(tmp_path), trials=3, checkpoint_every=1000.0)
    assert [name for name, _ in written[:4]] == ["write_checkpoints", "write_paused"] * 2
    assert [trial for _, trial in written[:4:2]] == [trial for _, trial in written[1:4:2]]
