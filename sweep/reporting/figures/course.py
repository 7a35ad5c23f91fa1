"""How a study went: values in order, learning curves, the best so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from sweep.records import TrialState
from sweep.reporting.figures.canvas import BEST, FAILED, MUTED, STUDIES, TRAIN
from sweep.reporting.figures.shared import (
    STATE_COLOURS,
    STATE_MARKERS,
    STATE_NAMES,
    WIDE,
    legend,
    log_axis,
    marker,
    short,
    states_among,
)
from sweep.reporting.series import BestSoFar, Curve, History, LearningCurves, LossCurves

__all__ = ["draw_best_so_far", "draw_history", "draw_learning_curves", "draw_loss_curves"]

_MANY_POINTS = 20_000


def draw_history(history: History) -> Figure:
    """Value of each trial in the order of the trials, and the best so far."""
    figure = Figure((WIDE, 3.6), layout="constrained")
    axes = figure.add_subplot()
    handles = []
    for state in states_among([point.state for point in history.points]):
        points = [point for point in history.points if point.state is state]
        axes.scatter(
            [point.number for point in points],
            [point.shown for point in points],
            color=STATE_COLOURS[state],
            marker=STATE_MARKERS[state],
            s=26,
            alpha=0.8,
            linewidths=0,
        )
        handles.append(marker(STATE_COLOURS[state], STATE_MARKERS[state], STATE_NAMES[state]))
    if history.best_so_far:
        numbers = [number for number, _ in history.best_so_far]
        shown = [height for _, height in history.best_so_far]
        last = max(point.number for point in history.points)
        axes.step([*numbers, last], [*shown, shown[-1]], where="post", color=BEST, linewidth=1.8)
        handles.append(Line2D([], [], color=BEST, linewidth=1.8, label="best so far"))
    log_axis(axes, "y")
    if history.failed:
        axes.plot(
            history.failed,
            [0.02] * len(history.failed),
            "|",
            color=FAILED,
            markersize=11,
            markeredgewidth=2,
            transform=axes.get_xaxis_transform(),
        )
        handles.append(marker(FAILED, "|", "failed (no value)"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("Trial")
    axes.set_ylabel(f"{history.label}, log scale")
    legend(axes, handles)
    return figure


def draw_learning_curves(curves: LearningCurves) -> Figure:
    """The validation metric of every trial, epoch by epoch."""
    figure = Figure((WIDE, 4.2), layout="constrained")
    axes = figure.add_subplot()
    # Thousands of strokes make a heavy page: then they become one picture inside the SVG.
    raster = sum(len(curve.shown) for curve in curves.curves) > _MANY_POINTS

    def draw(curve: Curve, **style: Any) -> None:
        marker = "o" if len(curve.shown) == 1 else None
        epochs = range(1, len(curve.shown) + 1)
        axes.plot(epochs, curve.shown, marker=marker, rasterized=raster, **style)

    handles = []
    for state in states_among([curve.state for curve in curves.curves]):
        pruned = state is TrialState.PRUNED
        style: dict[str, Any] = {
            "color": STATE_COLOURS[state],
            "linewidth": 0.9,
            "linestyle": (0, (4, 2)) if pruned else "solid",
            "markersize": 3,
        }
        for curve in curves.curves:
            if curve.state is state and curve.number != curves.best:
                draw(curve, alpha=0.45, **style)
        handles.append(Line2D([], [], label=STATE_NAMES[state], **style))
    for curve in curves.curves:
        if curve.number == curves.best:
            draw(curve, color=BEST, linewidth=2.4, markersize=5, zorder=3)
            label = f"trial {curve.number}, chosen"
            handles.append(Line2D([], [], color=BEST, linewidth=2.4, label=label))
    log_axis(axes, "y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.02)
    axes.set_xlabel("Epoch")
    axes.set_ylabel(f"{curves.label}, log scale")
    legend(axes, handles)
    return figure


def draw_loss_curves(curves: LossCurves) -> Figure:
    """Training and validation loss of the chosen trial."""
    figure = Figure((WIDE, 3.2), layout="constrained")
    axes = figure.add_subplot()
    epochs = range(1, len(curves.train) + 1)
    axes.axvline(curves.best_epoch, color=MUTED, linewidth=1, linestyle=(0, (2, 2)))
    axes.plot(epochs, curves.train, color=TRAIN, marker="s", markersize=3.5)
    axes.plot(epochs, curves.validation, color=BEST, marker="o", markersize=4)
    log_axis(axes, "y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("Epoch")
    axes.set_ylabel("Mean cross-entropy (nats), log scale")
    legend(
        axes,
        [
            Line2D([], [], color=TRAIN, marker="s", markersize=3.5, label="training"),
            Line2D([], [], color=BEST, marker="o", markersize=4, label="validation"),
            Line2D(
                [], [], color=MUTED, linewidth=1, linestyle=(0, (2, 2)),
                label=f"epoch {curves.best_epoch}, weights kept",
            ),
        ],
    )  # fmt: skip
    return figure


def draw_best_so_far(studies: Sequence[BestSoFar]) -> Figure:
    """The best validation error so far of several studies against the epochs spent."""
    figure = Figure((WIDE, 3.8), layout="constrained")
    axes = figure.add_subplot()
    for index, study in enumerate(studies):
        colour = STUDIES[index % len(STUDIES)]
        dashes = ("solid", "dashed", "dotted")[index // len(STUDIES) % 3]
        axes.step(
            study.epochs, study.errors, where="post", color=colour, linestyle=dashes, linewidth=1.8
        )
        axes.plot(
            study.epochs[-1:], study.errors[-1:], "o", color=colour, label=_label(study.study)
        )
    log_axis(axes, "y")
    axes.set_xlim(left=0)
    axes.set_xlabel("Epochs spent on all trials so far")
    axes.set_ylabel("Validation error of the\nbest so far (%), log scale")
    axes.legend(loc="upper right")
    return figure


def _label(study: str) -> str:
    """A study's name in a legend, from which Matplotlib leaves out what begins with `_`."""
    name = short(study, 32)
    return f" {name}" if name.startswith("_") else name
