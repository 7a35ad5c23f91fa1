"""Where engines run: worker processes on this machine."""

from sweep.execution.devices import Placement, place_workers
from sweep.execution.local import Executor, LocalExecutor
from sweep.execution.wire import Epoch, WorkerReady

__all__ = ["Epoch", "Executor", "LocalExecutor", "Placement", "WorkerReady", "place_workers"]
