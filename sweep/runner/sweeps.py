"""`run` and `resume`: everything is checked first, then made, then trained."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypeVar, Unpack

from sweep.errors import InputError, StoreError, SweepFailedError
from sweep.execution import Pool
from sweep.records import (
    Confirms,
    DataFacts,
    Notice,
    StudyRecord,
    TrialRecord,
    WorkerChoices,
)
from sweep.runner.failures import Failures
from sweep.runner.interruption import interruptible
from sweep.runner.loop import Limits, Loop
from sweep.runner.options import StudyOptions, complete
from sweep.runner.spaces import (
    compare_data,
    compare_spaces,
    data_folder,
    read_data,
)
from sweep.runner.workers import choose_workers, open_pool, worker_settings
from sweep.space import SearchSpace, load_space, override_space, stored_space
from sweep.store import STORE_FAILURES, Store, StoredStudy, describe_failure, network_warning
from sweep.study import StudySession
from sweep.words import command_words

__all__ = ["Request", "resume", "run"]


def run(
    space: SearchSpace | str | os.PathLike[str] | Mapping[str, Any],
    *,
    study: str | None = None,
    seed: int | None = None,
    **options: Unpack[StudyOptions],
) -> StudyRecord:
    """Run a sweep until its budget is used up.

    A study of the same name and search space goes on where it stopped.

    Args:
        space: A search space, the path of its YAML file, or the file's content as a mapping.
        study: Name of the study; the space's own if None.
        seed: The study's seed, in place of the sampler's.
        **options: How far the study goes, how and where trials are trained, and who watches:
            `help(sweep.StudyOptions)`, `help(sweep.WorkOptions)` and `help(sweep.PlaceOptions)`
            document them.

    Returns:
        The study at the end.

    Raises:
        InputError: the request cannot be carried out; nothing was created.
        SweepFailedError: too many trials failed, or workers do not start.
        Interrupted: Ctrl-C, or `stop` said so; `resume` finishes the study.
    """
    whole = complete("run", StudyOptions, options)
    with interruptible("run the search again: a study that was begun goes on"):
        if not isinstance(space, SearchSpace):
            space = load_space(space)
        space = override_space(space, name=study, seed=seed, trials=whole["trials"])
        store = Store(whole["storage"], to_write=True)
        return Request(name=space.name, store=store, options=whole, space=space).carry_out()


def resume(
    study: str, *, retry_failed: bool = False, **options: Unpack[StudyOptions]
) -> StudyRecord:
    """Finish a study; its search space is in the store.

    Args:
        study: Name of the study.
        retry_failed: Whether failed trials are run again, under new numbers and beyond the total.
        **options: How far the study goes, how and where trials are trained, and who watches:
            `help(sweep.StudyOptions)`, `help(sweep.WorkOptions)` and `help(sweep.PlaceOptions)`
            document them.

    Returns:
        The study at the end.

    Raises:
        InputError: there is no such study, or it cannot go on as asked.
        SweepFailedError: too many trials failed, or workers do not start.
        Interrupted: Ctrl-C, or `stop` said so; the same call goes on.
    """
    whole = complete("resume", StudyOptions, options)
    with interruptible(f"`{command_words('resume', study, whole['storage'])}` goes on"):
        store = Store(whole["storage"], to_write=True)
        store.require_study(study)
        request = Request(name=study, store=store, options=whole, retry_failed=retry_failed)
        return request.carry_out()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to work on a study.

    Attributes:
        name: The study's name.
        options: Complete.
        space: Its search space; None for the one that it has.
        retry_failed: Whether failed trials are run again.
        confirms: What a new study confirms.
        workers: The choices with which a new study starts.
        holding: Holds what must not change until a new study is made.
    """

    name: str
    store: Store
    options: StudyOptions
    space: SearchSpace | None = None
    retry_failed: bool = False
    confirms: Confirms | None = None
    workers: WorkerChoices | None = None
    holding: Callable[[], AbstractContextManager[None]] = nullcontext

    def carry_out(self) -> StudyRecord:
        """Check everything that can be checked, then make the study or go on with it, then train.

        Whatever may be refused is looked at before the first write: who is refused has changed
        nothing.
        """
        store, name = self.store, self.name
        study = None
        try:
            while study is None:
                study = self._go_on() if store.has_study(name) else self._make()
        except STORE_FAILURES as error:
            raise SweepFailedError(f"the sweep cannot go on: {describe_failure(error)}") from error
        except (LookupError, AssertionError, TypeError, ValueError):
            # Optuna may have met a row that nobody wrote: then reading says so, in place of it.
            if store.has_study(name):
                Store(store.url, to_write=False).read_study(name)
            raise
        return study

    def _make(self) -> StudyRecord | None:
        """Make the study and train; None if another driver made it meanwhile."""
        space, store, name = self.space, self.store, self.name
        assert space is not None  # noqa: S101 - for the type checker: `resume` requires its study
        with self._work(space, self.workers, is_new=True) as work, ExitStack() as held:
            held.enter_context(self.holding())
            with store.lock(name):
                # Opened before the question: a store that was not there seems to have no studies.
                storage = store.storage
                if store.has_study(name):
                    return None
                with store.transaction():  # it is made whole or not at all
                    session = StudySession(storage, name, space, ())
                    session.enqueue()
                    total = self._total(session, work, asked=self.options["trials"])
                    record = StoredStudy(space.to_json(), work.facts, self.confirms)
                    store.write_study(name, replace(record, **self._plan(work, total)))
                study = store.read_study(name)
                held.close()
                loop = self._loop(study, session, work)
                return self._train(loop, work)

    def _go_on(self) -> StudyRecord:
        """Go on with the study, which is read once."""
        store, name = self.store, self.name
        self._require_a_search()
        with store.lock(name):
            study, trials = store.open_study(name)
            space, asked = self._space_of(study)
            with self._work(space, study.workers, is_new=False) as work:
                compare_data(study, work.facts)
                again = self._count_failures(study, work)
                with store.transaction():  # it goes on whole or not at all
                    session = StudySession(store.storage, name, space, trials)
                    session.enqueue()
                    for trial in again:
                        number = session.enqueue_again(trial.params)
                        store.trials(name).change(number, retry_of=trial.number)
                    total = self._total(session, work, asked, len(again))
                    plan = self._plan(work, total)
                    if total is None or session.num_started < total:
                        # With the budget: a study that has more to do must never read as finished.
                        plan["finished_by"] = None
                    store.change_study(name, **plan)
                loop = self._loop(replace(study, **plan), session, work)
                del study, trials  # many trials take much memory
                return self._train(loop, work)

    @contextmanager
    def _work(
        self, space: SearchSpace, recorded: WorkerChoices | None, *, is_new: bool
    ) -> Iterator[_Work]:
        """What does not depend on the study's trials, checked; its workers have not started."""
        options, budget = self.options, space.budget
        limits = Limits(
            _given(options["timeout"], budget.timeout),
            _given(options["trial_time_limit"], budget.trial_time_limit),
            _given(options["max_failures"], budget.max_failures),
        )
        data_dir = data_folder(options["data_dir"])
        choices, placements = choose_workers(options, space, recorded, is_new=is_new)
        with open_pool(
            options["executor"],
            worker_settings(space, choices, placements, data_dir),
            save_every=options["checkpoint_every"],
            time_limit=limits.trial_time_limit,
        ) as pool:
            failures = Failures(limits.max_failures)
            facts = read_data(space, data_dir)  # while the launcher gets ready
            yield _Work(space, limits, failures, choices, pool, facts)

    def _space_of(self, study: StudyRecord) -> tuple[SearchSpace, int | None]:
        """The study's search space with its budget from now on, and the total that was asked for.

        Raises:
            StoreError: the study searches another space than the request.
        """
        trials = self.options["trials"]
        if self.space is not None:
            compare_spaces(study, self.space, self.store)
            return self.space, trials
        total = _given(trials, study.num_trials)
        space = override_space(
            stored_space(study),
            trials=total,
            timeout=study.timeout_seconds,
            audit=study.num_audits,
        )
        return space, total

    def _require_a_search(self) -> None:
        """Check that there is a search, or what this request confirms, to go on with.

        Raises:
            InputError: it is a confirmation, which another total or fewer weights would spoil.
            StoreError: the study was not made by this project.
        """
        store, name = self.store, self.name
        if not store.study_names([name]):
            raise StoreError(
                f"study {name!r} is already in {str(store.path)!r} and was not made by sweep, "
                "or its making was cut off; choose another name with --study"
            )
        confirms = store.read_confirms(name)
        if confirms is not None and self.confirms is None:
            raise InputError(
                f"study {name!r} confirms {confirms.study!r}: go on with "
                f"`{command_words('confirm', confirms.study, store.url)}`"
            )

    def _count_failures(self, study: StudyRecord, work: _Work) -> list[TrialRecord]:
        """Count the study's failed trials; those that are to be run again, which do not count."""
        failed = study.unrepeated
        again = [trial for trial in failed if trial.params] if self.retry_failed else []
        work.failures.start_from(len(failed) - len(again), study.name, self.store.url)
        return again

    def _total(
        self, session: StudySession, work: _Work, asked: int | None, num_again: int = 0
    ) -> int | None:
        """Trials of the study; repetitions come on top of what a budget or a grid holds.

        Args:
            session: The study, in which all repetitions wait already.
            work: What is to be done.
            asked: The total that was asked for, former repetitions included; None for the space's
                own budget, on top of which repetitions come.
            num_again: How many repetitions are new.
        """
        total = work.space.num_trials
        if total is None:
            return None
        total += session.num_repetitions
        if asked is not None:
            total = min(total, asked + num_again)
        return max(total, session.num_promised)

    def _plan(self, work: _Work, total: int | None) -> dict[str, Any]:
        """How far the study goes from now on, and how it is trained, as fields of its record."""
        keep_weights = self.options["keep_weights"]
        plan: dict[str, Any] = {
            "num_trials": total,
            "timeout_seconds": work.space.budget.timeout,
            "num_audits": work.space.budget.audit,
            "workers": work.choices,
        }
        return plan if keep_weights is None else {**plan, "keep_weights": keep_weights}

    def _loop(self, study: StudyRecord, session: StudySession, work: _Work) -> Loop:
        return Loop(
            work.space,
            self.store,
            session,
            study=study,
            failures=work.failures,
            fingerprint=work.facts.fingerprint,
            limits=work.limits,
            command=self._command,
            on_event=self.options["on_event"],
            stop=self.options["stop"],
        )

    def _train(self, loop: Loop, work: _Work) -> StudyRecord:
        """Train. The caller holds the study's lock; the study as it is once the lock is free."""
        warning = network_warning(self.store.path)
        if warning is not None:
            self.options["on_event"](Notice(warning))
        with interruptible(f"`{self._command}` goes on"):
            with work.pool:  # its workers end before the study is free again
                finished = loop.run(work.pool)
            study = finished if finished is not None else self.store.read_study(self.name)
        return replace(study, state=study.state_at_rest)

    @property
    def _command(self) -> str:
        """The command that goes on with the study."""
        if self.confirms is not None:
            return command_words("confirm", self.confirms.study, self.store.url)
        return command_words("resume", self.name, self.store.url)


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be done, before anything is written.

    Attributes:
        space: The search space with the budget from now on.
        limits: Where to stop.
        failures: Counts the failed trials.
        choices: How trials are trained.
        pool: Where they are trained.
        facts: What is to be known of the data.
    """

    space: SearchSpace
    limits: Limits
    failures: Failures
    choices: WorkerChoices
    pool: Pool
    facts: DataFacts


_Value = TypeVar("_Value")


def _given(told: _Value | None, otherwise: _Value) -> _Value:
    """What was told, if anything was."""
    return otherwise if told is None else told
