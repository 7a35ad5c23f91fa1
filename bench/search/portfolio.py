"""Chooses the configurations that every search tries first, from the recorded learning curves.

    python bench/search/portfolio.py [--without DATASET]

It writes `sweep/space/portfolio.yaml`; without a data set, it prints what would be written.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cache

import numpy as np
import yaml
from curve_files import CURVES, METRICS, Curves, recorded_tasks
from surrogate import surrogate
from tasks import TASKS

from sweep.definitions import Params, Scalar, parameters_of, with_defaults
from sweep.space import random_configurations
from sweep.space.portfolio import PORTFOLIO_FILE

__all__ = ["choose", "greedy", "regrets"]

NUMBER = 10
_DIGITS = 3  # of the numbers that are written
_SPACES = {"mlp": ("five", "extended"), "cnn": ("cnn",)}


@cache
def choose(model: str, without: str | None = None) -> tuple[dict[str, Scalar], ...]:
    """A family's portfolio, best first, learnt from all its recorded tasks but one data set's."""
    table = [regrets(_accuracies(task)) for task in _tasks(model, without)]
    if not table:
        return ()
    # Of any data set: the same numbers are the same configurations.
    candidates = [params for space in _SPACES[model] for params in _drawn(f"digits-{space}")]
    return tuple(candidates[row] for row in greedy(np.stack(table, axis=1), NUMBER))


def _tasks(model: str, without: str | None) -> list[str]:
    tasks = (TASKS[name] for name in recorded_tasks())
    return [task.name for task in tasks if task.model == model and task.data != without]


def greedy(table: np.ndarray, number: int) -> list[int]:
    """Rows of regrets (candidates, tasks) that together have little of it in each task.

    Each choice lowers the sum over tasks of the least regret so far the most, which begins at that
    of the median, 1. Once none lowers it, choosing begins again among the others.
    """
    left = list(range(len(table)))
    chosen: list[int] = []
    least = np.ones(table.shape[1])
    while left and len(chosen) < number:
        sums = np.minimum(table[left], least).sum(1)
        if sums.min() >= least.sum():
            if (least == 1).all():
                break  # what is left is no better than the median anywhere
            least = np.ones(table.shape[1])
            continue
        chosen.append(left.pop(int(sums.argmin())))
        least = np.minimum(least, table[chosen[-1]])
    return chosen


def regrets(accuracies: np.ndarray) -> np.ndarray:
    """Of each candidate in one task: 0 is the best one's, 1 the median's; infinite if unknown."""
    best, median = np.nanmax(accuracies), np.nanmedian(accuracies)
    return np.nan_to_num((best - accuracies) / (best - median), nan=np.inf)


def _accuracies(task: str) -> np.ndarray:
    """What each candidate reaches in a task, judged at its best validation epoch; NaN if unknown.

    Candidates of five parameters have their defaults elsewhere, where the surrogate knows them.
    """
    recorded = _recorded(Curves.read(CURVES / f"{task}.npz"))
    if task.endswith("five"):
        unknown = np.full(TASKS["digits-extended"].num_configurations, np.nan)
        return np.concatenate([recorded, unknown])
    if task.endswith("extended"):
        predicted = [_predicted(task, params) for params in _drawn("digits-five")]
        return np.concatenate([predicted, recorded])
    return recorded


def _recorded(curves: Curves) -> np.ndarray:
    """Of every configuration, the mean over its seeds; NaN if it diverged."""
    found = _judged(curves.curves)
    found[curves.best] = np.mean([found[curves.best], *map(_judged, curves.repeated)], axis=0)
    return found


def _judged(curves: np.ndarray) -> np.ndarray:
    """Accuracies at the best validation epoch: (configurations, epochs, metrics) to (...,)."""
    validation, judged = (
        curves[..., METRICS.index(f"{part}_accuracy")] for part in ("validation", "judge")
    )
    best = np.where(np.isnan(validation), -1, validation).argmax(1)
    found: np.ndarray = np.take_along_axis(judged, best[:, None], 1)[:, 0]
    return found


def _predicted(task: str, params: Params) -> float:
    curve = surrogate(task).predict(params)
    return float(curve.judged[curve.accuracy.argmax()])


def _drawn(task: str) -> list[dict[str, Scalar]]:
    """The random configurations of a task; what it fixes (a batch size) is at its default."""
    space = TASKS[task].space()
    found = random_configurations(space, TASKS[task].num_configurations)
    definitions = parameters_of(space.model)
    return [with_defaults(definitions, {n: each[n] for n in space.sampled}) for each in found]


def written(without: str | None = None) -> str:
    """The file's text."""
    plain = {model: _plain(model, choose(model, without)) for model in _SPACES}
    tasks = ", ".join(name for model in _SPACES for name in _tasks(model, without))
    text = yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=1000)
    return (
        "# Configurations of each model family that a new search tries first, best first.\n"
        f"# Written by `python bench/search/portfolio.py` from {tasks}.\n{text}"
    )


def _plain(model: str, configurations: Sequence[Params]) -> list[dict[str, Scalar]]:
    """Of each configuration, what is not at its default."""
    definitions = parameters_of(model)
    plain = []
    for params in configurations:
        # The default of one may depend on another.
        others = {name: {n: v for n, v in params.items() if n != name} for name in params}
        plain.append(
            {
                name: float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
                for name, value in params.items()
                if value != with_defaults(definitions, others[name])[name]
            }
        )
    return plain


def main() -> None:
    """Write the file, or print it without a data set."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    datasets = sorted({TASKS[name].data for name in recorded_tasks()})
    parser.add_argument("--without", metavar="DATASET", choices=datasets)
    without = parser.parse_args().without
    text = written(without)
    if without is None:
        PORTFOLIO_FILE.write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
