"""How many workers there are, where they run, and how many trials each trains at once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sweep.data import data_spec
from sweep.definitions import FAMILIES
from sweep.errors import InputError, SweepFailedError
from sweep.execution import (
    LAUNCHERS,
    MAX_LANES,
    STACK_FLOPS,
    Launcher,
    Placement,
    Pool,
    place_workers,
)
from sweep.records import TrainingSettings, WorkerChoices
from sweep.runner.options import WorkOptions
from sweep.space import SearchSpace
from sweep.study import schedules

__all__ = ["choose_workers", "open_pool", "precision_option", "worker_settings"]

# Of the budget, what may be under way at once where earlier trials decide about later ones.
_SHARE_UNDER_WAY = 1 / 4
_LEARNING_SAMPLERS = ("tpe", "gp")
_PRUNERS_WITHOUT_COMPARISON = ("none", "threshold")


def choose_workers(
    options: WorkOptions,
    space: SearchSpace,
    recorded: WorkerChoices | None = None,
    *,
    is_new: bool = True,
) -> tuple[WorkerChoices, tuple[Placement, ...]]:
    """Decide how a study is trained: as told now, otherwise as recorded, otherwise as suits it.

    What was chosen for the user is chosen again where it cannot suit any more: for a new study, on
    another kind of device, or after another choice on which it depends.

    Args:
        options: What was told; complete.
        space: The search space.
        recorded: What the study has recorded, or the search that a new study confirms.
        is_new: Whether the study is yet to be made.

    Returns:
        The choices, and where each worker runs.

    Raises:
        InputError: an option, or what is recorded, cannot be met.
    """
    here = place_workers(options["device"], None)
    kind = here[0].device.split(":")[0]
    engine = _engine(_first(options["engine"], recorded.engine if recorded else None), space.model)
    holds = recorded is not None and not is_new and recorded.device == kind
    workers, chosen = _number("workers", options["workers"], recorded, holds, len(here), len(here))
    automatic = ["workers"] if chosen else []

    placements = place_workers(options["device"], workers)
    share = placements[0].num_threads
    holds = holds and recorded is not None and recorded.workers == workers
    is_cpu = kind == "cpu"  # elsewhere threads hardly matter
    threads, chosen = _number(
        "threads", options["threads"], recorded, holds and is_cpu, share, share
    )
    automatic += ["threads"] if chosen else []

    suitable = 1 if engine == "sequential" else _default_lanes(space, kind, workers)
    holds = holds and recorded is not None and recorded.engine == engine
    lanes, chosen = _number("lanes", options["lanes"], recorded, holds, suitable)
    automatic += ["lanes"] if chosen else []
    if engine == "sequential" and lanes != 1:
        raise InputError(
            f"the sequential engine trains one trial at a time; found lanes {lanes}; use --engine "
            "stacked, or --lanes 1"
        )
    choices = WorkerChoices(
        workers=workers,
        threads=threads,
        engine=engine,
        precision=_first(options["precision"], recorded.precision if recorded else None),
        lanes=lanes,
        automatic=tuple(automatic),
        device=kind,
    )
    return choices, tuple(replace(each, num_threads=threads) for each in placements)


def _number(
    name: str,
    told: int | str | None,
    recorded: WorkerChoices | None,
    holds: bool,
    suitable: int,
    most: int | None = None,
) -> tuple[int, bool]:
    """One of the numbers, and whether it was chosen for the user.

    Args:
        name: Its name.
        told: What the user says now: a number, `auto`, or nothing.
        recorded: What is recorded.
        holds: Whether a recorded number that was chosen for the user still suits the study.
        suitable: What suits it now.
        most: The most that suits this machine, or None if every number does.
    """
    if isinstance(told, int):
        return told, False
    if recorded is None or told == "auto":
        return suitable, True
    known: int = getattr(recorded, name)
    if name not in recorded.automatic:
        return known, False
    if not holds:
        return suitable, True
    if most is not None and known > most:
        return suitable, True  # it was chosen for a larger machine
    return known, True


def _first(*choices: str | None) -> str:
    """The first choice that was made."""
    return next((choice for choice in choices if choice is not None), "auto")


def _engine(choice: str, model: str) -> str:
    """`auto` is the stacked engine, whatever the widths.

    With one lane a step takes up to a tenth longer than the sequential engine's, with several it
    takes less for each.

    Raises:
        InputError: the networks of this model cannot be stacked.
    """
    can_stack = FAMILIES[model].stack_key is not None
    if choice == "auto":
        return "stacked" if can_stack else "sequential"
    if choice == "stacked" and not can_stack:
        raise InputError(f"model {model} is trained one by one; use --engine sequential, or auto")
    return choice


def precision_option(name: str) -> str:
    """The option that gives a trial the precision of this name: a GPU makes tf32 of float32."""
    return {"": "auto", "tf32": "float32"}.get(name, name)


def worker_settings(
    space: SearchSpace, choices: WorkerChoices, placements: Sequence[Placement], data_dir: Path
) -> list[TrainingSettings]:
    """The settings of each worker."""
    data = space.dataset.settings(data_dir)
    sharing = Counter(placement.device for placement in placements)
    return [
        TrainingSettings(
            model=space.model,
            data=data,
            spec=data_spec(data),
            order_seed=space.seed,
            objective=space.trial_objective,
            device=placement.device,
            num_sharing=sharing[placement.device],
            num_threads=placement.num_threads,
            engine=choices.engine,
            precision=choices.precision,
            lanes=choices.lanes,
            stack_flops=STACK_FLOPS[choices.device] if "lanes" in choices.automatic else None,
            rungs=schedules.build_schedule(space).rungs,
        )
        for placement in placements
    ]


def open_pool(
    executor: str | Callable[[], Launcher],
    settings: Sequence[TrainingSettings],
    *,
    save_every: float | None = None,
    time_limit: float | None = None,
) -> Pool:
    """A pool with a worker for each of these settings, not started yet; see `Pool`.

    Raises:
        InputError: there is no such executor.
        SweepFailedError: the system refuses a process or a temporary file.
    """
    if isinstance(executor, str):
        if executor not in LAUNCHERS:
            raise InputError(f"executor must be one of {', '.join(LAUNCHERS)}; found {executor!r}")
        executor = LAUNCHERS[executor]
    try:
        launcher = executor()
    except OSError as error:
        raise SweepFailedError(
            f"no process for workers can be started: {error.strerror or error}"
        ) from error
    return Pool(launcher, settings, save_every=save_every, time_limit=time_limit)


def _default_lanes(space: SearchSpace, kind: str, num_workers: int) -> int:
    """As many as pay, but few enough for the search to learn from the trials before."""
    learns = (
        space.sampler.type in _LEARNING_SAMPLERS
        or space.pruner.type not in _PRUNERS_WITHOUT_COMPARISON
    )
    if not learns or space.num_trials is None:
        return MAX_LANES[kind]
    under_way = math.ceil(space.num_trials * _SHARE_UNDER_WAY / num_workers)
    return min(MAX_LANES[kind], max(2, under_way))
