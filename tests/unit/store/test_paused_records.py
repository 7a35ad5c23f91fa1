"""What the store says of paused trials: state, damage, checkpoints."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from helpers import make_metrics, sqlite_url
from test_store import FACTS, SPACE, make_outcome

from sweep.errors import StoreError
from sweep.records import Checkpoint, StudyState, TrialState
from sweep.store import Store, examine
from sweep.store.seal import seal
from sweep.study import StudySession


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A study with a trial that is paused after its first epoch of two."""
    made = Store(sqlite_url(tmp_path), to_write=True)
    session = StudySession(made.storage, "made", SPACE)
    with made.lock("made"):
        made.write_study("made", space=SPACE.to_json(), data=FACTS)
        made.write_config("made", session.ask())
        session.report(make_metrics(0, 1, 0.5))
        made.write_checkpoints("made", [Checkpoint(0, 1, 0, b"one")])
        made.write_paused(
            "made",
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
    sealed = json.dumps(seal(["made", 0], "sweep_paused_at", epoch))
    where = "UPDATE trial_user_attributes SET value_json = ? WHERE key = 'sweep_paused_at'"
    edit(store, where, sealed)


def test_it_is_paused_with_its_reports_and_without_an_outcome(store):
    (trial,) = again(store).read_study("made").trials
    assert trial.state is TrialState.PAUSED
    assert (trial.reports, trial.epochs_run, trial.outcome) == ({1: 0.5}, 1, None)
    assert trial.reason == "paused after epoch 1 of 2"
    assert store.read_outcome("made", 0).state is TrialState.PRUNED


def test_promoted_it_is_running(store):
    store.write_promoted("made", 0)
    (trial,) = again(store).read_study("made").trials
    assert (trial.state, trial.outcome, trial.reason) == (TrialState.RUNNING, None, None)


def test_told_pruned_it_has_its_outcome(store):
    session = StudySession(store.storage, "made", SPACE)
    session.recover(paused=[0])
    with store.lock("made"):
        outcome = store.read_outcome("made", 0)
        with store.transaction():
            store.discard_checkpoints("made", 0)
            session.tell(outcome)
    (trial,) = again(store).read_study("made").trials
    assert (trial.state, trial.outcome) == (TrialState.PRUNED, outcome)
    assert not list(store.path.parent.rglob("checkpoint-*"))


@pytest.mark.parametrize("epoch", [2, 0, "1", 1.0, True])
def test_an_epoch_that_it_did_not_report_is_noticed(store, epoch):
    set_paused_at(store, epoch)
    with pytest.raises(StoreError, match=r"trial 0: it was paused after epoch .*did not report"):
        again(store).read_study("made")


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE trial_intermediate_values SET intermediate_value = 0.99", "reports differ"),
        ("UPDATE trials SET state = 'COMPLETE'", "it is COMPLETE and paused"),
        ("UPDATE trials SET state = 'WAITING'", "it is WAITING and paused"),
        ("DELETE FROM trial_user_attributes WHERE key = 'sweep_outcome'", "has no history"),
        (
            "UPDATE trial_user_attributes SET key = 'sweep_audited' WHERE key = 'sweep_paused_at'",
            "seal",
        ),
    ],
)
def test_damage_is_noticed(store, statement, reason):
    edit(store, statement)
    with pytest.raises(StoreError, match=reason):
        again(store).read_study("made")


def test_an_outcome_of_another_epoch_is_noticed(store):
    session = StudySession(store.storage, "made", SPACE)
    session.recover()
    session.report(make_metrics(0, 2, 0.7))
    set_paused_at(store, 2)
    with pytest.raises(StoreError, match=r"trial 0: its last epoch differ"):
        again(store).read_study("made")


def test_its_checkpoint_is_no_stray(store):
    (file,) = store.recorded_checkpoints("made", 0)
    store.delete_strays("made", running=[0], keep=[])
    assert file.exists()


def test_the_doctor_finds_nothing_wrong_with_it(store):
    found = examine(store.url)
    assert not found.is_damaged
    assert [study.state for study in found.studies] == [StudyState.INTERRUPTED]
    assert [finding.what for finding in found.findings] == ["the study is not finished"]


def test_the_doctor_finds_its_damaged_checkpoint(store):
    (file,) = store.recorded_checkpoints("made", 0)
    file.write_bytes(b"half")
    (finding, _) = examine(store.url).findings
    assert "1 of 1 checkpoints of trial 0" in finding.what
    assert finding.advice.endswith("starts it again")
