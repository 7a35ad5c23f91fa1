"""How a study and its chosen trial went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from sweep.records import TrialState
from sweep.reporting.figures.colours import BEST, FAILED, INK, MUTED, PAPER, TRAIN
from sweep.reporting.figures.shared import (
    MANY,
    STATE_COLOURS,
    STATE_MARKERS,
    STATE_NAMES,
    WIDE,
    in_front,
    legend,
    log_axis,
    marker,
    states_among,
)
from sweep.reporting.series import ChosenCurves, Curve, History, LearningCurves, Point

__all__ = ["draw_chosen_curves", "draw_history", "draw_learning_curves"]

_MANY_EPOCHS = 20_000
_DASHES: Any = {TrialState.COMPLETE: "solid", TrialState.PRUNED: (0, (4, 2))}


# ---------------------------------------------------------------- the search


def draw_history(history: History) -> Figure:
    """Value of each trial against the epochs spent, and the best so far."""
    figure = Figure((WIDE, 4.0), layout="constrained")
    axes = figure.add_subplot()
    handles: list[Line2D] = []
    for state in states_among([point.state for point in history.points]):
        points = [point for point in history.points if point.state is state]
        axes.scatter(
            [point.epochs_spent for point in points],
            [point.shown for point in points],
            color=STATE_COLOURS[state],
            marker=STATE_MARKERS[state],
            s=28 if len(history.points) <= MANY else 8,
            alpha=0.8,
            linewidths=0,
            rasterized=len(history.points) > MANY,
        )
        handles.append(marker(STATE_COLOURS[state], STATE_MARKERS[state], STATE_NAMES[state]))
    last = history.points[-1]
    if history.best_so_far:
        epochs, shown = zip(*history.best_so_far, strict=True)
        axes.step(
            [*epochs, last.epochs_spent], [*shown, shown[-1]],
            where="post", color=BEST, linewidth=1.8,
        )  # fmt: skip
        handles.append(Line2D([], [], color=BEST, linewidth=1.8, label="best so far"))
    for point in history.points:
        if point.number == history.best:
            _star(axes, point.epochs_spent, point.shown)
            handles.append(marker(BEST, "*", f"trial {point.number}, chosen", size=10))
    log_axis(axes, "y")
    if history.failed:
        axes.plot(
            [point.epochs_spent for point in history.failed],
            [0.02] * len(history.failed),
            "|", color=FAILED, markersize=11, markeredgewidth=2,
            transform=axes.get_xaxis_transform(), rasterized=len(history.failed) > MANY,
        )  # fmt: skip
        handles.append(marker(FAILED, "|", "failed (no value)"))
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("Epochs spent on all trials up to the end of this one")
    axes.set_ylabel(f"{history.label}, log scale")
    _number_trials(axes, history.points)
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))
    return figure


def _star(axes: Axes, x: float, y: float) -> None:
    """The chosen trial."""
    axes.plot(
        x, y, "*", color=BEST, markersize=14, markeredgecolor=PAPER, zorder=4, clip_on=False
    )  # fmt: skip


def _number_trials(axes: Axes, points: Sequence[Point]) -> None:
    """Trial numbers along the top, as far as they have room."""
    low, high = axes.get_xlim()
    by_number = {point.number: point.epochs_spent for point in points}
    wanted = MaxNLocator(8, integer=True).tick_values(points[0].number, points[-1].number)
    shown: list[tuple[int, int]] = []
    for number in map(int, wanted):
        at = by_number.get(number)
        if at is not None and (not shown or at - shown[-1][0] > 0.05 * (high - low)):
            shown.append((at, number))
    top = axes.secondary_xaxis("top")
    top.set_xticks([at for at, _ in shown], [f"{number:,}" for _, number in shown])
    top.set_xlabel("Trial")
    top.spines[:].set_visible(False)


# ---------------------------------------------------------------- learning curves


def draw_learning_curves(curves: LearningCurves) -> Figure:
    """The validation metric of every trial, epoch by epoch."""
    figure = Figure((WIDE, 4.4), layout="constrained")
    axes = figure.add_subplot()
    raster = sum(len(curve.shown) for curve in curves.curves) > _MANY_EPOCHS
    handles: list[Line2D] = []
    # Pruned ones below: they are many, and not what matters.
    for state in reversed(states_among([curve.state for curve in curves.curves])):
        own = [
            curve for curve in curves.curves if curve.state is state and curve.number != curves.best
        ]
        if own:
            _draw_curves(axes, own, state, raster=raster)
            style = {"color": STATE_COLOURS[state], "linestyle": _DASHES[state]}
            handles.append(Line2D([], [], linewidth=1.2, label=STATE_NAMES[state], **style))
    for curve in curves.curves:
        if curve.number == curves.best:
            in_front(axes, range(1, len(curve.shown) + 1), curve.shown)
            label = f"trial {curve.number}, chosen"
            handles.append(Line2D([], [], color=BEST, linewidth=2.6, label=label))
    audited = [
        (curve.audited, curve.shown[curve.audited - 1])
        for curve in curves.curves
        if curve.audited is not None and 1 <= curve.audited <= len(curve.shown)
    ]
    if audited:
        shape: dict[str, Any] = {"markerfacecolor": PAPER, "markeredgewidth": 1.3}
        axes.plot(*zip(*audited, strict=True), "D", color=INK, markersize=6, zorder=4, **shape)
        handles.append(marker(INK, "D", "audited: would have been pruned here", **shape))
    log_axis(axes, "y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.02)
    axes.set_xlabel("Epoch")
    axes.set_ylabel(f"{curves.label}, log scale")
    legend(axes, handles)
    return figure


def _draw_curves(axes: Axes, curves: Sequence[Curve], state: TrialState, *, raster: bool) -> None:
    """All curves of one state at once, the fainter the more; those of a single epoch as dots."""
    pruned = state is TrialState.PRUNED
    faint = max(min(1.0, (80 / len(curves)) ** 0.6), 0.08)
    lines = [
        [(epoch, shown) for epoch, shown in enumerate(curve.shown, 1)]
        for curve in curves
        if len(curve.shown) > 1
    ]
    axes.add_collection(
        LineCollection(
            lines,
            colors=STATE_COLOURS[state],
            linewidths=0.9 if pruned else 1.1,
            linestyles=[_DASHES[state]],
            alpha=(0.4 if pruned else 0.6) * faint,
            rasterized=raster,
        )
    )
    dots = [curve.shown[0] for curve in curves if len(curve.shown) == 1]
    axes.plot(
        [1] * len(dots), dots, "o",
        color=STATE_COLOURS[state], alpha=0.4 * faint, markersize=3, rasterized=raster,
    )  # fmt: skip
    axes.autoscale_view()


# ---------------------------------------------------------------- the chosen trial


def draw_chosen_curves(curves: ChosenCurves) -> Figure:
    """Loss and error of the chosen trial, training against validation."""
    figure = Figure((WIDE, 3.6), layout=ConstrainedLayoutEngine(wspace=0.06))
    losses, errors = figure.subplots(1, 2)
    _draw_pair(losses, curves.train_loss, curves.validation_loss, curves.best_epoch)
    losses.set_title("Loss")
    losses.set_ylabel("Mean cross-entropy (nats), log scale")
    _draw_pair(errors, curves.train_error, curves.validation_error, curves.best_epoch)
    errors.set_title("Error")
    errors.set_ylabel("Wrong answers (%), log scale")
    handles = [
        Line2D([], [], color=TRAIN, marker="s", markersize=4, label="training"),
        Line2D([], [], color=BEST, marker="o", markersize=4.5, label="validation"),
    ]
    if curves.best_epoch <= len(curves.validation_loss):
        label = f"epoch {curves.best_epoch}, weights kept"
        handles.append(Line2D([], [], color=MUTED, linewidth=1, linestyle=(0, (2, 2)), label=label))
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))
    return figure


def _draw_pair(
    axes: Axes, train: Sequence[float], validation: Sequence[float], best_epoch: int
) -> None:
    if best_epoch <= len(validation):
        axes.axvline(best_epoch, color=MUTED, linewidth=1, linestyle=(0, (2, 2)))
    every = max(1, len(validation) // 25)  # a marker for each epoch while there is room
    for values, colour, shape in ((train, TRAIN, "s"), (validation, BEST, "o")):
        axes.plot(
            range(1, len(values) + 1), values,
            color=colour, marker=shape, markersize=4, markevery=every,
        )  # fmt: skip
    log_axis(axes, "y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("Epoch")
