"""`run` and `resume`: everything is checked first, then made, then trained. `load_study` reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Unpack, cast

from sweep.data.arrays import GivenArrays
from sweep.errors import (
    DataError,
    ForeignStudyError,
    InputError,
    StoreError,
    SweepFailedError,
)
from sweep.execution.inspection import Inspector
from sweep.records import (
    FINAL,
    Confirms,
    NetworkSource,
    Notice,
    StudyRecord,
    TrialRecord,
    WorkerChoices,
    with_limits,
)
from sweep.runner.argument_rules import read_argument
from sweep.runner.failures import Failures, ctrl_c_interrupts, remember_errors
from sweep.runner.loop import Loop
from sweep.runner.options import StudyOptions, complete_options
from sweep.runner.own_network import network_inspector, require_same_network
from sweep.runner.spending import Spending
from sweep.runner.starting import starting_points
from sweep.runner.workers import Workers, choose_workers, prepare_workers
from sweep.space import (
    SearchSpace,
    load_space_for,
    override_space,
    stored_space,
)
from sweep.store import STORE_FAILURES, Store, StoredStudy, describe_failure, network_warning
from sweep.study import StudySession
from sweep.words import DEFAULT_STORAGE, command_words, counted, starting_words

__all__ = ["Request", "load_study", "resume", "run"]

_DAMAGE = (LookupError, AssertionError, TypeError, ValueError)
"""What Optuna raises for damaged rows."""


def run(
    space: SearchSpace | str | os.PathLike[str] | Mapping[str, Any],
    *,
    data: Any = None,
    study: str | None = None,
    seed: int | None = None,
    **options: Unpack[StudyOptions],
) -> StudyRecord:
    """Run a sweep until its budget is used up.

    A study of the same name and search space continues where it stopped.

    Args:
        space: A search space, the path of its YAML file, or the file's content as a mapping.
        data: Arrays, in place of the space's data set, which may be left out; its `validation`,
            `test` and `split_seed` stay. `(x, y)`, `(x_train, y_train, x_test, y_test)`, or a
            mapping with such names, perhaps with `x_validation` and `y_validation`. Each is an
            array of NumPy or PyTorch, a list, or a `DataFrame` or `Series`: x holds rows of shape
            (N, D), or images of shape (N, H, W), (N, H, W, C) or (N, C, H, W), and y whole numbers,
            text or booleans. The store keeps them beside it: other calls need only the store.
        study: Name of the study, in place of the space's.
        seed: The study's seed, in place of the sampler's.
        **options: See `help(sweep.StudyOptions)`, `help(sweep.WorkOptions)` and
            `help(sweep.PlaceOptions)`.

    Raises:
        InputError: the request cannot be carried out; nothing was created.
        SweepFailedError: too many trials failed, or workers do not start.
        Interrupted: Ctrl-C, or `stop` returned True; `resume` finishes the study.
    """
    whole = complete_options("run", StudyOptions, options)
    study = None if study is None else read_argument("study", study)
    seed = None if seed is None else read_argument("seed", seed)
    given = None if data is None else read_argument("data", data)
    with (
        ctrl_c_interrupts("run the search again: a study that was begun continues"),
        network_inspector(cast("tuple[NetworkSource, ...] | None", whole["model"])) as inspector,
    ):
        loaded = load_space_for(
            space,
            arrays=None if given is None else given.sha256,
            network=None if inspector is None else inspector.load(),
        )
        loaded = override_space(loaded, name=study, seed=seed, trials=whole["trials"])
        store = Store(str(whole["storage"]), to_write=True)
        request = Request(
            name=loaded.name,
            store=store,
            options=whole,
            space=loaded,
            given=given,
            inspector=inspector,
        )
        return request.carry_out()


def resume(
    study: str, *, retry_failed: bool = False, **options: Unpack[StudyOptions]
) -> StudyRecord:
    """Finish a study; its search space is in the store.

    Args:
        study: Name of the study.
        retry_failed: Whether failed trials are run again, under new numbers and beyond the total.
        **options: See `help(sweep.StudyOptions)`, `help(sweep.WorkOptions)` and
            `help(sweep.PlaceOptions)`.

    Raises:
        InputError: there is no such study, or it cannot continue as asked.
        SweepFailedError: too many trials failed, or workers do not start.
        Interrupted: Ctrl-C, or `stop` returned True; the same call continues.
    """
    whole = complete_options("resume", StudyOptions, options)
    study = read_argument("study", study)
    retry_failed = read_argument("retry_failed", retry_failed)
    storage = str(whole["storage"])
    with ctrl_c_interrupts(f"`{command_words('resume', study, storage)}` continues"):
        store = Store(storage, to_write=True)
        store.require_study(study)
        request = Request(name=study, store=store, options=whole, retry_failed=retry_failed)
        return request.carry_out()


def load_study(study: str, *, storage: str | os.PathLike[str] = DEFAULT_STORAGE) -> StudyRecord:
    """Read a study as it is now; another process may be working on it. Changes nothing.

    Args:
        study: Name of the study.
        storage: `sqlite:///` and a path, or a `Path`.

    Raises:
        InputError: there is no such study, or it is damaged.
    """
    study, url = read_argument("study", study), read_argument("storage", storage)
    return Store(url, to_write=False).read_study(study)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to run, resume or confirm a study, with complete options.

    Attributes:
        space: The study's search space; None for the recorded one.
        given: The study's data, if they come from Python.
        inspector: Tries a user's network before a study is made of it.
        confirms: What a new study confirms.
        search: The study that it confirms, with the data and the choices that it takes over.
        holding: Locks what must not change until a new study is in the store.
    """

    name: str
    store: Store
    options: StudyOptions
    space: SearchSpace | None = None
    retry_failed: bool = False
    given: GivenArrays | None = None
    inspector: Inspector | None = None
    confirms: Confirms | None = None
    search: StudyRecord | None = None
    holding: Callable[[], AbstractContextManager[None]] = nullcontext

    def carry_out(self) -> StudyRecord:
        """Make the study or continue it, and train until the budget is used up.

        Everything is checked before the first write: a refusal changes nothing.
        """
        callers: list[BaseException] = []
        options: StudyOptions = {
            **self.options,
            "on_event": remember_errors(self.options["on_event"], callers),
            "stop": remember_errors(self.options["stop"], callers),
        }
        try:
            return replace(self, options=options)._make_or_go_on()
        except (*STORE_FAILURES, *_DAMAGE) as error:
            if any(error is raised for raised in callers):
                raise
            if isinstance(error, STORE_FAILURES):
                raise SweepFailedError(
                    f"the sweep cannot continue: {describe_failure(error)}"
                ) from error
            # Optuna may have met a damaged row: reading the study explains that better.
            store = Store(self.store.url, to_write=False)
            if store.has_study(self.name):
                store.read_study(self.name)
            raise

    def _make_or_go_on(self) -> StudyRecord:
        study = None
        while study is None:
            study = self._go_on() if self.store.has_study(self.name) else self._make()
        return study

    def _make(self) -> StudyRecord | None:
        """Make the study and train; None if another driver made it meanwhile."""
        space, store, name = self.space, self.store, self.name
        assert space is not None  # noqa: S101 - for the type checker: `resume` requires its study
        chosen = None if self.search is None else self.search.workers
        with self._prepare(space, chosen, is_new=True) as workers, ExitStack() as held:
            space = space.on_data(workers.data.spec)
            starting = starting_points(space, store)
            if self.search is not None:
                _require_same_data(self.search, workers.data.fingerprint)
            if self.given is None:  # else there is no file of them yet
                workers.pool.start()  # they load their data while the study is made
            held.enter_context(self.holding())
            with store.lock(name):
                # Opened before asking: a store that was not there seems to have no studies.
                storage = store.storage
                if store.has_study(name):
                    return None
                # It is made whole or not at all, and only once its data are there.
                with store.keeping(self.given), store.transaction():
                    orders = _num_orders(self.confirms)
                    session = StudySession(
                        storage, name, space, (), starting=starting, num_orders=orders
                    )
                    session.enqueue()
                    total = self._total(session, space, asked=self.options["trials"])
                    record = StoredStudy(
                        space.to_json(), workers.data, self.confirms, starting=tuple(starting)
                    )
                    store.write_study(name, replace(record, **self._plan(space, workers, total)))
                study = store.read_study(name)
                notes = [] if self.confirms else [*workers.data.notes]  # its search has said them
                if starting:
                    origins = [point.origin for point in starting]
                    words = starting_words(len(space.enqueue), origins)
                    notes.append(f"starting points: {words}")
                for note in notes:
                    self.options["on_event"](Notice(note))
                _, unused = store.read_confirmation(study)
                if unused is not None:
                    self.options["on_event"](Notice(unused))
                held.close()
                return self._train(self._loop(space, study, session, workers))

    def _go_on(self) -> StudyRecord:
        """Continue the study."""
        store, name = self.store, self.name
        self._require_right_command()
        with store.lock(name):
            study, trials = store.open_study(name)
            space, asked = self._space_of(study)
            if self.space is None and self._is_done(study, space, asked):
                # An option that cannot be met is refused all the same.
                require_same_network(space.model, self.options["model"], name)
                if self.options["executor"] != "ray":  # which is not joined for nothing
                    choose_workers(self.options, space, study.workers, is_new=False)
                return replace(study, state=study.state_at_rest)
            with self._prepare(space, study.workers, is_new=False) as workers:
                space = space.on_data(workers.data.spec)
                _require_same_data(study, workers.data.fingerprint)
                again = self._failed_to_retry(study, space)
                # It continues whole or not at all.
                with store.keeping(self.given), store.transaction():
                    orders = _num_orders(study.confirms)
                    session = StudySession(
                        store.storage,
                        name,
                        space,
                        trials,
                        starting=study.starting,
                        num_orders=orders,
                    )
                    for trial in again:
                        number = session.enqueue_again(trial.params)
                        store.trials(name).change(number, retry_of=trial.number)
                    total = self._total(session, space, asked, len(again))
                    plan = self._plan(space, workers, total)
                    plan["space"] = with_limits(study.space, space.budget.model_dump())
                    if Spending(replace(study, **plan)).used_up() is None:
                        # With the budget: a study with work left must never read as finished.
                        plan["finished_by"] = None
                    store.change_study(name, **plan)
                planned = replace(study, **plan)
                num_failed = len(study.unrepeated) - len(again)
                loop = self._loop(space, planned, session, workers, num_failed)
                del study, planned, trials  # many trials take much memory
                return self._train(loop)

    def _prepare(
        self, space: SearchSpace, recorded: WorkerChoices | None, *, is_new: bool
    ) -> AbstractContextManager[Workers]:
        return prepare_workers(
            self.options,
            space,
            recorded,
            is_new=is_new,
            save_every=cast(float, self.options["checkpoint_every"]),
            time_limit=self._limit("trial_time_limit", space),
            given=self.given,
            inspector=self.inspector if is_new else None,
        )

    def _space_of(self, study: StudyRecord) -> tuple[SearchSpace, int | None]:
        """The study's search space with its new budget, and the requested total."""
        trials = self.options["trials"]
        recorded = stored_space(study)
        if self.space is None:
            total = study.num_trials if trials is None else trials
            timeout, audit = study.timeout_seconds, study.num_audits
            return override_space(recorded, trials=total, timeout=timeout, audit=audit), total
        differences = recorded.differences(self.space)
        if self.given is not None and [d.split(":")[0] for d in differences] == ["dataset.arrays"]:
            raise StoreError(
                f"study {study.name!r} is already in {str(self.store.path)!r} with other data; "
                "choose another name with `study`, or give the data that it was made with"
            )
        if differences:
            raise StoreError(
                f"study {study.name!r} is already in {str(self.store.path)!r} with another search "
                "space:\n"
                + "\n".join(f"  {line}" for line in differences)
                + "\nchoose another name with --study, or finish the old one with "
                f"`{command_words('resume', study.name, self.store.url)}`"
            )
        return self.space, trials

    def _require_right_command(self) -> None:
        """Refuse a confirmation, which only `confirm` continues, and a study that is not ours."""
        store, name = self.store, self.name
        try:
            confirms = store.read_confirms(name)
        except ForeignStudyError as error:
            if self.space is None:
                raise
            raise ForeignStudyError(
                f"{error}; choose another name with --study, or another store with --storage"
            ) from None
        if confirms is not None and self.confirms is None:
            raise InputError(
                f"study {name!r} confirms {confirms.study!r}: continue with "
                f"`{command_words('confirm', confirms.study, store.url)}`"
            )

    def _is_done(self, study: StudyRecord, space: SearchSpace, asked: int | None) -> bool:
        """Whether a study has ended, by no timeout, and nothing more is asked of it."""
        limited = replace(study, num_trials=asked)
        if study.finished_by in (None, "timeout") or Spending(limited).used_up() is None:
            return False
        changes_weights = self.options["keep_weights"] not in (None, study.keep_weights)
        return not (self._failed_to_retry(study, space) or changes_weights)

    def _failed_to_retry(self, study: StudyRecord, space: SearchSpace) -> list[TrialRecord]:
        """The failed trials to run again, unless the others exceed `max_failures`."""
        failed = study.unrepeated
        again = [trial for trial in failed if trial.params] if self.retry_failed else []
        if again and (used := Spending(study).used_up()) in FINAL:
            raise StoreError(
                f"study {study.name!r} has ended by its {used}, after which no trial starts: no "
                f"failed one is run again; change budget.{used} in the search space, `sweep run` "
                "it, and try again"
            )
        count, most = len(failed) - len(again), self._limit("max_failures", space)
        if most is not None and count > most:
            url = self.store.url
            raise StoreError(
                f"study {study.name!r} has {counted(count, 'failed trial')}, and max_failures is "
                f"{most}; `{command_words('show', study.name, url)}` shows them, "
                f"`{command_words('resume', study.name, url)} --retry-failed` runs them again, and "
                "--max-failures N allows more"
            )
        return again

    def _limit(self, name: str, space: SearchSpace) -> Any:
        """The option of this name or, if it was not given, the limit of the space's budget."""
        option = self.options[name]  # type: ignore[literal-required]
        return getattr(space.budget, name) if option is None else option

    def _total(
        self, session: StudySession, space: SearchSpace, asked: int | None, num_again: int = 0
    ) -> int | None:
        """The study's total number of trials, with the repetitions that wait in the session.

        `asked` includes earlier repetitions, but not the `num_again` new ones; None is the space's
        own budget, on top of which all repetitions come.
        """
        total = space.num_trials
        if total is None:
            return None
        total += session.num_repetitions
        if asked is not None:
            total = min(total, asked + num_again)
        return max(total, session.num_promised)

    def _plan(self, space: SearchSpace, workers: Workers, total: int | None) -> dict[str, Any]:
        """The study's new budget and how it is trained, as fields of its record."""
        plan = {
            "num_trials": total,
            "timeout_seconds": space.budget.timeout,
            "num_audits": space.budget.audit,
            "workers": workers.choices,
            "keep_weights": self.options["keep_weights"],
        }
        if plan["keep_weights"] is None:
            del plan["keep_weights"]
        return plan

    def _loop(
        self,
        space: SearchSpace,
        study: StudyRecord,
        session: StudySession,
        workers: Workers,
        num_failed: int = 0,
    ) -> Loop:
        return Loop(
            space=space,
            store=self.store,
            session=session,
            study=study,
            failures=Failures(self._limit("max_failures", space), num_failed, space),
            pool=workers.pool,
            fingerprint=workers.data.fingerprint,
            timeout=self._limit("timeout", space),
            command=self._command,
            on_event=self.options["on_event"],
            stop=self.options["stop"],
        )

    def _train(self, loop: Loop) -> StudyRecord:
        """Train while the caller holds the study's lock; the study as it is when that is free."""
        warning = network_warning(self.store.path)
        if warning is not None:
            self.options["on_event"](Notice(warning))
        with ctrl_c_interrupts(f"`{self._command}` continues"):
            try:
                with loop.pool:  # its workers end before the study is free again
                    finished = loop.run()
            except LookupError:
                if Store(self.store.url, to_write=False).has_study(self.name):
                    raise
                raise SweepFailedError(
                    f"another program deleted study {self.name!r} while this driver worked on it"
                ) from None
            study = finished if finished is not None else self.store.read_study(self.name)
        return replace(study, state=study.state_at_rest)

    @property
    def _command(self) -> str:
        """The command that continues the study."""
        if self.confirms is not None:
            return command_words("confirm", self.confirms.study, self.store.url)
        return command_words("resume", self.name, self.store.url)


def _num_orders(confirms: Confirms | None) -> int:
    """How many orders of the examples there are: one for each seed of a confirmation."""
    return 1 if confirms is None else confirms.num_seeds


def _require_same_data(study: StudyRecord, found: str) -> None:
    recorded = study.data.fingerprint
    if recorded != found:
        raise DataError(
            f"the data have changed since study {study.name!r} was made: they have fingerprint "
            f"{found[:12]}, and had {recorded[:12]}; restore them, or name the folder of the "
            "original ones with --data-dir (a study of another name takes the new ones)"
        )
