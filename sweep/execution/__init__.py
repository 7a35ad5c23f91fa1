"""A pool of workers, over a launcher that starts them and carries bytes.

All policy is in `pool`, `workload` and `capacity`; all transport in `processes` and `inline`.
"""

from collections.abc import Callable

from sweep.execution.capacity import MAX_LANES, Capacity
from sweep.execution.devices import Placement, place_workers
from sweep.execution.inline import InlineLauncher
from sweep.execution.launcher import Ended, Launcher, Link
from sweep.execution.pool import MAX_RETRIES, Pool
from sweep.execution.processes import ForkServer, ProcessLauncher
from sweep.execution.workload import Submission, Workload

__all__ = [
    "LAUNCHERS",
    "MAX_LANES",
    "MAX_RETRIES",
    "Capacity",
    "Ended",
    "ForkServer",
    "InlineLauncher",
    "Launcher",
    "Link",
    "Placement",
    "Pool",
    "ProcessLauncher",
    "Submission",
    "Workload",
    "place_workers",
]

LAUNCHERS: dict[str, Callable[[], Launcher]] = {
    "processes": ProcessLauncher,
    "inline": InlineLauncher,
}
"""Ways to start workers, by name."""
