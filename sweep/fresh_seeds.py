"""`confirm`: the best configurations of a search on fresh seeds, and only then the test split.

They are its best trials or, for those who weigh value against size, the points of its front.
Beside them are trained baselines, which took no search and show what it was worth. The runs are a
study of their own beside the search: recorded, resumed, examined and shown like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack, cast

from sweep.definitions import Params, Scalar
from sweep.errors import InputError, StoreError, SweepFailedError
from sweep.records import (
    Confirms,
    NetworkSource,
    Notice,
    StudyRecord,
    TrialRecord,
    confirmation_name,
    have_all_ended,
    rank_candidates,
    size_front,
)
from sweep.runner.argument_rules import read_argument
from sweep.runner.failures import ctrl_c_interrupts
from sweep.runner.options import DEFAULTS, WorkOptions, complete_options
from sweep.runner.own_network import require_same_network
from sweep.runner.sweeps import Request
from sweep.space import (
    SearchSpace,
    are_all_same,
    are_same,
    baseline_parameters,
    effective_parameters,
    reload_space,
    stored_space,
)
from sweep.store import Store
from sweep.study import derive_seed
from sweep.words import command_words, counted, equal_words

if TYPE_CHECKING:
    from sweep.reporting.candidates import Confirmation

__all__ = ["confirm", "train_confirmation"]

_TOP = 5
_TOP_OF_FRONT = 10
_SEEDS = 5
_MAX_RUNS = 10_000  # as many configurations as a space may enqueue
_MAX_TOP = 1000  # as many choices as a parameter may have


def confirm(
    study: str,
    *,
    top: int | None = None,
    seeds: int | None = None,
    front: bool = False,
    **options: Unpack[WorkOptions],
) -> Confirmation:
    """Retrain a search's best configurations on fresh seeds, then test the winner's runs.

    The runs are a study of their own, `STUDY.confirm`. An unfinished confirmation continues; a
    finished one is returned as it is. On the same seeds are trained, for comparison, the default
    configuration and, for the MLP, softmax regression, unless they are among the best.

    Args:
        study: Name of the search, which must be finished.
        top: How many configurations; as begun, or 5 (10 of a front), if None.
        seeds: Runs of each; as begun, or 5, if None.
        front: Of the front against size: the trials that no other beats or equals with no more
            parameters. If False, as begun, or of all trials.
        **options: See `help(sweep.WorkOptions)` and `help(sweep.PlaceOptions)`. Their default is
            what is recorded with the search.

    Raises:
        InputError: the request cannot be carried out.
        SweepFailedError: all runs failed, workers do not start, or the disk is full.
        Interrupted: Ctrl-C, or `stop` returned True; the same call continues.
    """
    whole = complete_options("confirm", WorkOptions, options)
    study, storage = read_argument("study", study), str(whole["storage"])
    sources = cast("tuple[NetworkSource, ...]", whole["model"] or ())
    front = read_argument("front", front)
    with ctrl_c_interrupts(f"`{_command(study, storage, front=front)}` continues"):
        train_confirmation(study, top=top, seeds=seeds, front=front, **whole)
        # They need torch and SciPy, which the driver does without while it trains.
        from sweep.evaluation import read_test_split_of_winner
        from sweep.reporting.candidates import confirmation

        try:
            runs = read_test_split_of_winner(storage, study, whole["data_dir"], sources)
        except SweepFailedError as error:
            raise SweepFailedError(f"the test split was not read: {error}") from error
        found = confirmation(Store(storage, to_write=False).read_study(study), runs)
    assert found is not None  # noqa: S101 - for the type checker: these runs confirm something
    return found


def train_confirmation(
    study: str,
    *,
    top: int | None = None,
    seeds: int | None = None,
    front: bool = False,
    **options: Unpack[WorkOptions],
) -> StudyRecord:
    """What `confirm` does before it opens the test split; the runs, which have all ended."""
    whole = complete_options("confirm", WorkOptions, options)
    study = read_argument("study", study)
    wanted = _Wanted(
        None if top is None else read_argument("top", top),
        None if seeds is None else read_argument("seeds", seeds),
        read_argument("front", front),
    )
    store = Store(str(whole["storage"]), to_write=True)
    search = store.read_study(study)
    require_same_network(stored_space(search).model, whole["model"], study)
    plan = _plan(store, search, wanted)
    for notice in plan.notices:
        whole["on_event"](Notice(notice))
    runs = plan.runs
    # A driver may have died after the last run, before it could write that nothing is left.
    if runs is None or runs.finished_by is None or not have_all_ended(runs):
        runs = Request(
            name=plan.space.name,
            store=store,
            options={
                **DEFAULTS,
                **whole,
                "keep_weights": plan.space.num_trials,  # any of them may be tested
            },
            space=plan.space,
            confirms=plan.confirms,
            search=search,
            holding=lambda: _holding(store, plan, wanted),
        ).carry_out()
    _, best_mean = rank_candidates(runs)[0]
    if best_mean is None:
        last = [run.reason or "no reason" for run in runs.failed][-1:]
        raise SweepFailedError(
            f"all runs that confirm study {study!r} failed, the last one with {''.join(last)}; "
            f"`{command_words('show', runs.name, store.url)}` shows them"
        )
    return runs


@contextmanager
def _holding(store: Store, plan: _Plan, wanted: _Wanted) -> Iterator[None]:
    """Lock the search until its confirmation is in the store.

    A report opens the test split for a search's best trial under the search's lock, and only where
    there is no confirmation: neither may begin in the middle of the other. The search's lock is
    taken before that of the runs, never the other way round.
    """
    if plan.runs is not None:
        yield  # it is in the store already
        return
    study = plan.confirms.study
    with store.lock(study):
        again = _plan(store, store.read_study(study), wanted)
        if again.confirms != plan.confirms:
            command = _command(study, store.url, front=wanted.front)
            raise StoreError(f"study {study!r} went on meanwhile; `{command}` again")
        yield


def _command(study: str, storage: str, *, front: bool) -> str:
    return command_words("confirm", study, storage, "--front" if front else "")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the caller asks for; None and False are as begun, or the default."""

    top: int | None
    seeds: int | None
    front: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be trained: the space of the runs, the runs so far, and notes for the user."""

    confirms: Confirms
    space: SearchSpace
    runs: StudyRecord | None
    notices: tuple[str, ...]


def _plan(store: Store, search: StudyRecord, wanted: _Wanted) -> _Plan:
    """The plan of a confirmation that was begun, or a new one."""
    if search.confirms is not None:
        raise InputError(
            f"study {search.name!r} is itself a confirmation: "
            f"`{command_words('confirm', search.confirms.study, store.url)}` continues it"
        )
    space = stored_space(search)
    runs, why_not = store.read_confirmation(search)
    if why_not is not None:
        raise StoreError(
            f"{why_not}; the runs that confirm {search.name!r} need the name "
            f"{confirmation_name(search.name)!r}: delete that study, or run the search again under "
            "another name with --study"
        )
    if runs is None or not have_all_ended(runs):
        _require_finished(search, store.url)
    if runs is None or runs.confirms is None:
        return _new_plan(search, space, wanted)
    confirms = runs.confirms
    same_top = wanted.top in (None, len(confirms.trials)) or (
        # There may be fewer than requested.
        len(_choose(search, space, wanted.top, front=confirms.front)) == len(confirms.trials)
    )
    same_kind = confirms.front or not wanted.front
    if not (same_top and same_kind and wanted.seeds in (None, confirms.num_seeds)):
        delete = command_words("delete", runs.name, store.url)
        raise InputError(
            f"the confirmation of study {search.name!r} was begun with "
            f"{'--front ' if confirms.front else ''}--top {len(confirms.trials)} --seeds "
            f"{confirms.num_seeds}; give the same options, or none: "
            + (
                "a search is confirmed once"
                if runs.num_ended
                else f"or delete it by `{delete}`, as none of its runs has ended"
            )
        )
    more, notices = search.num_ended - confirms.num_trials, []
    if more > 0:
        notices.append(
            f"study {search.name} has {counted(more, 'trial')} more than when its confirmation was "
            f"begun; the best of its first {confirms.num_trials} are confirmed"
        )
    return _Plan(confirms, stored_space(runs), runs, tuple(notices))


def _require_finished(search: StudyRecord, storage: str) -> None:
    if search.finished_by is None:
        raise StoreError(
            f"study {search.name!r} is {search.state}, and only a finished search is confirmed; "
            f"finish it with `{command_words('resume', search.name, storage)}` (--trials N sets "
            "another total)"
        )
    if search.best is None:
        raise StoreError(
            f"study {search.name!r} has no COMPLETE trial to confirm; "
            f"`{command_words('show', search.name, storage)}` says why"
        )


def _new_plan(search: StudyRecord, space: SearchSpace, wanted: _Wanted) -> _Plan:
    top = wanted.top or (_TOP_OF_FRONT if wanted.front else _TOP)
    seeds = wanted.seeds or _SEEDS
    chosen = _choose(search, space, min(top, _MAX_TOP + 1), front=wanted.front)
    baselines = _baselines(space, chosen)
    num_configurations = len(chosen) + len(baselines)
    if num_configurations > _MAX_TOP or num_configurations * seeds > _MAX_RUNS:
        raise InputError(
            f"a confirmation may have {_MAX_TOP:,} configurations and {_MAX_RUNS:,} runs, its "
            f"baselines included; found --top {top:,} --seeds {seeds:,}"
        )
    assert search.identity is not None  # noqa: S101 - for the type checker: it is in the store
    confirms = Confirms(
        study=search.name,
        trials=tuple(trial.number for trial in chosen),
        num_seeds=seeds,
        num_trials=search.num_ended,
        identity=search.identity,
        front=wanted.front,
        baselines=tuple(baselines),
    )
    notices = _front_notices if wanted.front else _notices
    return _Plan(
        confirms,
        _space_of_runs(
            search, space, [*(trial.params for trial in chosen), *baselines.values()], seeds
        ),
        None,
        notices(search, wanted.top, len(chosen)),
    )


def _notices(search: StudyRecord, top: int | None, num_chosen: int) -> tuple[str, ...]:
    notices = []
    if search.num_best > num_chosen:
        notices.append(
            f"study {search.name}: {equal_words(search.num_best, search.objective.metric)}"
        )
    if num_chosen < (top or _TOP):
        which = counted(num_chosen, "configuration")
        notices.append(
            f"study {search.name} has only {which} to confirm, not {top or _TOP}: no more COMPLETE "
            "trials differ"
        )
    return tuple(notices)


def _front_notices(search: StudyRecord, top: int | None, num_chosen: int) -> tuple[str, ...]:
    num_points = len(size_front(search))
    what = f"the front of study {search.name} has"
    if num_chosen < num_points:
        return (
            f"{what} {num_points} points, of which the best {num_chosen} are confirmed; --top "
            f"{num_points} confirms all",
        )
    if num_chosen < (top or 0):
        return (f"{what} only {counted(num_points, 'point')} to confirm, not {top}",)
    return ()


def _choose(
    search: StudyRecord, space: SearchSpace, top: int | None, *, front: bool
) -> list[TrialRecord]:
    """The best trials, or the best of the front, with different configurations, best first."""
    chosen: dict[object, TrialRecord] = {}
    for trial in size_front(search) if front else search.ranked():
        if len(chosen) == top:
            break
        chosen.setdefault(effective_parameters(space, trial.params), trial)
    return list(chosen.values())


def _baselines(space: SearchSpace, chosen: list[TrialRecord]) -> dict[str, Params]:
    """The baselines by name, without those that are trained anyway."""
    trained = [dict(effective_parameters(space, trial.params)) for trial in chosen]
    found: dict[str, Params] = {}
    for name, params in baseline_parameters(space.model).items():
        effective = dict(effective_parameters(space, params))
        if not any(are_all_same(effective, other) for other in trained):
            found[name] = params
            trained.append(effective)
    return found


def _space_of_runs(
    search: StudyRecord, space: SearchSpace, configurations: list[Params], seeds: int
) -> SearchSpace:
    """A space of these configurations alone, each of them enqueued `seeds` times.

    Its seed differs from the search's, and so do initial weights and the orders of the examples.
    """
    values = {
        name: _different(params[name] for params in configurations if name in params)
        for name in space.definitions
    }
    parameters = {
        name: found[0] if len(found) == 1 else {"choices": found} for name, found in values.items()
    }
    varied = [name for name, found in values.items() if len(found) > 1]
    data = space.to_json()
    data |= {
        "name": confirmation_name(search.name),
        "parameters": parameters,
        "sampler": {"type": "random", "seed": derive_seed(space.seed, 0, "confirmation")},
        "pruner": {"type": "none"},
        "warm_start": None,
        "constraints": [],  # they were met
        "budget": {
            "trials": len(configurations) * seeds,
            "trial_time_limit": space.budget.trial_time_limit,
        },
        "enqueue": [
            {name: params.get(name) for name in varied}
            for params in configurations
            for _ in range(seeds)
        ],
    }
    try:
        return reload_space(data)
    except InputError as error:
        reason = str(error).splitlines()[0]
        raise StoreError(
            f"the best trials of study {search.name!r} cannot be trained again: {reason}; it was "
            "made by another version"
        ) from None


def _different(values: Iterable[Scalar]) -> list[Scalar]:
    """Values in order, each once: those that are equal up to rounding are one choice."""
    found: list[Scalar] = []
    for value in values:
        if not any(are_same(value, other) for other in found):
            found.append(value)
    return found
