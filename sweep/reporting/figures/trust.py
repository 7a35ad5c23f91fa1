"""How far to trust the answer: fresh seeds, calibration, and several studies compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from sweep.definitions import is_share
from sweep.reporting.candidates import Confirmation
from sweep.reporting.figures.axes import (
    WIDE,
    axis_label,
    bare_rows,
    count_axis,
    interval_bar,
    jitter,
    legend,
    log_axis,
    wrapped,
)
from sweep.reporting.figures.hovering import HoverFigure
from sweep.reporting.figures.palette import LIGHT, STUDIES
from sweep.reporting.series import BestSoFar, StudyTest
from sweep.reporting.statistics.calibration import Calibration
from sweep.words import percent_or_number

__all__ = ["draw_best_so_far", "draw_confirmation", "draw_reliability", "draw_study_tests"]


def draw_confirmation(confirmation: Confirmation) -> Figure:
    """Validation metric of every run of each candidate, the best mean on top.

    The search's own value is a hollow marker: its distance on the better side is the optimism of
    the search.
    """
    candidates = confirmation.candidates
    figure = HoverFigure((WIDE, 1.2 + 0.42 * len(candidates)), layout="constrained")
    axes = figure.add_subplot()
    unit = 100 if is_share(confirmation.metric) else 1
    hollow: dict[str, Any] = {"markerfacecolor": "none", "mew": 1.5, "label": "in the search"}
    for row, candidate in enumerate(candidates):
        won = candidate.trial == confirmation.winner
        colour = LIGHT["best"] if won else LIGHT["complete"]
        axes.plot(unit * candidate.search_value, row, "o", color=LIGHT["ink"], ms=9, **hollow)
        if candidate.mean is None:
            continue
        values = [unit * value for value in candidate.values]
        rows = [row + 0.28 + 0.12 * jitter(run) for run in range(len(values))]
        axes.plot(values, rows, "o", color=colour, ms=4.5, alpha=0.65, mew=0, label="a run")
        interval = candidate.mean.interval
        if interval is not None:
            interval_bar(axes, row, unit * interval.low, unit * interval.high, colour)
        axes.plot(
            unit * candidate.mean.value, row, "D", color=colour, ms=8, mec=LIGHT["paper"], zorder=4,
            label=f"{'winner: ' * won}mean, 95% interval",
        )  # fmt: skip
        said = f"trial {candidate.trial}, fresh seed "
        texts = (percent_or_number(confirmation.metric, value) for value in candidate.values)
        figure.explain(axes, values, rows, (f"{said}{i}: {t}" for i, t in enumerate(texts, 1)))
    bare_rows(axes, [f"trial {c.trial}" for c in candidates])
    axes.set_xlabel(axis_label(confirmation.metric))
    legend(figure)
    return figure


def draw_reliability(calibration: Calibration) -> Figure:
    """Accuracy against confidence above, the number of examples of each confidence below."""
    figure = HoverFigure((WIDE, 4.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.2))
    dashes: dict[str, Any] = {"color": LIGHT["muted"], "linestyle": (0, (4, 2))}
    above.plot([0, 100], [0, 100], linewidth=1.2, label="perfectly calibrated", **dashes)
    examples = "a bin, 95% interval"
    for part in calibration.bins:
        if part.confidence is None or part.accuracy is None:
            continue
        at, interval = 100 * part.confidence, part.accuracy_interval
        style: dict[str, Any] = {"color": LIGHT["complete"]}
        if interval is not None:
            above.vlines(at, 100 * interval.low, 100 * interval.high, linewidth=1.8, **style)
        above.plot(at, 100 * part.accuracy, "o", ms=7, mec=LIGHT["paper"], label=examples, **style)
        said = (
            f"{part.num_images:,} examples: {part.confidence:.1%} sure, {part.accuracy:.1%} right"
        )
        figure.explain(above, [at], [100 * part.accuracy], [said])
        width = 100 * (part.high - part.low)
        below.bar(100 * part.low + width / 2, part.num_images, 0.94 * width, **style)
    above.set_ylim(-3, 103)
    above.set_ylabel("Accuracy (% of the examples)")
    above.yaxis.set_major_locator(MultipleLocator(20))
    below.set_ylim(bottom=0.7)
    log_axis(below, "y")
    below.set_ylabel("Examples,\nlog scale")
    below.set_xlim(-2, 102)
    below.xaxis.set_major_locator(MultipleLocator(20))
    below.set_xlabel("Confidence: probability of the predicted class (%)")
    figure.align_ylabels()
    legend(figure)
    return figure


# ---------------------------------------------------------------- several studies

# Apart without colours, too.
_DASHES: Any = ("solid", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))


def draw_study_tests(studies: Sequence[StudyTest | None], metric: str) -> Figure:
    """A metric, such as `test_loss`, of each study with its interval, the first on top.

    The studies are in the order of their colours; None where the test split is sealed.
    """
    read = [(_colour(index), study) for index, study in enumerate(studies) if study is not None]
    figure = HoverFigure((WIDE, 1.2 + 0.36 * len(read)), layout="constrained")
    axes = figure.add_subplot()
    unit = 100 if is_share(metric) else 1
    confirmed: dict[str, Any] = {"label": "mean over fresh seeds"}
    single: dict[str, Any] = {"label": "a single trial", "mfc": LIGHT["paper"], "mew": 1.8}
    for row, (colour, study) in enumerate(read):
        if study.interval is not None:
            interval_bar(axes, row, unit * study.interval.low, unit * study.interval.high, colour)
        style = confirmed if study.confirmed else single
        axes.plot([], [], "o", color=LIGHT["ink"], markersize=8, **style)  # for the legend
        style = {**style, "color": colour, "label": None}
        axes.plot(unit * study.value, row, "o", markersize=8, zorder=3, **style)
        said = f"{study.study}: {percent_or_number(metric, study.value)}"
        figure.explain(axes, [unit * study.value], [row], [said])
    bare_rows(axes, [wrapped(study.study, 22) for _, study in read])
    axes.set_xlabel(f"{axis_label(metric)}, with 95% interval")
    legend(figure)
    return figure


def draw_best_so_far(studies: Sequence[BestSoFar]) -> Figure:
    """The objective of each study's best trial so far against the epochs spent.

    The studies are in the order of their colours; one without a value is not drawn.
    """
    figure = HoverFigure((WIDE, 3.3 + 0.18 * (len(studies) // 2)), layout="constrained")
    axes = figure.add_subplot()
    handles: list[Artist] = []
    for index, study in enumerate(studies):
        if not study.epochs:
            continue
        dashes = _DASHES[index % len(_DASHES)]
        style: dict[str, Any] = {"color": _colour(index), "linestyle": dashes, "linewidth": 1.8}
        label = _name(study.study)
        epochs, shown = (*study.epochs, study.end), (*study.shown, study.shown[-1])
        handles += axes.step(epochs, shown, where="post", label=label, **style)
        axes.plot(epochs[-1], shown[-1], "o", color=_colour(index), clip_on=False)
        figure.explain(axes, study.epochs, study.shown, study.texts)
    log_axis(axes, "y")
    axes.set_xlim(left=0)
    count_axis(axes, "x")
    axes.set_xlabel("Epochs spent on all trials so far")
    axes.set_ylabel(f"{studies[0].label} of the best so far,\nlog scale")
    legend(figure, handles)
    return figure


def _colour(index: int) -> str:
    return STUDIES[index % len(STUDIES)]


def _name(study: str) -> str:
    """A study's name in a legend, of which Matplotlib leaves out what begins with `_`."""
    name = wrapped(study, 40)
    return f" {name}" if name.startswith("_") else name
