"""`run` and `resume`: everything is checked first, then made, then trained."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.data import default_data_dir
from sweep.errors import DataError, InputError, SweepFailedError
from sweep.execution import Pool
from sweep.records import Confirms, DataFacts, Message, Notice, StudyRecord, TrialRecord
from sweep.runner.failures import Failures
from sweep.runner.loop import Limits, Loop
from sweep.runner.spaces import compare_spaces, override, read_data, stored_space
from sweep.runner.workers import Executor, WorkerOptions
from sweep.space import SearchSpace, load_space
from sweep.store import STORE_FAILURES, Store, describe_failure, network_warning
from sweep.study import StudySession
from sweep.words import DEFAULT_STORAGE, command_words

__all__ = ["CHECKPOINT_SECONDS", "Request", "limits_of", "resume", "run"]

CHECKPOINT_SECONDS = 10.0
"""Between two checkpoints of a trial: short beside a trial, long beside what one costs."""


def run(
    space: SearchSpace | str | os.PathLike[str] | Mapping[str, Any],
    *,
    study: str | None = None,
    storage: str = DEFAULT_STORAGE,
    trials: int | None = None,
    timeout: float | None = None,
    workers: int | None = None,
    device: str = "auto",
    data_dir: str | os.PathLike[str] | None = None,
    seed: int | None = None,
    engine: str = "auto",
    precision: str = "auto",
    lanes: int | None = None,
    executor: Executor = "processes",
    checkpoint_every: float = CHECKPOINT_SECONDS,
    keep_weights: int | None = None,
    trial_time_limit: float | None = None,
    max_failures: int | None = None,
    on_event: Callable[[Message], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> StudyRecord:
    """Run a sweep until its budget is used up.

    A study of the same name and search space goes on where it stopped.

    Args:
        space: A search space, the path of its YAML file, or the file's content as a mapping.
        study: Name of the study; the space's own if None.
        storage: `sqlite:///` and a path.
        trials: Total number of trials, in place of the space's budget.
        timeout: Seconds after which no new trial starts, for this call only.
        workers: Worker processes; one per core or per GPU if None.
        device: `auto`, `cpu`, `cuda` or `cuda:0,1`.
        data_dir: Folder of local data sets; `$SWEEP_DATA_DIR` or `data/` if None.
        seed: The study's seed, in place of the sampler's.
        engine: `auto`, `sequential` (the plain reference) or `stacked`.
        precision: `auto` (bfloat16 where the hardware multiplies it), `float32` or `bfloat16`.
        lanes: Trials that one worker trains at once; chosen by their size if None.
        executor: `processes`; `inline`: trials are trained in this very process, for debuggers; or
            what makes a `sweep.execution.Launcher`.
        checkpoint_every: Seconds between two checkpoints of a trial.
        keep_weights: Of so many trials, the best, the weights are kept; ten, or as many as the
            study kept so far, if None.
        trial_time_limit: Seconds that a trial may take, in place of the budget's.
        max_failures: Failed trials that the study may have, in place of the budget's.
        on_event: Called for everything that happens, in the driver.
        stop: Asked several times a second; True ends the work between two writes.

    Returns:
        The study at the end.

    Raises:
        InputError: the request cannot be carried out; nothing was created.
        SweepFailedError: too many trials failed, or workers do not start.
        KeyboardInterrupt: Ctrl-C, or `stop` said so; `resume` finishes the study.
    """
    if not isinstance(space, SearchSpace):
        space = load_space(space)
    space = override(space, name=study, seed=seed)
    store = Store(storage, to_write=True)
    if store.has_study(space.name):
        compare_spaces(store, space)
        _refuse_confirmation(space.name, store.read_confirms(space.name), storage)
    space = override(space, trials=trials)
    options = WorkerOptions(workers, device, engine, precision, lanes, executor)
    request = Request(
        space=space,
        store=store,
        limits=limits_of(space, timeout, trial_time_limit, max_failures),
        checkpoint_every=checkpoint_every,
        workers=options,
        data_dir=data_dir,
        keep_weights=keep_weights,
        total=trials,
        on_event=on_event,
        stop=stop,
    )
    return request.carry_out()


def resume(
    study: str,
    *,
    storage: str = DEFAULT_STORAGE,
    trials: int | None = None,
    retry_failed: bool = False,
    timeout: float | None = None,
    workers: int | None = None,
    device: str = "auto",
    data_dir: str | os.PathLike[str] | None = None,
    engine: str = "auto",
    precision: str = "auto",
    lanes: int | None = None,
    executor: Executor = "processes",
    checkpoint_every: float = CHECKPOINT_SECONDS,
    keep_weights: int | None = None,
    trial_time_limit: float | None = None,
    max_failures: int | None = None,
    on_event: Callable[[Message], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> StudyRecord:
    """Finish a study; its search space is in the store.

    Args:
        study: Name of the study.
        storage: `sqlite:///` and a path.
        trials: New total number of trials; the study's own if None.
        retry_failed: Whether failed trials are run again, under new numbers and beyond the total.
        timeout: Seconds after which no new trial starts, for this call only.
        workers: Worker processes; one per core or per GPU if None.
        device: `auto`, `cpu`, `cuda` or `cuda:0,1`.
        data_dir: Folder of local data sets; `$SWEEP_DATA_DIR` or `data/` if None.
        engine: `auto`, `sequential` (the plain reference) or `stacked`.
        precision: `auto` (bfloat16 where the hardware multiplies it), `float32` or `bfloat16`.
        lanes: Trials that one worker trains at once; chosen by their size if None.
        executor: `processes`; `inline`: trials are trained in this very process, for debuggers; or
            what makes a `sweep.execution.Launcher`.
        checkpoint_every: Seconds between two checkpoints of a trial.
        keep_weights: Of so many trials, the best, the weights are kept; ten, or as many as the
            study kept so far, if None.
        trial_time_limit: Seconds that a trial may take, in place of the budget's.
        max_failures: Failed trials that the study may have, in place of the budget's.
        on_event: Called for everything that happens, in the driver.
        stop: Asked several times a second; True ends the work between two writes.

    Returns:
        The study at the end.

    Raises:
        InputError: there is no such study, or it cannot go on as asked.
        SweepFailedError: too many trials failed, or workers do not start.
        KeyboardInterrupt: Ctrl-C, or `stop` said so.
    """
    store = Store(storage, to_write=True)
    space = stored_space(store, study)
    record = store.read_study(study)
    _refuse_confirmation(study, record.confirms, storage)
    total = trials if trials is not None else record.num_trials
    space = override(
        space,
        trials=total,
        timeout=record.timeout_seconds,
        audit=record.num_audits,
    )
    options = WorkerOptions(workers, device, engine, precision, lanes, executor)
    request = Request(
        space=space,
        store=store,
        limits=limits_of(space, timeout, trial_time_limit, max_failures),
        checkpoint_every=checkpoint_every,
        workers=options,
        data_dir=data_dir,
        keep_weights=keep_weights,
        total=total,
        retry_failed=retry_failed,
        on_event=on_event,
        stop=stop,
    )
    return request.carry_out()


def _refuse_confirmation(study: str, confirms: Confirms | None, storage: str) -> None:
    """Leave a confirmation to `confirm`: another total or fewer weights would make it another."""
    if confirms is not None:
        search = confirms.study
        raise InputError(
            f"study {study!r} confirms {search!r}: go on with "
            f"`{command_words('confirm', search, storage)}`"
        )


def limits_of(
    space: SearchSpace,
    timeout: float | None,
    trial_time_limit: float | None,
    max_failures: int | None,
) -> Limits:
    """Where to stop: what was asked for now, or what the budget says."""
    for name, seconds in (("timeout", timeout), ("trial_time_limit", trial_time_limit)):
        if seconds is not None and not seconds > 0:
            raise InputError(f"{name} must be above 0 seconds; found {seconds}")
    if max_failures is not None and max_failures < 0:
        raise InputError(f"max_failures must be at least 0; found {max_failures}")
    budget = space.budget
    return Limits(
        timeout if timeout is not None else budget.timeout,
        trial_time_limit if trial_time_limit is not None else budget.trial_time_limit,
        max_failures if max_failures is not None else budget.max_failures,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A checked wish to work on a study.

    Attributes:
        total: Trials of the study that were asked for, former repetitions of failed ones included;
            None for the space's own budget, on top of which repetitions come.
        holding: Holds what must not change until the study is made or opened.
    """

    space: SearchSpace
    store: Store
    limits: Limits
    checkpoint_every: float
    workers: WorkerOptions
    data_dir: str | os.PathLike[str] | None
    keep_weights: int | None
    total: int | None = None
    retry_failed: bool = False
    confirms: Confirms | None = None
    holding: Callable[[], AbstractContextManager[None]] = nullcontext
    on_event: Callable[[Message], None]
    stop: Callable[[], bool]

    def carry_out(self) -> StudyRecord:
        """Check everything that can be checked, then create, then train."""
        space = self.space
        if self.keep_weights is not None and self.keep_weights < 1:
            raise InputError(f"keep_weights must be at least 1; found {self.keep_weights}")
        if not self.checkpoint_every > 0:
            raise InputError(
                f"checkpoint_every must be above 0 seconds; found {self.checkpoint_every}"
            )
        data_dir = Path(self.data_dir) if self.data_dir is not None else default_data_dir()
        with self.workers.pool(
            space,
            data_dir,
            save_every=self.checkpoint_every,
            time_limit=self.limits.trial_time_limit,
        ) as pool:
            return self._work(pool, read_data(space, data_dir))

    def _work(self, pool: Pool, facts: DataFacts) -> StudyRecord:
        store, name = self.store, self.space.name
        warning = network_warning(store.path)
        if warning is not None:
            self.on_event(Notice(warning))
        try:
            with ExitStack() as held:
                held.enter_context(self.holding())
                with store.lock(name):
                    loop = self._open(facts)
                    held.close()
                    with pool:  # its workers end before the study is free again
                        loop.run(pool)
            return store.read_study(name)
        except STORE_FAILURES as error:
            raise SweepFailedError(f"the sweep cannot go on: {describe_failure(error)}") from error
        except (LookupError, AssertionError, TypeError, ValueError):
            # Optuna may have met a row that nobody wrote: then reading says so, in place of it.
            Store(store.url, to_write=False).read_study(name)
            raise

    def _open(self, facts: DataFacts) -> Loop:
        """Open or make the study. The caller holds its lock.

        Whatever may be refused is looked at before the first write: who is refused has changed
        nothing.
        """
        space, store, name = self.space, self.store, self.space.name
        storage = store.storage
        failures = Failures(self.limits.max_failures)
        again: list[TrialRecord] = []
        if store.has_study(name):
            # Compared again: another driver may have made the study before the lock was ours.
            compare_spaces(store, space)
            _compare_data(store, name, facts.fingerprint)
            again = self._count_failures(failures)
        with store.transaction():  # a study is made, or goes on, whole or not at all
            session = StudySession(storage, name, space, store.each_trial(name))
            if name not in store.study_names():
                store.write_study(name, space=space.to_json(), data=facts, confirms=self.confirms)
            session.enqueue()
            for trial in again:
                store.write_retry(name, session.enqueue_again(trial.params), trial.number)
            total, budget = self._total(session, len(again)), space.budget
            store.write_budget(name, total, budget.timeout, self.keep_weights, budget.audit)
            if total is None or session.num_started < total:
                # With the budget: a study that has more to do must never read as finished.
                store.write_finished(name, None)
        return Loop(
            space,
            store,
            session,
            total=total,
            failures=failures,
            fingerprint=facts.fingerprint,
            limits=self.limits,
            on_event=self.on_event,
            stop=self.stop,
        )

    def _count_failures(self, failures: Failures) -> list[TrialRecord]:
        """Count the study's failed trials; those that are to be run again, which do not count."""
        if self.limits.max_failures is None and not self.retry_failed:
            return []  # reading a large study takes seconds
        failed = self.store.read_study(self.space.name).unrepeated
        again = [trial for trial in failed if trial.params] if self.retry_failed else []
        failures.start_from(len(failed) - len(again), self.space.name, self.store.url)
        return again

    def _total(self, session: StudySession, num_again: int) -> int | None:
        """Trials of the study; repetitions come on top of what a budget or a grid holds.

        Args:
            session: The study, in which all repetitions wait already.
            num_again: How many of them are new.
        """
        total = self.space.num_trials
        if total is None:
            return None
        total += session.num_repetitions
        if self.total is not None:
            total = min(total, self.total + num_again)
        return max(total, session.num_promised)


def _compare_data(store: Store, study: str, fingerprint: str) -> None:
    recorded = store.read_data(study).fingerprint
    if recorded != fingerprint:
        raise DataError(
            f"study {study!r} was made with other data: its training pool has fingerprint "
            f"{recorded[:12]}, this one has {fingerprint[:12]}; use --data-dir with the data of "
            "then, or choose another name with --study"
        )
