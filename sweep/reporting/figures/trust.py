"""How far to trust the answer: fresh seeds, and whether the network knows what it knows."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MultipleLocator

from sweep.definitions import is_share
from sweep.reporting.candidates import Candidate, Confirmation
from sweep.reporting.figures.colours import BEST, COMPLETE, INK, MUTED, PAPER
from sweep.reporting.figures.shared import (
    WIDE,
    axis_label,
    bare_rows,
    interval_bar,
    jitter,
    legend,
    marker,
)
from sweep.reporting.statistics.calibration import Calibration, ReliabilityBin

__all__ = ["draw_confirmation", "draw_reliability"]


# ---------------------------------------------------------------- confirmation


def draw_confirmation(confirmation: Confirmation) -> Figure:
    """Validation metric of every run of each candidate, the best mean on top.

    The search's own value is a hollow marker: how far it lies on the better side is what
    choosing the best of many trials promised too much.
    """
    candidates = confirmation.candidates
    figure = Figure((WIDE * 0.85, 1.4 + 0.5 * len(candidates)), layout="constrained")
    axes = figure.add_subplot()
    unit = 100 if is_share(confirmation.metric) else 1
    for row, candidate in enumerate(candidates):
        won = candidate.trial == confirmation.winner
        _draw_candidate(axes, row, candidate, BEST if won else COMPLETE, unit)
    of = f"of {confirmation.chosen_from}"
    bare_rows(axes, [f"trial {c.trial}, no. {c.search_rank} {of}" for c in candidates])
    axes.set_xlabel(axis_label(confirmation.metric))
    handles: list[Line2D] = []
    if any(candidate.values for candidate in candidates):
        handles.append(marker(INK, "o", "a run", 4, alpha=0.6))
        handles.append(marker(INK, "D", "mean, 95 % interval", 7))
    hollow = {"markerfacecolor": "none", "markeredgewidth": 1.5}
    handles.append(marker(INK, "o", "in the search", 8, **hollow))
    if confirmation.winner is not None:
        handles.append(marker(BEST, "D", "winner", 7))
    legend(axes, handles)
    return figure


def _draw_candidate(axes: Axes, row: int, candidate: Candidate, colour: str, unit: int) -> None:
    axes.plot(
        unit * candidate.search_value, row, "o",
        color=INK, markersize=9, markerfacecolor="none", markeredgewidth=1.5, zorder=2,
    )  # fmt: skip
    axes.plot(
        [unit * value for value in candidate.values],
        [row + 0.28 + 0.12 * jitter(run) for run in range(len(candidate.values))],
        "o", color=colour, markersize=4.5, alpha=0.65, markeredgewidth=0,
    )  # fmt: skip
    if candidate.mean is not None:
        interval = candidate.mean.interval
        if interval is not None:
            interval_bar(axes, row, unit * interval.low, unit * interval.high, colour)
        axes.plot(
            unit * candidate.mean.value, row, "D",
            color=colour, markersize=8, markeredgecolor=PAPER, zorder=4,
        )  # fmt: skip


# ---------------------------------------------------------------- calibration


def draw_reliability(calibration: Calibration) -> Figure:
    """Accuracy against confidence above, the images of each confidence below."""
    figure = Figure((WIDE * 0.62, 5.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.2))
    filled = [part for part in calibration.bins if part.num_images]
    above.plot([0, 100], [0, 100], color=MUTED, linewidth=1.2, linestyle=(0, (4, 2)))
    for part in filled:
        _draw_bin(above, part)
    above.set_ylim(-3, 103)
    above.set_ylabel("Accuracy (% of the examples)")
    above.yaxis.set_major_locator(MultipleLocator(20))
    legend(
        above,
        [
            marker(COMPLETE, "o", "examples of a bin, 95 % interval", 7),
            Line2D([], [], color=MUTED, linestyle=(0, (4, 2)), label="as right as it says"),
        ],
    )
    below.bar(
        [50 * (part.low + part.high) for part in filled],
        [part.num_images for part in filled],
        width=[94 * (part.high - part.low) for part in filled],
        color=COMPLETE,
    )  # fmt: skip
    below.set_yscale("log")
    below.set_ylim(bottom=0.7)
    below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    below.minorticks_off()
    below.set_ylabel("Examples,\nlog scale")
    below.set_xlim(-2, 102)
    below.xaxis.set_major_locator(MultipleLocator(20))
    below.set_xlabel("Confidence: probability given to the predicted class (%)")
    figure.align_ylabels()
    return figure


def _draw_bin(axes: Axes, part: ReliabilityBin) -> None:
    if part.confidence is None or part.accuracy is None:
        return
    at, interval = 100 * part.confidence, part.accuracy_interval
    if interval is not None:
        axes.vlines(at, 100 * interval.low, 100 * interval.high, color=COMPLETE, linewidth=1.8)
    axes.plot(at, 100 * part.accuracy, "o", color=COMPLETE, markersize=7, markeredgecolor=PAPER)
