"""Compares searches with no prior, a good and a bad one, replayed on recorded curves.

    python bench/search/priors.py [--tasks digits-five …] [--seeds 16]

By their true accuracy, the good prior is the best of the recorded configurations, and the bad one
lies in the middle of their worst tenth.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from curve_files import CURVES, METRICS, Curves
from race import NUM_TRIALS
from regret import accuracies
from replay import replay
from surrogate import surrogate
from tasks import TASKS

from sweep.definitions import Scalar
from sweep.records import StartingPoint
from sweep.space import random_configurations

LANES = 2
EPOCHS = (100, 200, 1300)  # the last is the end
PRUNERS = ("none", "asha")


def ranked(task: str) -> list[dict[str, Scalar]]:
    """The recorded configurations that did not diverge, best first."""
    curves = Curves.read(CURVES / f"{task}.npz")
    judged = curves.curves[:, :, METRICS.index("judge_accuracy")].copy()
    for row, again in zip(curves.best, curves.repeated.swapaxes(0, 1), strict=True):
        judged[row] = (judged[row] + again[..., METRICS.index("judge_accuracy")].sum(0)) / (
            1 + len(again)
        )
    ends = [row[np.isfinite(row)][-1] if np.isfinite(row).any() else -1 for row in judged]
    drawn = random_configurations(TASKS[task].space(), TASKS[task].num_configurations)
    return [drawn[row] for row in np.argsort(ends)[::-1] if ends[row] >= 0]


def run(task: str, pruner: str, prior: Mapping[str, Scalar], seed: int) -> Any:
    """What one search found: its epochs, and the epochs and true accuracy of each incumbent."""
    parameters = {
        name: {**domain, "prior": prior[name]} if name in prior else domain
        for name, domain in TASKS[task].parameters.items()
    }
    space = TASKS[task].space(
        sampler={"type": "tpe", "seed": seed},
        pruner={"type": pruner},
        budget={"trials": NUM_TRIALS},
        parameters=parameters,
    )
    starting = [StartingPoint(space.prior, "the priors")] if space.prior else []
    steps, epochs = replay(space, surrogate(task), LANES, starting)
    return epochs, [(step.epochs, step.accuracy) for step in steps]


def main() -> None:
    """Print a table in Markdown: medians over seeds of regret against the best configuration."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=["digits-five", "letter-five"])
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    print("| task | pruner | prior | 100 epochs | 200 epochs | end | epochs spent |")
    print("|---|---|---|---|---|---|---|")
    for task in options.tasks:
        order = ranked(task)
        names = [n for n, domain in TASKS[task].parameters.items() if isinstance(domain, dict)]
        chosen = {"good": order[0], "bad": order[len(order) * 95 // 100]}
        priors = {"none": {}} | {
            kind: {name: params[name] for name in names} for kind, params in chosen.items()
        }
        best = max(float(surrogate(task).predict(params).judged.max()) for params in order)
        for pruner in PRUNERS:
            for kind, prior in priors.items():
                job = partial(run, task, pruner, prior)
                with multiprocessing.get_context("fork").Pool(options.processes) as pool:
                    found = pool.map(job, range(options.seeds), chunksize=1)
                table = accuracies(found)
                cells = [f"{100 * (best - float(np.median(table[:, at]))):.2f}" for at in EPOCHS]
                spent = np.mean([epochs for epochs, _ in found])
                row = [task, pruner, kind, *cells, f"{spent:.0f}"]
                print(f"| {' | '.join(row)} |", flush=True)
        for kind, prior in priors.items():
            print(f"{task}, {kind}: {prior}")


if __name__ == "__main__":
    main()
