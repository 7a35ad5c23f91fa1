"""`confirm`: the best of a search on fresh seeds, and only then the test split.

Joins what trains, what opens the test split and what compares.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from sweep.errors import SweepFailedError
from sweep.records import Message
from sweep.runner import train_confirmation
from sweep.runner.sweeps import CHECKPOINT_SECONDS
from sweep.runner.workers import Executor
from sweep.store import Store
from sweep.words import DEFAULT_STORAGE

if TYPE_CHECKING:
    from sweep.reporting.confirmation import Confirmation

__all__ = ["confirm"]


def confirm(
    study: str,
    *,
    top: int | None = None,
    seeds: int | None = None,
    storage: str = DEFAULT_STORAGE,
    workers: int | None = None,
    device: str = "auto",
    data_dir: str | os.PathLike[str] | None = None,
    engine: str = "auto",
    precision: str = "auto",
    lanes: int | None = None,
    executor: Executor = "processes",
    checkpoint_every: float = CHECKPOINT_SECONDS,
    trial_time_limit: float | None = None,
    on_event: Callable[[Message], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Confirmation:
    """Retrain a search's best configurations on fresh seeds, then test the winner's runs.

    The runs are a study of their own, `STUDY.confirm`. A confirmation that was begun goes on; one
    that is finished is returned as it is.

    Args:
        study: Name of the search, which must be finished.
        top: How many configurations; as begun, or 5, if None.
        seeds: Runs of each; as begun, or 5, if None.
        storage: `sqlite:///` and a path.
        workers: Worker processes; one per core or per GPU if None.
        device: `auto`, `cpu`, `cuda` or `cuda:0,1`.
        data_dir: Folder of local data sets; `$SWEEP_DATA_DIR` or `data/` if None.
        engine: `auto`, `sequential` (the plain reference) or `stacked`.
        precision: `auto` (bfloat16 where the hardware multiplies it), `float32` or `bfloat16`.
        lanes: Runs that one worker trains at once; chosen by their size if None.
        executor: `processes`; `inline`: runs are trained in this very process, for debuggers; or
            what makes a `sweep.execution.Launcher`.
        checkpoint_every: Seconds between two checkpoints of a run.
        trial_time_limit: Seconds that a run may take, in place of the search's.
        on_event: Called for everything that happens, in the driver.
        stop: Asked several times a second; True ends the training between two writes.

    Returns:
        Means and intervals of all candidates, the winner, and its test accuracy.

    Raises:
        InputError: the request cannot be carried out.
        SweepFailedError: all runs failed, workers do not start, or the disk is full.
        KeyboardInterrupt: Ctrl-C, or `stop` said so; the same call goes on.
    """
    train_confirmation(
        study,
        top=top,
        seeds=seeds,
        storage=storage,
        workers=workers,
        device=device,
        data_dir=data_dir,
        engine=engine,
        precision=precision,
        lanes=lanes,
        executor=executor,
        checkpoint_every=checkpoint_every,
        trial_time_limit=trial_time_limit,
        on_event=on_event,
        stop=stop,
    )
    # Torch and SciPy, of which the driver had no need while it trained.
    from sweep.evaluation import read_confirmation
    from sweep.reporting.confirmation import confirmation

    try:
        runs = read_confirmation(storage, study, data_dir)
    except SweepFailedError as error:
        raise SweepFailedError(f"the test split was not read: {error}") from error
    found = confirmation(Store(storage, to_write=False).read_study(study), runs)
    assert found is not None  # noqa: S101 - for the type checker: these runs confirm something
    return found
