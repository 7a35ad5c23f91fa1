"""A pool of workers, over a launcher that starts them and carries bytes.

All policy is in `pool`, `workload` and `capacity`; all transport in `processes`, `inline` and
`ray_launcher`.
"""

from collections.abc import Callable

from sweep.execution.capacity import MAX_LANES, Capacity
from sweep.execution.devices import place_workers
from sweep.execution.forking import ForkServer
from sweep.execution.inline import InlineLauncher
from sweep.execution.launcher import Ended, Launcher, Leaving, Link
from sweep.execution.pool import MAX_RETRIES, Pool
from sweep.execution.processes import ProcessLauncher
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
    "Leaving",
    "Link",
    "Pool",
    "ProcessLauncher",
    "Submission",
    "Workload",
    "place_workers",
]

LAUNCHERS: dict[str, Callable[[str], Launcher]] = {
    "processes": ProcessLauncher,
    "inline": InlineLauncher,
}
"""Ways to start workers on this machine, by name; each takes a device (see `place_workers`)."""
