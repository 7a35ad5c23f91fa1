"""The figure of the search benchmark: median regret against epochs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from regret import HORIZON, Incumbents, regrets
from searches import PORTFOLIO

__all__ = ["draw", "style"]

_LEAST = 1e-4  # of the regret: below it, a curve touches the axis

# Colours differ in lightness as well, for print without colours.
_COLOURS = {"tpe": "#004488", "gp": "#AA3377", "random": "#33AA88", "qmc": "#E0AA20"}
_LINES: dict[str, Any] = {
    "none": "solid",
    "median": (0, (9, 3)),
    "hyperband": (0, (1, 1)),
    "halving": (0, (6, 1.5, 1, 1.5)),
    "asha": (0, (3, 1)),
    "pasha": (0, (3, 1, 1, 1, 1, 1)),
}
_BASELINES: dict[str, Any] = {"1-epoch": (0, (1, 0.6)), "2-epoch": (0, (3, 0.8))}


def style(name: str, reference: str) -> dict[str, Any]:
    """How a contestant is drawn: the colour says its sampler, the line who prunes or promotes.

    What all others are compared with is thick and black; the default of a search space is red. Dots
    say that it tries a portfolio first.
    """
    if name == reference:
        return {"color": "black", "linestyle": "solid", "linewidth": 3.0}
    if name in _BASELINES:
        return {"color": "black", "linestyle": _BASELINES[name], "linewidth": 2.2}
    if name.endswith(PORTFOLIO):
        return style(name.removesuffix(PORTFOLIO), reference) | {"marker": "o", "markevery": 0.08}
    if name == "default":
        return {"color": "red", "linestyle": "solid", "linewidth": 3.0}
    sampler, _, pruner = name.partition("/")
    return {"color": _COLOURS[sampler], "linestyle": _LINES[pruner], "linewidth": 1.6}


def draw(
    found: Mapping[tuple[str, int], Mapping[str, Incumbents]], reference: str, path: Path
) -> None:
    """A panel for each task and number of lanes: tasks in rows.

    Args:
        found: By task and lanes, what each contestant found.
        reference: The contestant whose median at the end has regret 0.
        path: Of the PNG.
    """
    tasks = list(dict.fromkeys(task for task, _ in found))
    lanes = list(dict.fromkeys(number for _, number in found))
    size = (4.8 * len(lanes) + 1.6, 3.6 * len(tasks))
    figure = Figure(figsize=size, layout="constrained", dpi=82)
    grid = figure.subplots(len(tasks), len(lanes), squeeze=False, sharex=True, sharey=True)
    for (task, number), contestants in found.items():
        axes = grid[tasks.index(task)][lanes.index(number)]
        for name, incumbents in contestants.items():
            regret = np.median(regrets(incumbents, contestants[reference]), axis=0)
            last = max(epochs for epochs, _ in incumbents)
            epochs = np.arange(1, min(last, HORIZON) + 1)
            points = 100 * np.maximum(regret[epochs], _LEAST)
            axes.plot(epochs, points, label=name, **style(name, reference))
        axes.set(xscale="log", yscale="log", xlim=(10, HORIZON), ylim=(100 * _LEAST, 30))
        axes.set_title(f"{task}, {number} lanes")
        axes.grid(color="0.9")
    figure.supxlabel("epochs spent")
    figure.supylabel("median regret, points")
    lines, names = grid[0][0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside right upper", handlelength=4)
    figure.savefig(path)
