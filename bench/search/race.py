"""Compares searches by the true accuracy of their incumbents, replayed on recorded curves.

    python bench/search/race.py [--tasks …] [--contestants …] [--lanes 2 16 64] [--seeds 50]

An interrupted run continues where it stopped: a cell is one contestant on one task with so many
lanes, and lies in `out/bench/search/cells` once all its seeds are there. At the end come tables and
one figure, in `out/bench/search`; the README here explains them. Delete the cells after a change of
the search.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from curve_files import recorded_tasks
from picture import draw
from portfolio import choose
from regret import Incumbents, summarize
from replay import replay
from searches import CONTESTANTS
from standings import BASELINES, REFERENCE, overview, task_table
from surrogate import surrogate
from tasks import TASKS

from sweep.records import StartingPoint
from sweep.space import MOST_TRIED, allowed_configurations

OUT = Path(__file__).parents[2] / "out" / "bench" / "search"
CELLS = OUT / "cells"
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


def run(cell: Cell) -> None:
    """Run all seeds of a cell and write what they found."""
    contestant, task = CONTESTANTS[cell.contestant], TASKS[cell.task]
    configurations = choose(task.model, without=task.data) if contestant.portfolio else ()
    found = []
    with contestant.playing():
        for seed in range(cell.seeds):
            space = task.space(
                sampler={**contestant.sampler, "seed": seed},
                pruner=contestant.pruner,
                budget={"trials": NUM_TRIALS},
            )
            starting = [
                StartingPoint(params, "the portfolio")
                for params in allowed_configurations(space, configurations)[:MOST_TRIED]
            ]
            known = surrogate(cell.task, swapped=bool(seed % 2))
            steps, epochs = replay(space, known, cell.lanes, starting)
            found.append([epochs, [[step.epochs, round(step.accuracy, 6)] for step in steps]])
    cell.file.parent.mkdir(parents=True, exist_ok=True)
    part = cell.file.with_suffix(".part")
    part.write_text(json.dumps(found))
    part.rename(cell.file)


def run_all(cells: Iterable[Cell], processes: int) -> None:
    """Run the cells that have not been run."""
    left = [cell for cell in cells if not cell.file.exists()]
    for name in {cell.task for cell in left}:  # before processes are forked
        choose(TASKS[name].model, without=TASKS[name].data)
        for swapped in (False, True):
            surrogate(name, swapped=swapped)
    context = multiprocessing.get_context("fork")
    with context.Pool(processes, torch.set_num_threads, (1,)) as pool:
        for number, _ in enumerate(pool.imap_unordered(run, left), start=1):
            print(f"  {number} of {len(left)} cells", flush=True)


def read(cell: Cell) -> Incumbents:
    """What a cell found."""
    found: Incumbents = json.loads(cell.file.read_text())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    there = recorded_tasks()
    parser.add_argument("--tasks", nargs="+", choices=there, default=there)
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--lanes", nargs="+", type=int, default=[2, 16, 64])
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    names = list(dict.fromkeys([REFERENCE, *BASELINES, *arguments.contestants]))
    for task in arguments.tasks:
        print(task, flush=True)
        cells = [
            Cell(task, name, lanes, arguments.seeds) for name in names for lanes in arguments.lanes
        ]
        run_all(cells, arguments.processes)
    found = {
        (task, lanes): {name: read(Cell(task, name, lanes, arguments.seeds)) for name in names}
        for task in arguments.tasks
        for lanes in arguments.lanes
    }
    summaries = {
        key: {name: summarize(each, cells[REFERENCE]) for name, each in cells.items()}
        for key, cells in found.items()
    }
    tables = [overview(summaries, lanes) for lanes in arguments.lanes]
    tables += [task_table(summaries, task) for task in arguments.tasks]
    text = "\n\n".join(tables)
    print(f"\n{text}")
    (OUT / "table.md").write_text(text + "\n")
    draw(found, REFERENCE, OUT / "regret.png")


if __name__ == "__main__":
    main()
