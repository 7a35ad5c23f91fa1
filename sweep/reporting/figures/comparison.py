"""Several studies in one figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from sweep.definitions import is_share
from sweep.reporting.figures.colours import INK, PAPER, STUDIES
from sweep.reporting.figures.shared import (
    WIDE,
    axis_label,
    bare_rows,
    interval_bar,
    legend,
    log_axis,
    marker,
    study_name,
)
from sweep.reporting.series import BestSoFar, StudyTest

__all__ = ["draw_best_so_far", "draw_study_tests"]

# Apart without colours, too.
_DASHES: Any = ("solid", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))


def draw_best_so_far(studies: Sequence[BestSoFar]) -> Figure:
    """What several studies rank by, of the best trial so far, against the epochs spent.

    Args:
        studies: All studies, in the order of their colours; one without a value is not drawn.
    """
    figure = Figure((WIDE, 3.6 + 0.2 * (len(studies) // 3)), layout="constrained")
    axes = figure.add_subplot()
    handles = []
    for index, study in enumerate(studies):
        if not study.epochs:
            continue
        colour = _colour(index)
        dashes = _DASHES[index % len(_DASHES)]
        axes.step(
            study.epochs, study.shown, where="post", color=colour, linestyle=dashes, linewidth=1.8
        )
        axes.plot(study.epochs[-1:], study.shown[-1:], "o", color=colour, clip_on=False)
        handles.append(
            Line2D(
                [], [], color=colour, linestyle=dashes, linewidth=1.8, label=study_name(study.study)
            )
        )
    log_axis(axes, "y")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("Epochs spent on all trials so far")
    axes.set_ylabel(f"{studies[0].label}\nof the best so far, log scale")
    figure.legend(handles=handles, loc="outside upper left", ncols=3)
    return figure


def _colour(index: int) -> str:
    return STUDIES[index % len(STUDIES)]


def draw_study_tests(studies: Sequence[StudyTest | None], metric: str) -> Figure:
    """A metric of each study on the test split with its interval, the first on top.

    Args:
        studies: All studies, in the order of their colours; None where the test split is sealed.
        metric: Its name with the split, as `test_loss`.
    """
    read = [(index, study) for index, study in enumerate(studies) if study is not None]
    figure = Figure((WIDE * 0.85, 1.3 + 0.4 * len(read)), layout="constrained")
    axes = figure.add_subplot()
    unit = 100 if is_share(metric) else 1
    for row, (index, study) in enumerate(read):
        colour = _colour(index)
        if study.interval is not None:
            low, high = study.interval.low, study.interval.high
            interval_bar(axes, row, unit * low, unit * high, colour)
        axes.plot(
            unit * study.value, row, "o", color=colour, markersize=8, markeredgewidth=1.8,
            markerfacecolor=colour if study.confirmed else PAPER, zorder=3,
        )  # fmt: skip
    bare_rows(axes, [study_name(study.study) for _, study in read])
    axes.set_xlabel(f"{axis_label(metric)}, with 95 % interval")
    handles = []
    if any(study.confirmed for _, study in read):
        handles.append(marker(INK, "o", "confirmed: mean over fresh seeds", 8))
    if not all(study.confirmed for _, study in read):
        hollow = {"markerfacecolor": PAPER, "markeredgewidth": 1.8}
        handles.append(marker(INK, "o", "a single trial", 8, **hollow))
    legend(axes, handles)
    return figure
