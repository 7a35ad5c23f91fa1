"""What one driver can keep busy: workers on three nodes of a Ray cluster, and simulated ones.

    python bench/cluster.py nodes [--trials 2000]
    python bench/cluster.py simulated [--workers 12 100 300 1000] [--samplers random tpe gp]

`nodes`: 2,000 trials of an own network whose epochs sleep 0.2 s (five epochs a trial, one trial at
a time), on three local nodes with four workers each. A worker is busy while it trains: the share is
what the trials took, by their workers' clocks, of what each worker had from its first start to the
last end of all. `asleep` counts the sleep alone, and `busy_of_wall` is the share of the whole call,
in which twelve processes load PyTorch at once.

`simulated`: a launcher whose workers train nothing, and report an epoch each second, at once in the
driver's process; a trial has twenty. The driver is the product's, on an SQLite file in a temporary
folder. A report that comes late makes its worker wait at the end of its trial. After the first
twenty seconds: epochs a second, the share of the time in which workers train, and the processor
time of the driver for each of these epochs, the simulation's included; `--profile` says for what.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import heapq
import json
import pstats
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from harness import machine
from harness.made_up import make_metrics, make_outcome, make_space

import sweep
from sweep.codec import pack_labels
from sweep.data import load_training_data
from sweep.execution.wire import pack, unpack
from sweep.records import (
    DataSettings,
    Epoch,
    EpochMetrics,
    Message,
    Slot,
    Train,
    TrialConfig,
    TrialOutcome,
    WorkerReady,
)

EPOCHS = 20
WARM_UP_SECONDS = 20.0
WEIGHTS = bytes(50_000)
SLEEPER = """
import math, time
from torch import nn

class Sleeper(nn.Module):
    def __init__(self, input_shape, num_classes):
        super().__init__()
        self.linear = nn.Linear(math.prod(input_shape), num_classes)

    def forward(self, x):
        if self.training:
            time.sleep(0.1)
        return self.linear(x.flatten(1))

def build(input_shape, num_classes, *, number: int = 1):
    return Sleeper(input_shape, num_classes)
"""
BATCH_SIZE = 1024  # two steps of 1,198 examples, each of which sleeps 0.1 s


# ---------------------------------------------------------------- simulated workers


class Link:
    """A worker that reports an epoch each second."""

    def __init__(self, launcher: Simulated) -> None:
        self._launcher = launcher

    def send(self, data: bytes) -> None:
        message, _ = unpack(data)
        if isinstance(message, Train):
            for assignment in message.assignments:
                self._launcher.train(self, assignment.lease, assignment.config)

    def kill(self) -> None:
        pass


class Simulated:
    """Starts workers that train nothing (see `sweep.execution.Launcher`)."""

    is_elastic = False

    def __init__(self, num_workers: int, fingerprint: str, num_validation: int) -> None:
        self._num_workers = num_workers
        self._fingerprint = fingerprint
        self._predictions = pack_labels(np.zeros(num_validation, np.int64), 10)
        self._due: list[tuple[float, int, Link, int, TrialConfig, list[EpochMetrics]]] = []
        self._num_due = 0
        self._said: list[tuple[Link, bytes]] = []
        self.reports: list[float] = []  # when each epoch was received
        self.began_at = time.monotonic()

    def slots(self, count: int | None = None) -> Sequence[Slot]:
        return [Slot(str(n), "cpu", 1) for n in range(count or self._num_workers)]

    def calibrate(self, _request: object, *, measure: bool) -> None:
        del measure

    def share(self, key: str, data: bytes) -> None:
        pass

    def start(self, slot: Slot, settings: object) -> Link:
        del slot, settings
        link = Link(self)
        self._say(link, WorkerReady(self._fingerprint, "cpu (simulated)", None))
        return link

    def train(self, link: Link, lease: int, config: TrialConfig) -> None:
        self._plan(time.monotonic() + 1.0, link, lease, config, [])

    def receive(self, timeout: float) -> tuple[Link, bytes] | None:
        end = time.monotonic() + timeout
        while not self._said:
            now = time.monotonic()
            if self._due and self._due[0][0] <= now:
                self._report(*heapq.heappop(self._due))
            elif now >= end:
                return None
            else:
                soonest = self._due[0][0] if self._due else end
                time.sleep(max(0.0, min(soonest, end) - now))
        return self._said.pop(0)

    def close(self) -> None:
        pass

    def _report(
        self,
        due: float,
        _number: int,
        link: Link,
        lease: int,
        config: TrialConfig,
        history: list[EpochMetrics],
    ) -> None:
        history.append(make_metrics(config, len(history) + 1))
        self.reports.append(time.monotonic() - self.began_at)
        self._say(link, Epoch((history[-1],)), lease)
        if len(history) < EPOCHS:
            self._plan(due + 1.0, link, lease, config, history)
        else:
            outcome = make_outcome(config, history, self._predictions, weights=WEIGHTS)
            self._say(link, outcome, lease)

    def _plan(self, due: float, link: Link, lease: int, config: TrialConfig, history: Any) -> None:
        self._num_due += 1
        heapq.heappush(self._due, (due, self._num_due, link, lease, config, history))

    def _say(self, link: Link, message: Message, lease: int = 0) -> None:
        match message:
            case Epoch((metrics,)):
                leases = {metrics.trial: lease}
            case TrialOutcome():
                leases = {message.trial: lease}
            case _:
                leases = {}
        self._said.append((link, pack(message, leases)))


def simulate(num_workers: int, sampler: str, seconds: float, *, profile: bool) -> dict[str, Any]:
    """Run a study on so many simulated workers for a time."""
    data = load_training_data(DataSettings("builtin", "digits", "."))
    launcher = Simulated(num_workers, data.fingerprint, len(data.validation))
    space = make_space(
        1_000_000,
        EPOCHS,
        dataset="digits",
        sampler={"type": sampler, "seed": 0},
        pruner={"type": "none"},
    )
    used: list[tuple[float, float]] = []  # monotonic clock, processor time

    def stop() -> bool:
        now = time.monotonic() - launcher.began_at
        if now >= WARM_UP_SECONDS and not used:
            used.append((now, time.process_time()))
        return now >= WARM_UP_SECONDS + seconds

    profiler = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        if profile:
            profiler.enable()
        with contextlib.suppress(sweep.Interrupted):
            sweep.run(
                space,
                storage=f"sqlite:///{folder}/studies.db",
                executor=lambda: launcher,
                workers=num_workers,
                lanes=1,
                threads=1,
                engine="sequential",
                precision="float32",
                checkpoint_every="1h",
                stop=stop,
            )
        profiler.disable()
    began, processor = used[0]
    spent = time.process_time() - processor
    late = [at for at in launcher.reports if at >= began]
    passed = max(late) - began
    if profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(25)
    return {
        "workers": num_workers,
        "sampler": sampler,
        "epochs_per_second": len(late) / passed,
        "busy": len(late) / passed / num_workers,
        "milliseconds": 1000 * spent / len(late),
    }


# ---------------------------------------------------------------- three nodes


def on_nodes(num_trials: int) -> dict[str, Any]:
    """Run trials that sleep on three nodes with four workers each."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from ray_cluster import RayCluster

    with tempfile.TemporaryDirectory() as folder, RayCluster(nodes=3, cpus=4) as cluster:
        file = Path(folder, "sleeper.py")
        file.write_text(SLEEPER)
        started = time.monotonic()
        study = sweep.run(
            {
                "name": "sleepers",
                "dataset": "digits",
                "parameters": {
                    "number": {"low": 1, "high": 1_000_000_000},
                    "epochs": 5,
                    "batch_size": BATCH_SIZE,
                },
                "sampler": "random",
                "pruner": "none",
                "budget": {"trials": num_trials},
            },
            model=file,
            storage=f"sqlite:///{folder}/studies.db",
            executor="ray",
            ray_address=cluster.address,
            lanes=1,
        )
        wall = time.monotonic() - started
    begins: dict[Any, float] = {}  # of each worker
    trained, end = 0.0, 0.0
    for trial in study.trials:
        assert trial.outcome is not None
        assert trial.ended_at is not None
        ended, seconds = trial.ended_at.timestamp(), trial.outcome.seconds
        worker = (trial.outcome.node, trial.outcome.worker)
        begins[worker] = min(begins.get(worker, ended), ended - seconds)
        trained, end = trained + seconds, max(end, ended)
    slept = 0.2 * sum(trial.epochs_run for trial in study.trials)
    there = sum(end - begin for begin in begins.values())
    return {
        "trials": len(study.trials),
        "workers": len(begins),
        "wall_seconds": wall,
        "busy": trained / there,
        "asleep": slept / there,
        "busy_of_wall": trained / (len(begins) * wall),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["nodes", "simulated"])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--workers", type=int, nargs="+", default=[12, 100, 300, 1000])
    parser.add_argument("--samplers", nargs="+", default=["random", "tpe", "gp"])
    parser.add_argument("--seconds", type=float, default=40.0, help="after the warm-up")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--out", type=Path, help="JSON file")
    arguments = parser.parse_args()
    print(machine.load_words())
    found: list[dict[str, Any]] = []
    if arguments.what == "nodes":
        found.append(on_nodes(arguments.trials))
        print(json.dumps(found[-1]))
    else:
        print("workers  sampler  epochs/s  busy  ms/epoch")
        for sampler in arguments.samplers:
            for number in arguments.workers:
                each = simulate(number, sampler, arguments.seconds, profile=arguments.profile)
                found.append(each)
                print(
                    f"{number:7d}  {sampler:7s}  {each['epochs_per_second']:8.1f}  "
                    f"{each['busy']:4.0%}  {each['milliseconds']:8.2f}",
                    flush=True,
                )
    if arguments.out:
        machine.write_result(arguments.out, **{arguments.what: found})


if __name__ == "__main__":
    main()
