"""A contestant's side of the protocol: JSON lines on standard input and output.

The harness writes one line of settings. The contestant prepares everything, warms up and answers
`{"ready": true, "versions": {...}, "note": "..."}`. For every line `go` it trains the agreed epochs
and answers `{"trial_epochs": n, "seconds": s}`. It ends with its input, so that none outlives the
harness.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version


@dataclass(frozen=True, slots=True)
class Settings:
    """The work of one process of a contestant.

    Attributes:
        width: Units of each hidden layer.
        epochs: Epochs of one trial, trained for each `go`.
        data_dir: Folder that holds `MNIST/raw/`, unpacked.
        threads: Threads of this process.
        precision: `float32` or `bfloat16`, of the matrix products.
        engine: This project's engine; empty for other contestants.
        lanes: Networks trained at once.
        loader_processes: Of the usual loop.
        steps: Trained for each `go` instead of epochs, by contestants that need no whole ones.
    """

    width: int
    epochs: int
    data_dir: str
    threads: int
    precision: str = "float32"
    engine: str = ""
    lanes: int = 1
    loader_processes: int = 0
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A contestant that is ready.

    Attributes:
        train: Trains for one `go`; returns the epochs of all trials together.
        note: For readers of the table.
        close: Called before the process ends.
    """

    train: Callable[[], float]
    note: str = ""
    close: Callable[[], None] = lambda: None


def serve(prepare: Callable[[Settings], Prepared], packages: tuple[str, ...]) -> None:
    """Answer the harness until it ends.

    Args:
        prepare: Loads data, builds the network and warms up.
        packages: Distributions whose versions are reported.
    """
    # SIGTERM raises an exception, so that libraries can end their own processes.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    # What libraries print must not be mistaken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(**values: object) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    prepared = prepare(Settings(**json.loads(sys.stdin.readline())))
    versions = {name: version(name) for name in packages}
    try:
        answer(ready=True, versions=versions, note=prepared.note)
        for line in sys.stdin:
            if line.strip() != "go":
                raise ValueError(f"expected 'go'; found {line!r}")
            started = time.perf_counter()
            trial_epochs = prepared.train()
            answer(trial_epochs=trial_epochs, seconds=time.perf_counter() - started)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is ending already
        prepared.close()
