"""How long workers take to start: a launcher's first one and the later ones.

    python bench/starts.py [--repeats 5] [--workers 5]

The first waits until the fork server has loaded PyTorch; the others are forked from it. Each loads
the digits data and reports that it is ready. Prints medians. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from harness import machine

from sweep.data import load_training_data, pack_data
from sweep.definitions import DATASETS
from sweep.execution import Ended, Launcher, ProcessLauncher
from sweep.records import DataSettings, Objective, TrainingSettings

SETTINGS = TrainingSettings(
    model="mlp",
    spec=DATASETS["digits"],
    order_seed=0,
    objective=Objective("validation_accuracy", "maximize"),
    device="cpu",
    num_sharing=1,
    num_threads=1,
    engine="stacked",
    precision="float32",
    lanes=1,
)
_PATIENCE_SECONDS = 60.0


def await_worker(launcher: Launcher) -> None:
    launcher.start(launcher.slots(1)[0], SETTINGS)
    received = launcher.receive(_PATIENCE_SECONDS)
    if received is None or isinstance(received[1], Ended):
        raise RuntimeError(f"no worker started: {received!r}")


def measure(num_workers: int) -> list[float]:
    """Seconds until each worker of a new launcher was ready, in order."""
    seconds = []
    started = time.perf_counter()
    launcher = ProcessLauncher()
    try:
        data = load_training_data(DataSettings("builtin", "digits", "."))
        launcher.share(data.fingerprint, pack_data(data))
        for _ in range(num_workers):
            await_worker(launcher)
            seconds.append(time.perf_counter() - started)
            started = time.perf_counter()
    finally:
        launcher.close()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="launchers (default: 5)")
    parser.add_argument("--workers", type=int, default=5, help="per launcher (default: 5)")
    parser.add_argument("--out", type=Path, help="JSON file")
    arguments = parser.parse_args()
    print(machine.load_words())
    found = [measure(arguments.workers) for _ in range(arguments.repeats)]
    print(f"first worker   {statistics.median(first for first, *_ in found):.3f} s")
    later = [seconds for _, *others in found for seconds in others]
    if later:
        print(f"later workers  {statistics.median(later):.3f} s")
    if arguments.out:
        machine.write_result(arguments.out, seconds=found)


if __name__ == "__main__":
    main()
