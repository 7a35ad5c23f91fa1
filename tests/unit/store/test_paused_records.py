"""What the store says of paused trials: state, damage, checkpoints."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from forging import forge
from helpers import begin, make_metrics, sqlite_url
from test_store import FACTS, SPACE, make_outcome

from sweep.errors import StoreError
from sweep.records import Checkpoint, StudyState, TrialState
from sweep.store import Store, StoredStudy, examine
from sweep.study import StudySession


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A study with a trial that is paused after its first epoch of two."""
    made = Store(sqlite_url(tmp_path), to_write=True)
    session = StudySession(made.storage, "made", SPACE)
    with made.lock("made"):
        made.write_study("made", StoredStudy(space=SPACE.to_json(), data=FACTS))
        begin(made, "made", session)
        session.report(make_metrics(0, 1, 0.5))
        made.trials("made").write_checkpoints([Checkpoint(0, 1, 0, b"one")])
        made.trials("made").write_paused(
            make_outcome(
                0,
                state=TrialState.PRUNED,
                history=(make_metrics(0, 1, 0.5),),
                best_epoch=1,
                weights=None,
            ),
        )
    return made


def again(store: Store) -> Store:
    return Store(store.url, to_write=False)


def edit(store: Store, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(store.path)) as database, database:
        assert database.execute(statement, values).rowcount == 1


def set_paused_at(store: Store, epoch: object) -> None:
    forge(store.path.parent, trial=lambda _, record: {**record, "paused_at": epoch})


def test_it_is_paused_with_its_reports_and_without_an_outcome(store):
    (trial,) = again(store).read_study("made").trials
    assert trial.state is TrialState.PAUSED
    assert (trial.reports, trial.epochs_run, trial.outcome) == ({1: 0.5}, 1, None)
    assert trial.reason == "paused after epoch 1 of 2"
    assert store.trials("made").read(0).outcome.state is TrialState.PRUNED


def test_promoted_it_is_running(store):
    store.trials("made").change(0, paused_at=None)
    (trial,) = again(store).read_study("made").trials
    assert (trial.state, trial.outcome, trial.reason) == (TrialState.RUNNING, None, None)


def test_told_pruned_it_has_its_outcome(store):
    session = StudySession(store.storage, "made", SPACE)
    session.recover(paused=[0])
    with store.lock("made"):
        outcome = store.trials("made").read(0).outcome
        with store.transaction():
            store.trials("made").discard_checkpoints(0)
            session.tell(outcome)
    (trial,) = again(store).read_study("made").trials
    assert (trial.state, trial.outcome) == (TrialState.PRUNED, outcome)
    assert not list(store.path.parent.rglob("checkpoint-*"))


@pytest.mark.parametrize("epoch", [2, 0, -1])
def test_an_epoch_that_it_did_not_report_is_noticed(store, epoch):
    set_paused_at(store, epoch)
    with pytest.raises(StoreError, match=r"trial 0: it was paused after epoch .*did not report"):
        again(store).read_study("made")


@pytest.mark.parametrize("epoch", ["1", 1.0, True, [1]])
def test_an_epoch_that_is_no_whole_number_is_noticed(store, epoch):
    set_paused_at(store, epoch)
    with pytest.raises(StoreError, match=r"trial 0: StoredTrial.paused_at: .*valid integer"):
        again(store).read_study("made")


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE trial_intermediate_values SET intermediate_value = 0.99", "reports differ"),
        ("UPDATE trials SET state = 'WAITING'", "it is WAITING and paused"),
        (
            "UPDATE trial_system_attributes SET value_json = replace(value_json, '_at', '_au') "
            "WHERE key = 'sweep:record'",
            "digest",
        ),
        (
            "UPDATE trial_system_attributes SET key = 'sweep:recorf' WHERE key = 'sweep:record'",
            "digest",
        ),
    ],
)
def test_damage_is_noticed(store, statement, reason):
    edit(store, statement)
    with pytest.raises(StoreError, match=reason):
        again(store).read_study("made")


def test_without_its_outcome_it_is_refused(store):
    forge(store.path.parent, trial=lambda _, record: {**record, "outcome": None})
    with pytest.raises(StoreError, match="has no history"):
        again(store).read_study("made")


def test_an_outcome_of_another_epoch_is_noticed(store):
    session = StudySession(store.storage, "made", SPACE)
    session.recover()
    session.report(make_metrics(0, 2, 0.7))
    set_paused_at(store, 2)
    with pytest.raises(StoreError, match=r"trial 0: its last epoch differ"):
        again(store).read_study("made")


def test_its_checkpoint_is_no_stray(store):
    (file,) = store.trials("made").recorded_checkpoints(0)
    store.trials("made").delete_strays(running=[0], keep=[])
    assert file.exists()


def test_the_doctor_finds_nothing_wrong_with_it(store):
    found = examine(store.url)
    assert not found.is_damaged
    assert [study.state for study in found.studies] == [StudyState.INTERRUPTED]
    assert [finding.what for finding in found.findings] == ["the study is not finished"]


def test_the_doctor_finds_its_damaged_checkpoint(store):
    (file,) = store.trials("made").recorded_checkpoints(0)
    file.write_bytes(b"half")
    (finding, _) = examine(store.url).findings
    assert "1 of 1 checkpoints of trial 0" in finding.what
    assert finding.advice.endswith("starts it again")
