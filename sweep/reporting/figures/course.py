"""The course of a search, its trials and its workers."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from sweep.reporting.figures.axes import (
    MANY,
    WIDE,
    bare_rows,
    count_axis,
    in_front,
    legend,
    log_axis,
    scatter_trials,
    short,
    star,
    states_among,
)
from sweep.reporting.figures.hovering import HoverFigure
from sweep.reporting.figures.palette import LIGHT, STATE_COLOURS
from sweep.reporting.series import ChosenCurves, Timeline, Trials

__all__ = ["draw_chosen_curves", "draw_history", "draw_learning_curves", "draw_timeline"]

_MANY_EPOCHS = 20_000
_DASHES: Any = {"complete": "solid", "pruned": (0, (4, 2))}


# ---------------------------------------------------------------- the search


def draw_history(history: Trials) -> Figure:
    """Value of each trial against the epochs spent, and the best so far."""
    figure = HoverFigure((WIDE, 3.5), layout="constrained")
    axes = figure.add_subplot()
    frame = history.frame
    failed, points = frame[frame["height"].isna()], frame[frame["height"].notna()]
    many = len(points) > MANY
    scatter_trials(
        axes, points["epochs_spent"], points["height"], points["state"], 8 if many else 28,
        raster=many,
    )  # fmt: skip
    if frame["best"].notna().any():
        style: dict[str, Any] = {"color": LIGHT["best"], "linewidth": 1.8, "label": "best so far"}
        axes.step(frame["epochs_spent"], frame["best"], where="post", **style)
    for point in points[points["number"] == history.chosen].itertuples():
        star(axes, point.epochs_spent, point.height, f"trial {point.number}, chosen")
    log_axis(axes, "y")
    if len(failed):
        axes.plot(
            failed["epochs_spent"], [0.02] * len(failed), "|", color=LIGHT["failed"],
            markersize=11, markeredgewidth=2, transform=axes.get_xaxis_transform(),
            rasterized=len(failed) > MANY, label="failed (no value)",
        )  # fmt: skip
    count_axis(axes, "x")
    axes.set_xlabel("Epochs spent on all trials up to the end of this one")
    axes.set_ylabel(f"{history.label}, log scale")
    legend(figure)
    best_first = points.sort_values("height")
    figure.explain(axes, best_first["epochs_spent"], best_first["height"], best_first["text"])
    return figure


def draw_learning_curves(curves: Trials) -> Figure:
    """The validation metric of every trial, epoch by epoch."""
    figure = HoverFigure((WIDE, 3.6), layout="constrained")
    axes = figure.add_subplot()
    frame = curves.frame
    is_chosen = frame["number"] == curves.chosen
    chosen, others = frame[is_chosen], frame[~is_chosen]
    # Pruned ones below: they are many and matter less.
    for state in reversed(states_among(others["state"])):
        own = others[others["state"] == state]
        _draw_curves(axes, own, state, raster=len(frame) > _MANY_EPOCHS)
    if len(chosen):
        in_front(axes, chosen["epoch"], chosen["height"], f"trial {curves.chosen}, chosen")
    audited = frame[frame["audited"]]
    if len(audited):
        axes.plot(
            audited["epoch"], audited["height"], "D", color=LIGHT["ink"], markersize=6, zorder=4,
            markerfacecolor=LIGHT["paper"], markeredgewidth=1.3,
            label="audited: would have ended here",
        )  # fmt: skip
    log_axis(axes, "y")
    count_axis(axes, "x")
    axes.margins(x=0.02)
    axes.set_xlabel("Epoch")
    axes.set_ylabel(f"{curves.label}, log scale")
    legend(figure)
    best = frame.groupby("number")["height"].transform("min")
    best_first = frame.assign(best=best).sort_values(["best", "number", "epoch"])
    figure.explain(axes, best_first["epoch"], best_first["height"], best_first["text"])
    return figure


def _draw_curves(axes: Axes, curves: pd.DataFrame, state: str, *, raster: bool) -> None:
    """All curves of one state, the more the fainter; those of a single epoch as dots."""
    lines = [line.to_numpy() for _, line in curves.groupby("number")[["epoch", "height"]]]
    faint = max(min(1.0, (80 / len(lines)) ** 0.6), 0.08)
    style: dict[str, Any] = {"color": STATE_COLOURS[state], "rasterized": raster}
    width, alpha = (0.9, 0.4 * faint) if state == "pruned" else (1.1, 0.6 * faint)
    collection = LineCollection(
        [line for line in lines if len(line) > 1], linewidths=width, alpha=alpha,
        linestyles=[_DASHES[state]], label=state, **style,
    )  # fmt: skip
    axes.add_collection(collection)
    dots = [line[0] for line in lines if len(line) == 1]
    axes.plot(*zip(*dots, strict=True), "o", alpha=alpha, markersize=3, **style) if dots else None
    axes.autoscale_view()


# ---------------------------------------------------------------- the chosen trial


def draw_chosen_curves(curves: ChosenCurves) -> Figure:
    """Loss and error of the chosen trial, training against validation."""
    figure = HoverFigure((WIDE, 4.6), layout="constrained")
    panels = {"loss": "Mean cross-entropy (nats)", "error": "Wrong answers (%)"}
    frame = curves.frame
    colours = {"training": LIGHT["train"], "validation": LIGHT["best"]}
    shapes = {"training": "s", "validation": "o"}
    dashes: Any = {"color": LIGHT["muted"], "linewidth": 1, "linestyle": (0, (2, 2))}
    kept = f"epoch {curves.best_epoch}, weights kept"
    for axes, (column, label) in zip(
        figure.subplots(2, 1, sharex=True), panels.items(), strict=True
    ):
        for split, rows in frame.dropna(subset=column).groupby("split"):
            axes.plot(
                rows["epoch"], rows[column], color=colours[split], marker=shapes[split],
                markeredgewidth=0, markersize=5, label=split,
                markevery=max(1, len(rows) // 25),  # a mark for each epoch while there is room
            )  # fmt: skip
        if curves.best_epoch <= frame["epoch"].max():
            axes.axvline(curves.best_epoch, label=kept, **dashes)
        log_axis(axes, "y")
        count_axis(axes, "x")
        axes.set_ylabel(f"{label},\nlog scale")
        shown = frame.dropna(subset=column)
        figure.explain(axes, shown["epoch"], shown[column], shown[f"{column}_text"])
    axes.set_xlabel("Epoch")
    figure.align_ylabels()
    legend(figure)
    return figure


# ---------------------------------------------------------------- workers

_UNITS = ((3600 * 48, "days", 86400), (7200, "h", 3600), (180, "min", 60), (0, "s", 1))


def draw_timeline(timeline: Timeline) -> Figure:
    """A bar for each trial, in rows by worker."""
    frame = timeline.frame
    num_rows = frame["row"].max() + 1
    figure = Figure((WIDE, 1.3 + min(0.2 * num_rows, 5.0)), layout="constrained")
    axes = figure.add_subplot()
    seconds = frame["end"].max()
    unit, size = next((unit, size) for least, unit, size in _UNITS if seconds >= least)
    for (state, row), bars in frame.groupby(["state", "row"]):
        spans = zip(bars["start"] / size, (bars["end"] - bars["start"]) / size, strict=True)
        axes.broken_barh(
            list(spans), (row - 0.42, 0.84), facecolor=STATE_COLOURS[state],
            edgecolor=LIGHT["paper"], linewidth=0.6 if len(frame) < MANY / 4 else 0,
            hatch="////" * (state == "failed"), rasterized=len(frame) > MANY, label=state,
        )  # fmt: skip
    _name_workers(axes, frame.groupby(["node", "worker"])["row"])
    axes.set_xlim(0, seconds / size)
    figure.supxlabel(f"Time since the first trial began ({unit})", fontsize=9)
    legend(figure)
    return figure


def _name_workers(axes: Axes, rows: Any) -> None:
    """One name for all rows of a worker, and a line between workers."""
    first, last = rows.min(), rows.max()
    bare_rows(axes, [""] * (last.max() + 1))
    every = max(1, len(first) // 30)
    names = [
        f"{short(node, 20)}, worker {number}" if node else f"worker {number}"
        for node, number in first.index
    ]
    axes.set_yticks(((first + last) / 2)[::every], names[::every])
    for row in first[1:]:
        axes.axhline(row - 0.5, color=LIGHT["muted"], linewidth=0.8)
    axes.margins(x=0)
