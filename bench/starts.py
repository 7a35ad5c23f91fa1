"""How long a worker takes to start: the first one of a launcher, and those after it.

    python bench/starts.py [--repeats 5] [--workers 5]

The first one waits for the fork server to load PyTorch, the others are forked from it; each loads
the digits and says that it is ready. Prints medians. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import statistics
import time

from harness import machine

from sweep.definitions import DATASETS
from sweep.execution import Ended, Launcher, ProcessLauncher
from sweep.records import DataSettings, Objective, TrainingSettings

SETTINGS = TrainingSettings(
    model="mlp",
    data=DataSettings("digits", None, 0, "."),
    spec=DATASETS["digits"],
    order_seed=0,
    objective=Objective("validation_accuracy", "maximize"),
    device="cpu",
    num_sharing=1,
    num_threads=1,
    engine="stacked",
    precision="float32",
    lanes=1,
    stack_flops=None,
)
_PATIENCE_SECONDS = 60.0


def start_worker(launcher: Launcher) -> None:
    """Start a worker, and wait until it is ready."""
    launcher.start(SETTINGS)
    received = launcher.receive(_PATIENCE_SECONDS)
    if received is None or isinstance(received[1], Ended):
        raise RuntimeError(f"no worker started: {received!r}")


def measure(num_workers: int) -> list[float]:
    """Seconds that each worker of a new launcher took, in the order of their starts."""
    seconds = []
    started = time.perf_counter()
    launcher = ProcessLauncher()
    try:
        for _ in range(num_workers):
            start_worker(launcher)
            seconds.append(time.perf_counter() - started)
            started = time.perf_counter()
    finally:
        launcher.close()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="launchers (default: 5)")
    parser.add_argument("--workers", type=int, default=5, help="of each (default: 5)")
    arguments = parser.parse_args()
    print(f"load average before: {machine.load_average()}")
    found = [measure(arguments.workers) for _ in range(arguments.repeats)]
    print(f"first worker   {statistics.median(first for first, *_ in found):.3f} s")
    later = [seconds for _, *others in found for seconds in others]
    if later:
        print(f"later workers  {statistics.median(later):.3f} s")


if __name__ == "__main__":
    main()
