"""Opens the test split, with a record in the store before and after."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from sweep.data import data_settings, read_pool
from sweep.data.overlap import num_shared
from sweep.data.sealed import open_test_split
from sweep.errors import StoreError, SweepFailedError
from sweep.records import (
    NetworkSource,
    StudyRecord,
    TestReading,
    TrialState,
    candidate_runs,
    have_all_ended,
    rank_candidates,
)
from sweep.space import stored_space
from sweep.store import STORE_FAILURES, Store, describe_failure
from sweep.training import load_torch
from sweep.words import command_words

__all__ = ["read_test_split", "read_test_split_of_winner"]


@contextmanager
def _described() -> Iterator[None]:
    """Describe a full disk, or a store that another process holds, in one line.

    What was recorded stays: the next call continues, and sees an opening that was cut off.
    """
    try:
        yield
    except STORE_FAILURES as error:
        raise SweepFailedError(describe_failure(error)) from error


@_described()
def read_test_split(
    storage: str,
    study: str,
    data_dir: str | os.PathLike[str] | None = None,
    sources: Sequence[NetworkSource] = (),
) -> TestReading:
    """The best trial's reading of the test split: the recorded one, or else a new one.

    Args:
        storage: `sqlite:///` and a path.
        study: Name of the study.
        data_dir: Folder of local data sets; `$SWEEP_DATA_DIR` or `data/` if None.
        sources: The user's own networks, of which the study's is one if it has one.

    Raises:
        StoreError: the study is not finished, has a confirmation or no COMPLETE trial, or the
            weights are gone.
        StudyLockedError: the study is finished, and another process holds it.
        DataError: the data set is missing, damaged, or not the study's own.
        SweepFailedError: the store cannot be written.
    """
    store = Store(storage, to_write=False)
    record = store.read_study(study)
    if record.confirms is not None:
        search = record.confirms.study
        raise StoreError(
            f"study {study!r} confirms {search!r}, and its test split is opened for the winner "
            f"alone: `{command_words('confirm', search, storage)}`"
        )
    known = record.test_reading(_best(record))
    if known is not None:
        return known
    if record.finished_by is None:
        raise StoreError(
            f"study {study!r} is {record.state}: the test split stays sealed until the budget is "
            f"used up; finish it with `{command_words('resume', study, storage)}` (--trials N sets "
            "another total)"
        )
    store = Store(storage, to_write=True)
    with store.lock(study):
        record = store.read_study(study)
        _require_unconfirmed(store, record)
        best = _best(record)
        if record.finished_by is None:
            raise StoreError(f"study {study!r} went on meanwhile: its test split stays sealed")
        (reading,) = _read(store, record, [best], data_dir, sources)
        return reading


def _best(record: StudyRecord) -> int:
    if record.best is None:
        raise StoreError(f"study {record.name!r} has no COMPLETE trial to test")
    return record.best.number


def _require_unconfirmed(store: Store, search: StudyRecord) -> None:
    """Refuse a study with a confirmation, unless all of its runs failed."""
    runs, _ = store.read_confirmation(search)
    if runs is None or (have_all_ended(runs) and rank_candidates(runs)[0][1] is None):
        return
    raise StoreError(
        f"study {search.name!r} has a confirmation: the test split is opened for its winner alone; "
        f"`{command_words('confirm', search.name, store.url)}` continues"
    )


@_described()
def read_test_split_of_winner(
    storage: str,
    study: str,
    data_dir: str | os.PathLike[str] | None = None,
    sources: Sequence[NetworkSource] = (),
) -> StudyRecord:
    """The runs of a confirmation, with a reading of the test split for each of the winner's.

    The winner is the configuration with the fewest failed runs and, of these, the best mean
    objective. Its COMPLETE runs are measured in one opening; what was read is not read again.

    Args:
        storage: `sqlite:///` and a path.
        study: Name of the search.
        data_dir: Folder of local data sets; `$SWEEP_DATA_DIR` or `data/` if None.
        sources: The user's own networks, of which the study's is one if it has one.

    Raises:
        StoreError: runs are missing, all failed, or the weights are gone.
        DataError: the data set is missing, damaged, or not the study's own.
        SweepFailedError: the store cannot be written.
    """
    runs, winners = _winning_runs(Store(storage, to_write=False), study)
    if all(runs.test_reading(run) is not None for run in winners):
        return runs
    store = Store(storage, to_write=True)
    with store.lock(runs.name):
        runs, winners = _winning_runs(store, study)
        _read(store, runs, winners, data_dir, sources)
    return store.read_study(runs.name)


def _winning_runs(store: Store, study: str) -> tuple[StudyRecord, list[int]]:
    """The confirmation of a search, and the numbers of the winner's COMPLETE runs."""
    runs, _ = store.read_confirmation(store.read_study(study))
    if runs is None or not have_all_ended(runs):
        what = "is not confirmed" if runs is None else "has runs of its confirmation that wait"
        raise StoreError(
            f"study {study!r} {what}: the test split stays sealed; "
            f"`{command_words('confirm', study, store.url)}` continues"
        )
    winner, mean = rank_candidates(runs)[0]
    if mean is None:
        raise StoreError(f"all runs that confirm study {study!r} failed: there is nothing to test")
    repeated = candidate_runs(runs)[winner]
    return runs, [run.number for run in repeated if run.state is TrialState.COMPLETE]


def _read(
    store: Store,
    record: StudyRecord,
    trials: Sequence[int],
    data_dir: str | os.PathLike[str] | None,
    sources: Sequence[NetworkSource],
) -> list[TestReading]:
    """Readings of these trials. The test split is opened once for those that have none.

    Everything that can fail without opening it is checked first.
    """
    known = {trial: record.test_reading(trial) for trial in trials}
    unread = [trial for trial, reading in known.items() if reading is None]
    if unread:
        load_torch()
        from sweep.evaluation.measuring import measure, measure_validation
        from sweep.evaluation.networks import PRECISION, load_networks

        models, data = load_networks(store, record, unread, data_dir, sources)
        settings = data_settings(stored_space(record).dataset, data_dir, store.kept_data)
        # To the microsecond: the time identifies an opening, and the next may follow soon.
        opened_at = datetime.now(UTC).isoformat(timespec="microseconds")
        openings = [TestReading(trial, opened_at, num_trials=record.num_ended) for trial in unread]
        openings = [
            opening
            if _precision(record, opening.trial) == PRECISION
            # Before the opening: it may fail.
            else measure_validation(opening, model, data)
            for opening, model in zip(openings, models, strict=True)
        ]
        _write(store, record.name, openings)
        test = open_test_split(settings)
        shared = num_shared(read_pool(settings), test)
        with_losses = record.objective.metric == "validation_loss"
        done = [
            replace(
                measure(opening, model, data, test, with_losses=with_losses), num_in_training=shared
            )
            for opening, model in zip(openings, models, strict=True)
        ]
        _write(store, record.name, done)
        known |= {reading.trial: reading for reading in done}
    return [reading for reading in known.values() if reading is not None]


def _precision(record: StudyRecord, trial: int) -> str:
    outcome = record.trial(trial).outcome
    return outcome.precision if outcome else ""


def _write(store: Store, study: str, readings: Sequence[TestReading]) -> None:
    with store.transaction():
        for reading in readings:
            store.write_test_reading(study, reading)
