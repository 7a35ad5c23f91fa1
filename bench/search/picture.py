"""The figure of the search benchmark: median regret against epochs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from regret import HORIZON, Incumbents, accuracies

__all__ = ["draw"]

_LEAST = 1e-4  # of the regret: below it, a curve touches the axis


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
    sns.set_theme(style="whitegrid", context="paper")
    figure = Figure(figsize=(4.2 * len(lanes), 3.2 * len(tasks)), layout="constrained")
    grid = figure.subplots(len(tasks), len(lanes), squeeze=False)
    for (task, number), contestants in found.items():
        axes = grid[tasks.index(task)][lanes.index(number)]
        best = float(np.median(accuracies(contestants[reference])[:, -1]))
        colours = sns.color_palette("husl", len(contestants))
        for colour, (name, incumbents) in zip(colours, contestants.items(), strict=True):
            regret = best - np.median(accuracies(incumbents), axis=0)
            last = max(epochs for epochs, _ in incumbents)
            epochs = np.arange(1, min(last, HORIZON) + 1)
            axes.plot(
                epochs,
                100 * np.maximum(regret[epochs], _LEAST),
                color="black" if name == reference else colour,
                label=name,
                linewidth=1.2,
            )
        axes.set(xscale="log", yscale="log", xlim=(10, HORIZON), ylim=(100 * _LEAST, 30))
        axes.set_title(f"{task}, {number} lanes")
        axes.set(xlabel="epochs spent", ylabel="median regret, points")
    grid[0][-1].legend(fontsize=6, ncols=2)
    with mpl.rc_context({"savefig.dpi": 110}):
        figure.savefig(path)
