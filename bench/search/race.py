"""Compares searches by the true accuracy of their incumbents, replayed on recorded curves.

    python bench/search/race.py [--tasks …] [--contestants …] [--lanes 2 16 64] [--seeds 50]

An interrupted run continues where it stopped: a cell is one contestant on one task with so many
lanes, and lies in `out/bench/search/cells` once all its seeds are there.
"""

from __future__ import annotations

import json
import multiprocessing
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from contestants import CONTESTANTS
from curve_files import CURVES, Curves
from replay import replay
from surrogate import Surrogate
from tasks import TASKS

ROOT = Path(__file__).parents[2]
CELLS = ROOT / "out" / "bench" / "search" / "cells"
NUM_TRIALS = 64


@dataclass(frozen=True, slots=True)
class Cell:
    """One contestant on one task."""

    task: str
    contestant: str
    lanes: int
    seeds: int

    @property
    def file(self) -> Path:
        """The incumbents of each seed: lists of [epochs, accuracy], after the epochs in all."""
        name = self.contestant.replace("/", "+")
        return CELLS / self.task / f"{name}-{self.lanes}-{self.seeds}.json"


@cache
def surrogate(task: str) -> Surrogate:
    """That of a task; it takes seconds to fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lengths at their bounds: the parameter has no effect
        return Surrogate(TASKS[task], Curves.read(CURVES / f"{task}.npz"))


def run(cell: Cell) -> None:
    """Run all seeds of a cell and write what they found."""
    contestant = CONTESTANTS[cell.contestant]
    found = []
    with contestant.playing():
        for seed in range(cell.seeds):
            space = TASKS[cell.task].space(
                sampler={**contestant.sampler, "seed": seed},
                pruner=contestant.pruner,
                budget={"trials": NUM_TRIALS},
            )
            steps, epochs = replay(space, surrogate(cell.task), cell.lanes)
            found.append([epochs, [[step.epochs, round(step.accuracy, 6)] for step in steps]])
    cell.file.parent.mkdir(parents=True, exist_ok=True)
    part = cell.file.with_suffix(".part")
    part.write_text(json.dumps(found))
    part.rename(cell.file)


def run_all(cells: Iterable[Cell], processes: int) -> None:
    """Run the cells that have not been run."""
    left = [cell for cell in cells if not cell.file.exists()]
    context = multiprocessing.get_context("fork")
    with context.Pool(processes) as pool:
        for number, _ in enumerate(pool.imap_unordered(run, left), start=1):
            print(f"  {number} of {len(left)} cells", flush=True)
