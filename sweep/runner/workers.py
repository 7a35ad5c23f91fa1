"""How many workers there are, where they run, and how many trials each trains at once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

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
from sweep.records import TrainingSettings
from sweep.space import SearchSpace
from sweep.training import ENGINE_NAMES, PRECISION_NAMES

__all__ = ["Executor", "WorkerOptions"]

Executor = str | Callable[[], Launcher]
"""Where trials are trained: `processes`, `inline`, or what makes another launcher."""

# Of the budget, what may be under way at once where earlier trials decide about later ones.
_SHARE_UNDER_WAY = 1 / 4
_LEARNING_SAMPLERS = ("tpe", "gp")
_PRUNERS_WITHOUT_COMPARISON = ("none", "threshold")


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What a user may say about workers; None and `auto` leave the choice to the program.

    Attributes:
        workers: Worker processes.
        device: `auto`, `cpu`, `cuda` or `cuda:0,1`.
        engine: `auto` or a name of `sweep.training.ENGINE_NAMES`.
        precision: A name of `sweep.training.PRECISION_NAMES`.
        lanes: Trials that one worker trains at once.
        executor: A name of `sweep.execution.LAUNCHERS`, or what makes another launcher.
        threads: Threads of each worker on the CPU; its share of the cores if None.
    """

    workers: int | None
    device: str
    engine: str
    precision: str
    lanes: int | None
    executor: Executor = "processes"
    threads: int | None = None

    def place(self) -> tuple[Placement, ...]:
        """Where workers run.

        Raises:
            InputError: an option cannot be met.
        """
        if self.engine not in ("auto", *ENGINE_NAMES):
            raise InputError(
                f"engine must be one of auto, {', '.join(ENGINE_NAMES)}; found {self.engine!r}"
            )
        if self.precision not in PRECISION_NAMES:
            raise InputError(
                f"precision must be one of {', '.join(PRECISION_NAMES)}; found {self.precision!r}"
            )
        if self.lanes is not None and self.lanes < 1:
            raise InputError(f"lanes must be at least 1; found {self.lanes}")
        if self.engine == "sequential" and self.lanes not in (None, 1):
            raise InputError(
                f"the sequential engine trains one trial at a time; found lanes {self.lanes}; "
                "use engine stacked"
            )
        if isinstance(self.executor, str) and self.executor not in LAUNCHERS:
            raise InputError(
                f"executor must be one of {', '.join(LAUNCHERS)}; found {self.executor!r}"
            )
        placements = place_workers(self.device, self.workers)
        if self.threads is None:
            return tuple(placements)
        return tuple(
            replace(placement, num_threads=self.threads) if placement.device == "cpu" else placement
            for placement in placements
        )

    def pool(
        self,
        space: SearchSpace,
        data_dir: Path,
        *,
        save_every: float | None = None,
        time_limit: float | None = None,
    ) -> Pool:
        """Workers for a space, not started yet; see `Pool`.

        Raises:
            InputError: an option cannot be met.
            SweepFailedError: the system refuses a process or a temporary file.
        """
        settings = self.settings(space, self.place(), data_dir)
        launch = LAUNCHERS[self.executor] if isinstance(self.executor, str) else self.executor
        try:
            launcher = launch()
        except OSError as error:
            raise SweepFailedError(
                f"no process for workers can be started: {error.strerror or error}"
            ) from error
        return Pool(launcher, settings, save_every=save_every, time_limit=time_limit)

    def settings(
        self, space: SearchSpace, placements: tuple[Placement, ...], data_dir: Path
    ) -> list[TrainingSettings]:
        """The settings of each worker.

        `auto` is the stacked engine, whatever the widths: with one lane it is as fast as the
        sequential one where networks are wide, and faster where they are not.
        """
        sharing = Counter(placement.device for placement in placements)
        engine = "stacked" if self.engine == "auto" else self.engine
        found = []
        for placement in placements:
            kind = placement.device.split(":")[0]
            lanes = self.lanes or (
                1 if engine == "sequential" else _default_lanes(space, kind, len(placements))
            )
            found.append(
                TrainingSettings(
                    dataset=space.dataset.name,
                    num_validation=space.dataset.validation,
                    split_seed=space.dataset.split_seed,
                    data_dir=str(data_dir),
                    order_seed=space.seed,
                    objective=space.trial_objective,
                    device=placement.device,
                    num_sharing=sharing[placement.device],
                    num_threads=placement.num_threads,
                    engine=engine,
                    precision=self.precision,
                    lanes=lanes,
                    stack_flops=STACK_FLOPS[kind] if self.lanes is None else None,
                )
            )
        return found


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
