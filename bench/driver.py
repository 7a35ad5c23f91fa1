"""Processor time and memory that the driver spends on trials, with training that costs nothing.

    python bench/driver.py [--trials 1 100 1000 10000] [--pruners none hyperband] [--out FILE.json]

A study of `search_spaces/mnist.yaml`, with 20 epochs and dropout as the fifth sampled parameter,
runs on an SQLite file in a temporary folder, through the calls that the runner makes: ask and
record the configuration, report and decide for every epoch, record the outcome and tell. Sixteen
trials run at a time and start an epoch apart, so that trials of every age run together; the reports
of one epoch are one transaction. What training would measure is made up. With hyperband the
decisions are computed, but every trial continues regardless: 20 reports each.

Times are milliseconds of processor time a trial-epoch, commits included: for asking, reporting
(with the decisions), telling (with the outcome) and the rest, which is the benchmark's own.
`Optuna` is the floor: the same trials in a bare Optuna study in memory, with the same sampler and
pruner. `last ask` is the mean of the last fifty asks, when the sampler has most to learn from;
`clock` is what passed in all, waits for the disk included. `read` is the seconds that reading the
whole study takes at the end, as in a sweep. Each size runs in its own process, whose peak memory is
taken before and after that. Run it on an idle machine, with `TMPDIR` on the kind of disk that
stores are on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import optuna
from harness.machine import load_words, peak_mebibytes, write_result
from harness.made_up import (
    FINGERPRINT,
    NUM_IMAGES,
    accuracy_of,
    make_metrics,
    make_outcome,
    make_space,
)
from harness.targets import Target, as_markdown
from optuna.pruners import HyperbandPruner, NopPruner
from optuna.trial import FrozenTrial

from sweep.codec import pack_labels
from sweep.definitions import DATASETS
from sweep.records import DataFacts, EpochMetrics, TrialConfig, TrialOutcome
from sweep.store import Store, StoredStudy
from sweep.study import StudySession
from sweep.study.forecast import Forecast
from sweep.study.samplers import build_sampler

EPOCHS = 20
LANES = 16
KEPT_WEIGHTS = 10
LAST_ASKS = 50
PREDICTIONS = pack_labels(np.arange(NUM_IMAGES) % 10, 10)
WEIGHTS = bytes(400_000)
WIDTH = 14
TARGET_TRIALS = 1000
MOST_MILLISECONDS = 1.0  # of processor time for each trial-epoch
COLUMNS = (
    "ask", "report", "tell", "rest", "all", "Optuna", "last ask", "clock",
    "read", "MiB", "MiB at the end",
)  # fmt: skip


class Driver:
    """What the runner does for a study, without workers."""

    def __init__(self, folder: str, num_trials: int, pruner: str) -> None:
        self.num_trials = num_trials
        space = make_space(num_trials, EPOCHS, pruner={"type": pruner})
        self.name = space.name
        self.store = Store(f"sqlite:///{folder}/studies.db", to_write=True)
        self.session = StudySession(self.store.storage, self.name, space)
        facts = DataFacts(DATASETS["mnist"], FINGERPRINT, PREDICTIONS)
        self.store.write_study(self.name, StoredStudy(space=space.to_json(), data=facts))
        self.trials = self.store.trials(self.name)
        self.leaders: dict[int, float] = {}
        self.seconds: dict[str, list[float]] = {}

    def run(self) -> None:
        """Finish every trial."""
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
            for config, history in list(lanes.values()):
                if len(history) == EPOCHS:
                    self.finish(make_outcome(config, history, PREDICTIONS, weights=WEIGHTS))
                    del lanes[config.number]
                    finished += 1
                    show_progress(finished, self.num_trials)

    def ask(self) -> TrialConfig:
        """Start a trial."""
        with self.timed("ask"), self.store.transaction():
            config = self.session.ask()
            self.trials.change(config.number, config=config)
        return config

    def report(self, epoch: list[EpochMetrics]) -> None:
        """Report one epoch of all lanes."""
        with self.timed("report"), self.store.transaction():
            for metrics in epoch:
                self.session.report(metrics)

    def finish(self, outcome: TrialOutcome) -> None:
        """End a trial; the best ones keep their weights."""
        assert outcome.best is not None
        self.leaders[outcome.trial] = accuracy_of(outcome.best)
        ranked = sorted(self.leaders, key=lambda number: -self.leaders[number])
        self.leaders = {number: self.leaders[number] for number in ranked[:KEPT_WEIGHTS]}
        with self.timed("tell"), self.store.transaction():
            self.trials.write_outcome(outcome, keep=set(self.leaders))
            self.session.tell(outcome)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Take the processor time of one part of the work."""
        started = time.process_time()
        yield
        self.seconds.setdefault(part, []).append(time.process_time() - started)

    def milliseconds(self, processor: float) -> dict[str, float]:
        """Of the parts, and of the rest of so many seconds, a trial-epoch."""
        last = self.seconds["ask"][-LAST_ASKS:]
        total = {part: sum(seconds) for part, seconds in self.seconds.items()}
        total |= {"rest": processor - sum(total.values()), "all": processor}
        each = {part: a_trial_epoch(seconds, self.num_trials) for part, seconds in total.items()}
        return each | {"last ask": 1000 * sum(last) / len(last)}


def a_trial_epoch(seconds: float, num_trials: int) -> float:
    return 1000 * seconds / (num_trials * EPOCHS)


def run_bare_optuna(num_trials: int, pruner: str) -> list[FrozenTrial]:
    """The same trials in a bare Optuna study in memory; returns them."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = make_space(num_trials, EPOCHS, pruner={"type": pruner})
    study = optuna.create_study(
        study_name=space.name,  # hyperband's brackets depend on it
        direction=space.trial_objective.goal,
        sampler=build_sampler(space, [], Forecast(space.trial_objective, lambda _: EPOCHS)),
        pruner=HyperbandPruner(max_resource=EPOCHS) if pruner == "hyperband" else NopPruner(),
    )
    lanes: list[tuple[optuna.Trial, TrialConfig, list[float]]] = []
    started = finished = 0
    while finished < num_trials:
        if len(lanes) < LANES and started < num_trials:
            trial = study.ask()
            lanes.append((trial, TrialConfig(trial.number, 0, space.suggest(trial)), []))
            started += 1
        for trial, config, values in lanes:
            metrics = make_metrics(config, len(values) + 1)
            values.append(space.trial_objective.value(metrics))
            trial.report(values[-1], metrics.epoch)
            trial.should_prune()
        for trial, _, values in lanes:
            if len(values) == EPOCHS:
                study.tell(trial, max(values))
                finished += 1
        lanes = [lane for lane in lanes if len(lane[2]) < EPOCHS]
    return study.get_trials(deepcopy=False)


def show_progress(finished: int, num_trials: int) -> None:
    if finished % 500 == 0:
        print(f"  {finished} of {num_trials} trials", file=sys.stderr, flush=True)


def measure_here(num_trials: int, pruner: str) -> None:
    """Measure one size in this process and print its figures as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        driver = Driver(folder, num_trials, pruner)
        clock, processor = time.perf_counter(), time.process_time()
        driver.run()
        figures = driver.milliseconds(time.process_time() - processor)
        figures |= {"clock": a_trial_epoch(time.perf_counter() - clock, num_trials)}
        figures |= {"MiB": peak_mebibytes()}
        started = time.perf_counter()
        record = driver.store.read_study(driver.name)
        figures |= {"read": time.perf_counter() - started, "MiB at the end": peak_mebibytes()}
        assert len(record.ranked()) == num_trials
    processor = time.process_time()
    bare = run_bare_optuna(num_trials, pruner)
    figures |= {"Optuna": a_trial_epoch(time.process_time() - processor, num_trials)}
    pairs = zip(record.trials, bare, strict=True)
    assert all(ours.params == ours.params | theirs.params for ours, theirs in pairs)
    print(json.dumps(figures))


def measure_apart(num_trials: int, pruner: str) -> dict[str, float]:
    """Measure one size in a process of its own."""
    print(f"{num_trials} trials, pruner {pruner}", file=sys.stderr, flush=True)
    arguments = ["--trials", str(num_trials), "--pruners", pruner, "--here"]
    command = [sys.executable, __file__, *arguments]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(answer.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[1, 100, 1000, 10_000])
    parser.add_argument("--pruners", nargs="+", default=["none", "hyperband"])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        measure_here(arguments.trials[0], arguments.pruners[0])
        return
    load = load_words()
    print(load)
    print("Milliseconds of processor time a trial-epoch; 'last ask': of one ask; 'clock': elapsed.")
    print("Seconds to read the study; peak memory before and after that.")
    print(f"{'pruner':10s} {'trials':>6s}", *(f"{column:>{WIDTH}s}" for column in COLUMNS))
    rows: list[dict[str, object]] = []
    for pruner in arguments.pruners:
        for num_trials in arguments.trials:
            figures = measure_apart(num_trials, pruner)
            shown = (f"{figures[column]:{WIDTH}.2f}" for column in COLUMNS)
            print(f"{pruner:10s} {num_trials:6d}", *shown, flush=True)
            rows.append({"pruner": pruner, "trials": num_trials} | figures)
    targets = [
        Target(
            f"driver's processor time a trial-epoch, pruner {row['pruner']}",
            float(str(row["all"])),
            MOST_MILLISECONDS,
            at_least=False,
            unit=" ms",
        )
        for row in rows
        if row["trials"] == TARGET_TRIALS
    ]
    if targets:
        print(as_markdown(targets))
    if arguments.out:
        units = "ms of processor time a trial-epoch; 'last ask': of one; 'read': seconds"
        write_result(
            arguments.out,
            load=load,
            lanes=LANES,
            epochs=EPOCHS,
            units=units,
            figures=rows,
            targets=[asdict(target) for target in targets],
        )


if __name__ == "__main__":
    main()
