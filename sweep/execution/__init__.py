"""Where engines run: worker processes on this machine."""

from sweep.execution.devices import Placement, place_workers
from sweep.execution.local import Executor, LocalExecutor, Lost, News
from sweep.execution.wire import Epoch, WorkerReady

__all__ = [
    "Epoch",
    "Executor",
    "LocalExecutor",
    "Lost",
    "News",
    "Placement",
    "WorkerReady",
    "place_workers",
]
