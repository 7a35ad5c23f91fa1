"""Milliseconds and memory that the driver spends on a trial, with training that costs nothing.

    python bench/driver.py [--trials 1 100 1000 10000] [--pruners none hyperband] [--out FILE.json]

A study of `search_spaces/mnist.yaml`, with epochs fixed at 20 and dropout as the fifth parameter
that is sampled, runs on an SQLite file in a temporary folder, through the calls that the runner
makes: ask and record the configuration, report and decide for every epoch, record the outcome and
tell. Sixteen trials are under way at a time and start an epoch apart, so that the trials under way
are of every age; the reports of one epoch are one transaction. What training would measure is made
up. With hyperband the decisions are computed, but every trial goes on regardless: 20 reports each.

Times are milliseconds by the clock, commits included, and for the whole the processor's, too.
`read` is the seconds that it takes to read the whole study at the end, as a sweep does. Each size
runs in a process of its own, whose peak memory is taken before and after that. Run it on a
machine that does nothing else, with `TMPDIR` on the kind of disk that stores are on.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sweep.definitions import DATASETS
from sweep.provenance import package_versions
from sweep.records import DataFacts, EpochMetrics, TrialConfig, TrialOutcome, TrialState
from sweep.space import SearchSpace, load_space
from sweep.store import Store, StoredStudy
from sweep.study import StudySession

SPACE = Path(__file__).parents[1] / "search_spaces" / "mnist.yaml"
EPOCHS = 20
LANES = 16
NUM_IMAGES = 10_000  # of MNIST's validation split
KEPT_WEIGHTS = 10
LAST_ASKS = 50
MEBIBYTE = 2**20
WIDTH = 15
COLUMNS = (
    "ask", "last asks", "config", "outcome + tell", "report + decide", "all", "all, processor",
    "read", "MiB", "MiB at the end",
)  # fmt: skip


def make_space(num_trials: int, pruner: str) -> SearchSpace:
    data = load_space(SPACE).to_json()
    data["parameters"]["epochs"] = EPOCHS
    data["parameters"]["dropout"] = {"low": 0.0, "high": 0.5}  # in place of epochs, a fifth one
    data["enqueue"] = []
    data["budget"] = {"trials": num_trials}
    if pruner != data["pruner"]["type"]:
        data["pruner"] = {"type": pruner}
    return load_space(data)


def make_metrics(config: TrialConfig, epoch: int) -> EpochMetrics:
    """A learning curve that depends on the configuration, so that sampler and pruner have work."""
    params = config.params
    limit = 0.99 - 0.02 * abs(math.log10(params["weight_decay"]) + 4) - 0.1 * params["dropout"]
    accuracy = limit * (1 - math.exp(-epoch * math.log2(params["layer_size"]) / 10))
    loss = -math.log(accuracy)
    return EpochMetrics(
        trial=config.number,
        epoch=epoch,
        values={
            "train_loss": loss,
            "train_accuracy": accuracy,
            "validation_loss": loss + 0.01,
            "validation_accuracy": accuracy,
            "validation_balanced_accuracy": accuracy,
            "validation_f1_macro": accuracy,
        },
        learning_rate=1e-3,
        seconds=1.0,
    )


def make_outcome(history: tuple[EpochMetrics, ...]) -> TrialOutcome:
    return TrialOutcome(
        trial=history[0].trial,
        state=TrialState.COMPLETE,
        history=history,
        seconds=float(EPOCHS),
        num_parameters=100_000,
        device="cpu",
        precision="float32",
        environment={"python": platform.python_version()},
        data_fingerprint="f" * 64,
        best_epoch=EPOCHS,
        validation_predictions=bytes(range(10)) * (NUM_IMAGES // 10),
        weights=bytes(400_000),
    )


class Driver:
    """What the runner does for a study, without workers.

    Args:
        folder: Where the store is made.
        num_trials: Trials of the study.
        pruner: Name of the pruner.
    """

    def __init__(self, folder: str, num_trials: int, pruner: str) -> None:
        self.num_trials = num_trials
        self.space = make_space(num_trials, pruner)
        self.name = self.space.name
        self.store = Store(f"sqlite:///{folder}/studies.db", to_write=True)
        self.session = StudySession(self.store.storage, self.name, self.space)
        facts = DataFacts(DATASETS["mnist"], "f" * 64, bytes(NUM_IMAGES))
        self.store.write_study(self.name, StoredStudy(space=self.space.to_json(), data=facts))
        self.leaders: dict[int, float] = {}
        self.seconds: dict[str, list[float]] = {}

    def run(self) -> None:
        """Work until every trial is finished."""
        lanes: dict[int, tuple[TrialConfig, list[EpochMetrics]]] = {}
        started = finished = 0
        while finished < self.num_trials:
            if len(lanes) < LANES and started < self.num_trials:
                config = self.ask()
                lanes[config.number] = (config, [])
                started += 1
            for config, history in lanes.values():
                history.append(make_metrics(config, len(history) + 1))
            self.report([history[-1] for _, history in lanes.values()])
            for number, (_, history) in list(lanes.items()):
                if len(history) == EPOCHS:
                    self.finish(make_outcome(tuple(history)))
                    del lanes[number]
                    finished += 1
                    show_progress(finished, self.num_trials)

    def ask(self) -> TrialConfig:
        """Start a trial; the commit counts as part of writing its configuration."""
        with self.store.transaction():
            with self.timed("ask"):
                config = self.session.ask()
            with self.timed("config"):
                self.store.trials(self.name).change(config.number, config=config)
            started = time.perf_counter()
        self.seconds["config"][-1] += time.perf_counter() - started
        return config

    def report(self, epoch: list[EpochMetrics]) -> None:
        """One epoch of all lanes."""
        with self.timed("report"), self.store.transaction():
            for metrics in epoch:
                self.session.report(metrics)

    def finish(self, outcome: TrialOutcome) -> None:
        """The end of a trial, the weights of the best ones included."""
        assert outcome.best is not None
        self.leaders[outcome.trial] = outcome.best.values["validation_accuracy"]
        ranked = sorted(self.leaders, key=lambda number: -self.leaders[number])
        self.leaders = {number: self.leaders[number] for number in ranked[:KEPT_WEIGHTS]}
        with self.timed("outcome"), self.store.transaction():
            self.store.trials(self.name).write_outcome(outcome, keep=set(self.leaders))
            self.session.tell(outcome)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the time inside to a part of the work."""
        started = time.perf_counter()
        yield
        self.seconds.setdefault(part, []).append(time.perf_counter() - started)

    def milliseconds(self) -> dict[str, float]:
        """Of a trial; of a trial-epoch where reports are counted."""
        total = {part: 1000 * sum(seconds) for part, seconds in self.seconds.items()}
        last = self.seconds["ask"][-LAST_ASKS:]
        return {
            "ask": total["ask"] / self.num_trials,
            "last asks": 1000 * sum(last) / len(last),
            "config": total["config"] / self.num_trials,
            "outcome + tell": total["outcome"] / self.num_trials,
            "report + decide": total["report"] / (self.num_trials * EPOCHS),
            "all": sum(total.values()) / (self.num_trials * EPOCHS),
        }


def show_progress(finished: int, num_trials: int) -> None:
    if finished % 500 == 0:
        print(f"  {finished} of {num_trials} trials", file=sys.stderr, flush=True)


def peak_mebibytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (MEBIBYTE if sys.platform == "darwin" else 1024)


def measure(num_trials: int, pruner: str) -> None:
    """Run one size in this process and print its figures as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        driver = Driver(folder, num_trials, pruner)
        started = time.process_time()
        driver.run()
        processor = 1000 * (time.process_time() - started) / (num_trials * EPOCHS)
        figures = driver.milliseconds() | {"all, processor": processor, "MiB": peak_mebibytes()}
        started = time.perf_counter()
        record = driver.store.read_study(driver.name)
        figures |= {"read": time.perf_counter() - started, "MiB at the end": peak_mebibytes()}
        assert len(record.ranked()) == num_trials
    print(json.dumps(figures))


def measure_apart(num_trials: int, pruner: str) -> dict[str, float]:
    """The same in a process of its own."""
    print(f"{num_trials} trials, pruner {pruner}", file=sys.stderr, flush=True)
    arguments = ["--trials", str(num_trials), "--pruners", pruner, "--here"]
    command = [sys.executable, __file__, *arguments]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(answer.stdout)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[1, 100, 1000, 10_000])
    parser.add_argument("--pruners", nargs="+", default=["none", "hyperband"])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        measure(arguments.trials[0], arguments.pruners[0])
        return
    load = os.getloadavg()[0]  # processes that wanted a core over the last minute
    print(f"Load before the start: {load:.1f} on {os.cpu_count()} cores.")
    print("Milliseconds a trial; of report + decide and of all together, a trial-epoch.")
    print("Seconds to read the study. Peak memory before and after that.")
    print(f"{'pruner':10s} {'trials':>6s}", *(f"{column:>{WIDTH}s}" for column in COLUMNS))
    rows: list[dict[str, object]] = []
    for pruner in arguments.pruners:
        for num_trials in arguments.trials:
            figures = measure_apart(num_trials, pruner)
            shown = (f"{figures[column]:{WIDTH}.2f}" for column in COLUMNS)
            print(f"{pruner:10s} {num_trials:6d}", *shown, flush=True)
            rows.append({"pruner": pruner, "trials": num_trials} | figures)
    if arguments.out:
        result = {
            "machine": {"cores": os.cpu_count(), "system": platform.platform(), "load": load},
            "versions": package_versions(),
            "lanes": LANES,
            "epochs": EPOCHS,
            "units": "ms a trial; 'report + decide', 'all': ms a trial-epoch; 'read': seconds",
            "figures": rows,
        }
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
