"""Many writes are one commit: all of them, or nothing, for every process that looks."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path

import optuna
import pytest
from helpers import begin, make_metrics, space_mapping, sqlite_url, without_clock
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import SQLAlchemyError

from sweep.definitions import DATASETS
from sweep.errors import StoreError
from sweep.records import DataFacts, Decision, TrialConfig, TrialOutcome, TrialState
from sweep.space import load_space
from sweep.store import STORE_FAILURES, Store, StoredStudy, describe_failure
from sweep.study import StudySession

SPACE = load_space(
    space_mapping(
        name="made",
        sampler={"type": "tpe", "seed": 3, "n_startup_trials": 4},
        pruner={"type": "hyperband", "reduction_factor": 2},
    )
)
FACTS = DataFacts(DATASETS["digits"], "f" * 64, bytes([1, 2, 3]))


@pytest.fixture
def store(storage) -> Store:
    """A store with the study `made`, which has no trials."""
    made = Store(storage, to_write=True)
    StudySession(made.storage, "made", SPACE)
    made.write_study("made", StoredStudy(space=SPACE.to_json(), data=FACTS))
    return made


@pytest.fixture
def session(store) -> StudySession:
    return StudySession(store.storage, "made", SPACE)


def make_outcome(trial: int, state: TrialState = TrialState.COMPLETE) -> TrialOutcome:
    history = tuple(make_metrics(trial, epoch, epoch / 10) for epoch in range(1, 5))
    return TrialOutcome(trial, state, history, best_epoch=4, weights=b"weights of %d" % trial)


def whole_trial(store: Store, session: StudySession) -> None:
    config = begin(store, "made", session)
    for metrics in make_outcome(config.number).history:
        session.report(metrics)
    store.trials("made").write_outcome(make_outcome(config.number), keep={config.number})
    session.tell(make_outcome(config.number))


def num_commits(store: Store) -> int:
    """SQLite's file change counter, which grows by one with each commit that wrote something."""
    return int.from_bytes(store.path.read_bytes()[24:28], "big")


def states(url: str) -> list[TrialState]:
    return [trial.state for trial in Store(url, to_write=False).read_study("made").trials]


# ---------------------------------------------------------------- one commit


def test_a_transaction_is_one_commit(store, session):
    before = num_commits(store)
    with store.transaction():
        whole_trial(store, session)
        assert num_commits(store) == before
    assert num_commits(store) == before + 1
    whole_trial(store, session)
    assert num_commits(store) > before + 10
    assert states(store.url) == [TrialState.COMPLETE] * 2


def test_a_transaction_without_writes_commits_nothing(store):
    before = num_commits(store)
    with store.transaction():
        assert store.read_study("made").trials == ()
    assert num_commits(store) == before


def test_a_transaction_may_be_the_first_thing_that_happens(storage):
    store = Store(storage, to_write=True)
    with store.transaction():
        StudySession(store.storage, "made", SPACE)
        store.write_study("made", StoredStudy(space=SPACE.to_json(), data=FACTS))
    assert Store(storage, to_write=False).all_names() == ["made"]


def test_journal_and_synchronisation_are_sqlites_own(store, session):
    with store.transaction():
        session.ask()
        settings = [store._database.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in
                    ("journal_mode", "synchronous", "locking_mode")]  # fmt: skip
        assert Path(f"{store.path}-journal").exists()
    assert settings == ["delete", 2, "normal"]
    assert not Path(f"{store.path}-journal").exists()
    assert store.path.read_bytes()[18:20] == b"\1\1"  # the header's word for a rollback journal


def test_stock_optuna_opens_the_store(store, session):
    for _ in range(3):
        with store.transaction():
            whole_trial(store, session)
    study = optuna.load_study(study_name="made", storage=store.url)
    assert [trial.number for trial in study.trials] == [0, 1, 2]
    assert study.best_value == 0.4
    assert study.ask().number == 3


# ---------------------------------------------------------------- nothing at all


def test_an_error_leaves_nothing(store, session):
    with store.transaction():
        whole_trial(store, session)
    before = num_commits(store)
    with pytest.raises(KeyboardInterrupt), store.transaction():  # noqa: PT012
        whole_trial(store, session)
        raise KeyboardInterrupt
    assert num_commits(store) == before
    later = Store(store.url, to_write=True)
    assert states(store.url) == [TrialState.COMPLETE]
    assert StudySession(later.storage, "made", SPACE).ask().number == 1


def test_after_an_error_the_store_refuses_to_go_on(store, session):
    """Its session remembers a trial that is not there."""
    with pytest.raises(ZeroDivisionError), store.transaction():  # noqa: PT012
        session.ask()
        raise ZeroDivisionError
    with pytest.raises(StorageInternalError) as caught:
        store.change_study("made", num_trials=5)
    assert "open the store again" in str(caught.value.__cause__)
    with pytest.raises(StorageInternalError):
        store.read_study("made")
    with pytest.raises(sqlite3.OperationalError, match="open the store again"), store.transaction():
        pass


def test_an_error_that_was_caught_takes_back_its_own_call_only(store, session):
    """Optuna rolls back after each of its errors; some, it catches itself."""
    config = session.ask()
    with store.transaction():
        with pytest.raises(KeyError, match="Record"):
            store.storage.get_trial(999)
        store.trials("made").change(config.number, config=config)
        with pytest.raises(KeyError, match="Record"):
            store.storage.get_trial(999)
        session.report(make_metrics(0, 1, 0.25))
        with pytest.raises(optuna.exceptions.DuplicatedStudyError):
            optuna.create_study(study_name="made", storage=store.storage)
        session.report(make_metrics(0, 2, 0.5))
    (trial,) = Store(store.url, to_write=False).read_study("made").trials
    assert trial.params == config.params
    assert trial.reports == {1: 0.25, 2: 0.5}


def test_a_full_disk_is_not_passed_over(store, session):
    """SQLite takes back all of a transaction by itself, whoever catches the error."""
    begin(store, "made", session)

    def fill_the_disk() -> None:
        with store.transaction():
            session.report(make_metrics(0, 1))
            store._database.connection.execute(
                "PRAGMA max_page_count = 1"
            )  # no more than there are
            with pytest.raises(StorageInternalError):
                store.storage.set_study_user_attr(1, "big", "x" * 100_000)

    with pytest.raises(STORE_FAILURES):
        fill_the_disk()
    (trial,) = Store(store.url, to_write=False).read_study("made").trials
    assert trial.reports == {}


def test_transactions_do_not_nest(store, session):
    """An inner one would end without its writes being safe."""
    with store.transaction():
        config = session.ask()
        with pytest.raises(RuntimeError, match="transactions do not nest"), store.transaction():
            pass
        store.trials("made").change(config.number, config=config)
    assert Store(store.url, to_write=False).trials("made").read_config(0, "mlp") == config


def test_a_store_belongs_to_one_thread(store, session):
    """Two threads on one connection would commit each other's halves."""
    caught = []

    def ask() -> None:
        try:
            session.ask()
        except STORE_FAILURES as error:
            caught.append(str(error))

    thread = threading.Thread(target=ask)
    with store.transaction():
        thread.start()
        thread.join()
    assert len(caught) == 1
    assert "same thread" in caught[0]


def test_weights_are_deleted_when_it_is_sure_that_they_are_not_kept(store, session):
    def weights(trial: int) -> bytes | None:
        return Store(store.url, to_write=False).trials("made").read_weights(trial)

    for number in range(2):
        with store.transaction():
            begin(store, "made", session)
            store.trials("made").write_outcome(make_outcome(number), keep={number})
            assert (number == 0) or weights(0) == b"weights of 0"
        assert weights(number) == b"weights of %d" % number
    assert weights(0) is None
    with pytest.raises(ZeroDivisionError), store.transaction():  # noqa: PT012
        session.ask()
        store.trials("made").write_outcome(make_outcome(2), keep={2})
        raise ZeroDivisionError
    assert weights(1) == b"weights of 1"


# ---------------------------------------------------------------- other processes

CODE = """
import sys
from helpers import begin, make_metrics
from sweep.store import Store
from sweep.study import StudySession
from test_transaction import SPACE, states
"""


def start(code: str, url: str) -> subprocess.Popen[str]:
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    code = f"import sys; sys.path += {folders}\n{CODE}\n{code}"
    return subprocess.Popen(
        [sys.executable, "-c", code, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_another_process_reads_all_of_it_or_nothing(store, session):
    code = "for _ in sys.stdin: print([s.name for s in states(sys.argv[1])], flush=True)"
    reader = start(code, store.url)

    def read() -> str:
        reader.stdin.write("\n")
        reader.stdin.flush()
        return reader.stdout.readline().strip()

    with closing(reader.stdin), closing(reader.stdout):
        with store.transaction():
            whole_trial(store, session)
            assert read() == "[]"
            begin(store, "made", session)
            assert read() == "[]"
        assert read() == "['COMPLETE', 'RUNNING']"
    reader.wait()


def test_a_killed_process_leaves_nothing_of_its_transaction(store):
    code = """
store = Store(sys.argv[1], to_write=True)
session = StudySession(store.storage, "made", SPACE)
begin(store, "made", session)
with store.transaction():
    for epoch in range(1, 5):
        session.report(make_metrics(0, epoch))
    print("written", flush=True)
    sys.stdin.read()
"""
    driver = start(code, store.url)
    assert driver.stdout.readline() == "written\n"
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    with closing(sqlite3.connect(store.path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    (trial,) = store.read_study("made").trials
    assert (trial.state, trial.reports) == (TrialState.RUNNING, {})


def later(action: Callable[[], None]) -> threading.Thread:
    thread = threading.Timer(0.3, action)
    thread.start()
    return thread


def test_a_commit_waits_for_a_reader(store, session):
    with closing(sqlite3.connect(store.path, check_same_thread=False)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM studies").fetchall()  # and keeps a lock on the file
        started = time.monotonic()
        with store.transaction():
            begin(store, "made", session)
            ended = later(reader.rollback)
        assert time.monotonic() - started > 0.25
        ended.join()
    assert states(store.url) == [TrialState.RUNNING]


@pytest.mark.parametrize("field", ["num_trials", "num_audits"])  # with a user attribute, without
def test_another_writer_waits_for_a_transaction(store, session, field):
    """Even one that reads in its transaction before it writes, which SQLite alone would refuse."""
    other = threading.Thread(
        target=lambda: Store(store.url, to_write=True).change_study("made", **{field: 5})
    )
    with store.transaction():
        begin(store, "made", session)
        other.start()
        time.sleep(0.3)
        assert other.is_alive()
    other.join()
    record = Store(store.url, to_write=False).read_study("made")
    assert getattr(record, field) == 5
    assert len(record.trials) == 1


# ---------------------------------------------------------------- the same study


def run_lanes(url: str, *, apart: bool) -> tuple[list[TrialConfig], list[Decision]]:
    """Twelve trials, three under way at a time; reports of an epoch together or one by one."""
    store = Store(url, to_write=True)
    session = StudySession(store.storage, "made", SPACE)
    store.write_study("made", StoredStudy(space=SPACE.to_json(), data=FACTS, identity="x"))
    transaction = nullcontext if apart else store.transaction
    configs: list[TrialConfig] = []
    decisions: list[Decision] = []
    for _ in range(4):
        lanes = {}
        for _ in range(3):
            with transaction():
                config = begin(store, "made", session)
            lanes[config.number] = TrialState.COMPLETE
            configs.append(config)
        for epoch in range(1, 5):
            going = [number for number, state in lanes.items() if state is TrialState.COMPLETE]
            with transaction():
                answers = [
                    session.report(make_metrics(number, epoch, 1 / (1 + number % 5) + epoch / 100))
                    for number in going
                ]
            decisions += answers
            for number, answer in zip(going, answers, strict=True):
                if answer is Decision.PRUNE:
                    lanes[number] = TrialState.PRUNED
        for number, state in lanes.items():
            with transaction():
                store.trials("made").write_outcome(make_outcome(number, state), keep=set())
                session.tell(make_outcome(number, state))
    return configs, decisions


@pytest.mark.slow
def test_transactions_change_nothing_but_the_number_of_commits(tmp_path):
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("apart", "together")]
    apart, together = (run_lanes(url, apart=index == 0) for index, url in enumerate(urls))
    assert together == apart
    assert {Decision.PRUNE, Decision.CONTINUE} <= set(together[1])
    records = [without_clock(Store(url, to_write=False).read_study("made")) for url in urls]
    assert records[0].trials == records[1].trials
    frozen = [optuna.load_study(study_name="made", storage=url).trials for url in urls]
    for one, two in zip(*frozen, strict=True):
        assert one.params == two.params
        assert one.system_attrs == two.system_attrs
        assert one.values == two.values
    stores = [Store(url, to_write=False) for url in urls]
    assert num_commits(stores[1]) < num_commits(stores[0]) / 2


def test_a_failure_is_told_by_its_cause_and_not_by_the_words_that_optuna_has_for_all():
    error = StorageInternalError("An exception is raised during the commit.")
    error.__cause__ = SQLAlchemyError("the session is in no state to commit")
    assert describe_failure(error) == "the session is in no state to commit"


def test_the_tables_are_made_all_or_not_at_all(tmp_path):
    """Whoever dies between a table and its index would leave a store that takes a name twice."""

    def deny_indices(action: int, *_: object) -> int:
        denied = action == sqlite3.SQLITE_CREATE_INDEX
        return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK

    store = Store(sqlite_url(tmp_path), to_write=True)
    store._database.connection.set_authorizer(deny_indices)
    with pytest.raises(StoreError, match=r"cannot be used: .*not authorized"):
        _ = store.storage
    with closing(sqlite3.connect(tmp_path / "studies.db")) as database:
        assert database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    optuna.create_study(study_name="x", storage=Store(store.url, to_write=True).storage)
    again = Store(store.url, to_write=True).storage
    with pytest.raises(optuna.exceptions.DuplicatedStudyError):
        optuna.create_study(study_name="x", storage=again)
