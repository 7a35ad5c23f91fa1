"""Peak memory of a worker with 16 lanes of 512 on MNIST, and of the driver at 10,000 trials.

    python bench/memory.py --data-dir DIR [--quick] [--out FILE.json]

The worker is that of a real sweep. Its peak is what the kernel notes (VmHWM), which counts pages
that it shares with the fork server in full; the proportional share, the largest of samples, does
not. The driver goes on with a finished study that is made up: it opens it, asks for trials, reports
and ends them, and reads the whole study at the end. Linux only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import yaml
from harness import machine
from harness.large_studies import EPOCHS, NAME, fill
from harness.made_up import NUM_IMAGES, make_metrics, make_outcome, make_space
from harness.targets import Target, as_markdown

from sweep.codec import pack_labels
from sweep.data import default_data_dir
from sweep.store import Store
from sweep.study import StudySession

OUT = Path(__file__).parents[1] / "out" / "bench" / "memory.json"
MOST_OF_WORKER = 1024.0
MOST_OF_DRIVER = 300.0
TRIALS = 10_000
NEW_TRIALS = 16
SAMPLE_SECONDS = 0.25
SPACE = {
    "name": "memory",
    "dataset": "mnist",
    "parameters": {"num_layers": 4, "layer_size": 512, "epochs": 2,
                   "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True}},
    "sampler": {"type": "random", "seed": 0},
    "pruner": {"type": "none"},
    "budget": {"trials": 16},
}  # fmt: skip


def descendants(root: int) -> Iterator[int]:
    """Every process below this one."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        parents.setdefault(int(fields[1]), []).append(int(folder.name))
    waiting = [root]
    while waiting:
        for child in parents.get(waiting.pop(), []):
            yield child
            waiting.append(child)


def kibibytes(file: Path, field: str) -> int:
    """A field of a file of /proc; 0 if the process has ended."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(field + ":")), 0)


def measure_worker(data_dir: Path, epochs: int) -> dict[str, float]:
    """Peaks of the process that takes most, in MiB."""
    peaks = {"VmHWM": 0.0, "proportional share": 0.0}
    with tempfile.TemporaryDirectory(prefix="memory-") as folder:
        space = Path(folder) / "memory.yaml"
        parameters = dict(SPACE["parameters"]) | {"epochs": epochs}  # type: ignore[call-overload]
        space.write_text(yaml.safe_dump(SPACE | {"parameters": parameters}))
        command = [sys.executable, "-m", "sweep", "run", str(space), "--data-dir", str(data_dir)]
        command += ["--storage", f"sqlite:///{folder}/studies.db", "--workers", "1"]
        command += ["--lanes", "16"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as run:
            while run.poll() is None:
                for process in descendants(run.pid):
                    proc = Path(f"/proc/{process}")
                    for name, file, field in (
                        ("VmHWM", proc / "status", "VmHWM"),
                        ("proportional share", proc / "smaps_rollup", "Pss"),
                    ):
                        peaks[name] = max(peaks[name], kibibytes(file, field) / 1024)
                time.sleep(SAMPLE_SECONDS)
        if run.returncode:
            raise RuntimeError(f"sweep run ended with exit code {run.returncode}")
    return peaks


def drive(file: Path, num_trials: int) -> None:
    """Go on with the large study, then print this process's peak in MiB."""
    store = Store(f"sqlite:///{file}", to_write=True)
    space = make_space(num_trials + NEW_TRIALS, EPOCHS, name=NAME)
    # As a resume does it.
    study, trials = store.open_study(NAME)
    session = StudySession(store.storage, NAME, space, trials)
    del study, trials
    for _ in range(NEW_TRIALS):
        with store.transaction():
            config = session.ask()
            store.trials(NAME).change(config.number, config=config)
            history = [make_metrics(config, epoch) for epoch in range(1, EPOCHS + 1)]
            for metrics in history:
                session.report(metrics)
            outcome = make_outcome(config, history, pack_labels(np.zeros(NUM_IMAGES, int), 10))
            store.trials(NAME).write_outcome(outcome, keep=set())
            session.tell(outcome)
    before = machine.peak_mebibytes()
    store.read_study(NAME)
    print(json.dumps({"driving": before, "reading at the end": machine.peak_mebibytes()}))


def measure_driver(num_trials: int) -> dict[str, float]:
    """Peaks of a process that goes on with a study of so many trials, in MiB."""
    with tempfile.TemporaryDirectory(prefix="memory-") as folder:
        file = Path(folder) / "studies.db"
        fill(file, num_trials)
        command = [sys.executable, __file__, "--drive", str(file), "--trials", str(num_trials)]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(answer.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=default_data_dir())
    parser.add_argument("--trials", type=int, default=TRIALS, help="of the driver's study")
    parser.add_argument("--quick", action="store_true", help="one epoch, 200 trials")
    parser.add_argument("--out", type=Path, default=OUT, help="default: out/bench/memory.json")
    parser.add_argument("--drive", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.drive:
        drive(arguments.drive, arguments.trials)
        return
    worker = measure_worker(arguments.data_dir.resolve(), 1 if arguments.quick else 2)
    num_trials = 200 if arguments.quick else arguments.trials
    driver = measure_driver(num_trials)
    for name, peaks in (("worker", worker), (f"driver, {num_trials} trials", driver)):
        print(f"{name}: " + "; ".join(f"{what} {peak:.0f} MiB" for what, peak in peaks.items()))
    targets = [
        Target("worker's peak, 16 lanes of 512", worker["VmHWM"], MOST_OF_WORKER, False, " MiB"),
        Target("driver's peak, 10,000 trials", driver["reading at the end"]
               if num_trials == TRIALS else None, MOST_OF_DRIVER, False, " MiB"),
    ]  # fmt: skip
    print(as_markdown(targets))
    machine.write_result(
        arguments.out, worker=worker, driver=driver, targets=[asdict(each) for each in targets]
    )


if __name__ == "__main__":
    main()
