"""What is written is read; stock Optuna reads it, too; damage and strangers are told apart."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from forging import forge
from helpers import begin, make_metrics

from sweep.definitions import DATASETS
from sweep.errors import ForeignStudyError, StoreError
from sweep.records import (
    DataFacts,
    Failure,
    FailureKind,
    Mistake,
    StudyState,
    TestReading,
    TrialOutcome,
    TrialState,
)
from sweep.space import load_space
from sweep.store import Store, StoredStudy
from sweep.study import RECORD, StudySession

SPACE = load_space({"name": "made", "dataset": "digits", "parameters": {"epochs": 2}})
FACTS = DataFacts(DATASETS["digits"], "f" * 64, bytes([1, 2, 3]))


def make_outcome(trial: int, **changes) -> TrialOutcome:
    outcome = TrialOutcome(
        trial=trial,
        state=TrialState.COMPLETE,
        history=(make_metrics(trial, 1, 0.5), make_metrics(trial, 2, 0.7)),
        seconds=1.5,
        num_parameters=10,
        device="cpu",
        precision="float32",
        environment={"torch": "1"},
        data_fingerprint=FACTS.fingerprint,
        best_epoch=2,
        validation_predictions=b"\x01\x00\x03",
        weights=b"weights of %d" % trial,
    )
    return replace(outcome, **changes)


@pytest.fixture
def store(storage) -> Store:
    """A store with the study `made`, which has no trials."""
    made = Store(storage, to_write=True)
    StudySession(made.storage, "made", SPACE)
    with made.lock("made"):
        pass
    made.write_study("made", StoredStudy(space=SPACE.to_json(), data=FACTS))
    return made


def add_trial(store: Store, keep: set[int], **changes) -> TrialOutcome:
    session = StudySession(store.storage, "made", SPACE)
    config = begin(store, "made", session)
    outcome = make_outcome(config.number, **changes)
    store.trials("made").write_outcome(outcome, keep=keep)
    session.tell(outcome)
    return outcome


# ---------------------------------------------------------------- reading what was written


def test_a_study_is_read_as_it_was_written(store):
    store.change_study("made", num_trials=7, timeout_seconds=60.0)
    outcome = add_trial(store, keep={0})
    record = Store(store.url, to_write=False).read_study("made")
    assert (record.name, record.num_trials, record.timeout_seconds) == ("made", 7, 60.0)
    assert record.space == SPACE.to_json()
    assert record.data == FACTS
    assert record.state is StudyState.INTERRUPTED
    (trial,) = record.trials
    assert trial.state is TrialState.COMPLETE
    assert trial.outcome == replace(outcome, weights=None)
    assert trial.params == store.trials("made").read_config(0, "mlp").params
    assert trial.params["epochs"] == 2
    assert record.best == trial
    assert record.value(trial) == 0.7


def test_the_state_tells_finished_from_interrupted_and_running(store):
    for reason, state in [
        (None, StudyState.INTERRUPTED),
        ("trials", StudyState.FINISHED),
        (None, StudyState.INTERRUPTED),
        ("timeout", StudyState.FINISHED),
    ]:
        store.change_study("made", finished_by=reason)
        assert store.read_study("made").state is state
    with store.lock("made"):
        assert store.read_study("made").state is StudyState.RUNNING
    assert store.read_study("made").state is StudyState.FINISHED


def test_a_failed_trial_keeps_its_reason(store):
    failure = Failure(FailureKind.NAN, "epoch 1: training loss nan")
    empty = {"history": (), "best_epoch": None, "weights": None, "failure": failure}
    add_trial(store, keep=set(), state=TrialState.FAIL, **empty)
    record = store.read_study("made")
    assert record.trials[0].reason == "nan: epoch 1: training loss nan"
    assert record.best is None


def test_a_trial_under_way_has_its_configuration_and_reports(store):
    session = StudySession(store.storage, "made", SPACE)
    config = begin(store, "made", session)
    session.report(make_metrics(0, 1, 0.25))
    (trial,) = store.read_study("made").trials
    assert (trial.state, trial.reports, trial.outcome) == (TrialState.RUNNING, {1: 0.25}, None)
    assert trial.epochs_run == 1
    assert store.trials("made").read_config(0, "mlp") == config


def test_an_outcome_counts_only_once_it_was_told(store):
    session = StudySession(store.storage, "made", SPACE)
    begin(store, "made", session)
    store.trials("made").write_outcome(make_outcome(0), keep={0})
    record = store.read_study("made")
    assert record.trials[0].outcome is None
    assert record.best is None


def test_readings_of_the_test_split_are_kept_in_order(store):
    first = TestReading(0, "2025-01-01T00:00:00+00:00")
    done = replace(
        first, num_images=2, confusion_matrix=((1, 0), (1, 0)), image_shape=(1, 1),
        mistakes=(Mistake(1, 1, 0, 0.9, b"\xfe"),),
    )  # fmt: skip
    second = TestReading(1, "2025-01-02T00:00:00+00:00")
    store.write_test_reading("made", first)
    assert store.read_study("made").test_reading(0) is None
    store.write_test_reading("made", done)
    store.write_test_reading("made", second)
    record = store.read_study("made")
    assert record.test_readings == (done, second)
    assert record.test_reading(0).num_correct == 1


def test_stock_optuna_reads_the_store(finished):
    study = optuna.load_study(study_name="small", storage=finished)
    record = Store(finished, to_write=False).read_study("small")
    assert study.best_trial.number == record.best.number
    assert study.best_value == record.value(record.best)
    assert len(study.trials) == len(record.trials) == 3
    for trial, known in zip(study.trials, record.trials, strict=True):
        assert trial.intermediate_values == {
            m.epoch: m.values["validation_accuracy"] for m in known.outcome.history
        }
        assert {name: known.params[name] for name in trial.params} == trial.params


def test_a_store_with_odd_characters_in_its_name(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/a {{b}} %20 é.db", to_write=True)
    StudySession(store.storage, "x", SPACE)
    assert [p.name for p in tmp_path.glob("*.db")] == ["a {b} %20 é.db"]
    assert Store(store.url, to_write=False).has_study("x")


# ---------------------------------------------------------------- who made it


def test_unknown_studies_are_refused_with_those_that_exist(store):
    with pytest.raises(StoreError, match=r"no study 'mode' in .*: it has made \(did you mean"):
        store.read_study("mode")


def test_without_a_file_the_message_says_so(storage):
    with pytest.raises(StoreError, match=r"no study 'x' in .*: there is no such file"):
        Store(storage, to_write=False).read_study("x")


def test_studies_of_stock_optuna_are_told_apart(store):
    optuna.create_study(study_name="theirs", storage=store.url)
    fresh = Store(store.url, to_write=False)
    assert fresh.all_names() == ["made", "theirs"]
    with pytest.raises(ForeignStudyError, match=r"'theirs' in .* was not made by sweep"):
        fresh.read_study("theirs")


def test_a_store_of_another_optuna_version_is_refused(store, tmp_path):
    with closing(sqlite3.connect(tmp_path / "studies.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'v0.9.0.a'")
    with pytest.raises(StoreError, match=r"the store .* cannot be used: "):
        Store(store.url, to_write=False).all_names()


# ---------------------------------------------------------------- damage


@pytest.mark.parametrize("value", [[1], "text", 7, None, {"trial": "x"}, {"record": {}}])
@pytest.mark.parametrize("table", ["study_system_attributes", "trial_system_attributes"])
def test_damaged_records_are_a_store_error(finished, tmp_path, table, value):
    with closing(sqlite3.connect(tmp_path / "studies.db")) as database, database:
        statement = f"UPDATE {table} SET value_json = ? WHERE key = ?"  # noqa: S608
        assert database.execute(statement, (json.dumps(value), RECORD)).rowcount
    with pytest.raises(StoreError, match="cannot be understood"):
        Store(finished, to_write=False).read_study("small")


@pytest.mark.parametrize("value", [[1], "text", 7, {"trial": "x"}, {"objective": 3}])
@pytest.mark.parametrize("part", ["space", "data", "workers", "test_readings"])
def test_a_part_of_a_study_that_is_none_is_a_store_error(finished, tmp_path, part, value):
    """Whoever writes a store can make a digest that fits."""
    forge(tmp_path, study=lambda record: {**record, part: value})
    with pytest.raises(StoreError, match="cannot be understood"):
        Store(finished, to_write=False).read_study("small")


@pytest.mark.parametrize("value", [[1], "text", 7, {"trial": "x"}, {"objective": 3}])
@pytest.mark.parametrize("part", ["config", "outcome", "paused_at", "audited"])
def test_a_part_of_a_trial_that_is_none_is_a_store_error(finished, tmp_path, part, value):
    forge(tmp_path, trial=lambda _, record: {**record, part: value})
    with pytest.raises(StoreError, match="cannot be understood: trial 0: "):
        Store(finished, to_write=False).read_study("small")


# ---------------------------------------------------------------- weights


def test_weights_of_kept_trials_are_there_and_others_are_deleted(store):
    for number in range(3):
        add_trial(store, keep={number, 0})
    assert store.trials("made").read_weights(0) == b"weights of 0"
    assert store.trials("made").read_weights(1) is None
    assert store.trials("made").read_weights(2) == b"weights of 2"


def test_weights_that_are_not_the_recorded_ones_are_not_read(store, tmp_path):
    add_trial(store, keep={0})
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(b"something else")
    assert store.trials("made").read_weights(0) is None


def test_a_trial_without_weights_has_none(store):
    add_trial(store, keep={0}, weights=None)
    assert store.trials("made").read_weights(0) is None


def test_the_study_is_readable_without_its_folder(finished, tmp_path):
    shutil.rmtree(tmp_path / "studies.artifacts")
    store = Store(finished, to_write=False)
    record = store.read_study("small")
    assert record.state is StudyState.FINISHED
    assert store.trials("small").read_weights(record.best.number) is None


@pytest.mark.parametrize("name", ["", ".", "..", "../outside", "a/b", "/x", "a\\b", "a\0b"])
def test_names_from_a_strangers_store_stay_in_the_folder(tmp_path, name):
    store = Store(f"sqlite:///{tmp_path}/folder.db", to_write=True)
    before = set(Path(tmp_path).rglob("*"))
    with pytest.raises(StoreError, match="a study cannot be named"), store.lock(name):
        pass
    assert set(Path(tmp_path).rglob("*")) == before


# ---------------------------------------------------------------- audited trials


def audit_trial(store: Store, epoch: object = 1, **changes) -> None:
    """A trial of which the store says that it was audited after an epoch."""
    session = StudySession(store.storage, "made", SPACE)
    config = begin(store, "made", session)
    for metrics in make_outcome(config.number).history:
        session.report(metrics)
    store.trials("made").change(config.number, audited=epoch)
    outcome = make_outcome(config.number, **changes)
    store.trials("made").write_outcome(outcome, keep=set())
    session.tell(outcome)


def test_an_audited_trial_and_the_plan_are_remembered(store):
    store.change_study("made", num_trials=7, num_audits=3)
    audit_trial(store)
    add_trial(store, keep=set())
    record = Store(store.url, to_write=False).read_study("made")
    assert [trial.audited for trial in record.trials] == [1, None]
    assert record.num_audits == 3


def test_an_audit_may_be_seen_before_its_epoch(store):
    """As when a driver writes between the two queries of a reader."""
    config = begin(store, "made", StudySession(store.storage, "made", SPACE))
    store.trials("made").change(config.number, audited=1)
    (trial,) = Store(store.url, to_write=False).read_study("made").trials
    assert (trial.audited, trial.reports) == (1, {})


@pytest.mark.parametrize(
    ("epoch", "changes", "reason"),
    [
        (9, {}, "audited after epoch 9, which it did not report"),
        (0, {}, "audited after epoch 0, which it did not report"),
        (1, {"state": TrialState.PRUNED}, "audited after epoch 1 and pruned all the same"),
    ],
)
def test_an_audit_that_contradicts_its_trial_is_refused(store, epoch, changes, reason):
    audit_trial(store, epoch, **changes)
    with pytest.raises(StoreError, match=f"trial 0: it was {reason}"):
        store.read_study("made")


@pytest.mark.parametrize("epoch", ["1", 1.0, True, [1]])
def test_an_audit_after_no_whole_number_of_epochs_is_refused(store, epoch):
    audit_trial(store)
    forge(store.path.parent, trial=lambda _, record: {**record, "audited": epoch})
    with pytest.raises(StoreError, match=r"trial 0: StoredTrial.audited: .*valid integer"):
        Store(store.url, to_write=False).read_study("made")


def test_trials_for_a_driver_share_their_distributions(finished):
    store = Store(finished, to_write=False)
    _, trials = store.open_study("small")
    read = store.storage.get_all_trials(store.storage.get_study_id_from_name("small"))
    assert len(trials) == len(read) > 1
    for trial, whole in zip(trials, read, strict=True):
        assert trial.distributions == whole.distributions
        for name, distribution in trial.distributions.items():
            assert distribution is trials[0].distributions[name]
