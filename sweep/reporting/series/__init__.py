"""What the figures show: records and statistics → frozen series of numbers. Draws nothing.

Figures show what is wrong rather than what is right, on a logarithmic axis: 98 % and 99 % look
alike, 2 % and 1 % do not. Where there is nothing to draw, a function returns None.
"""

from sweep.reporting.series.comparison import (
    BestSoFar,
    StudyTest,
    best_so_far,
    study_test,
)
from sweep.reporting.series.course import (
    ChosenCurves,
    Curve,
    History,
    LearningCurves,
    Point,
    chosen_curves,
    history,
    learning_curves,
)
from sweep.reporting.series.matrices import Difference, matrix_difference
from sweep.reporting.series.samples import Axis, Sample, Samples, samples, thinned
from sweep.reporting.series.timeline import Bar, Pause, Row, Timeline, timeline

__all__ = [
    "Axis",
    "Bar",
    "BestSoFar",
    "ChosenCurves",
    "Curve",
    "Difference",
    "History",
    "LearningCurves",
    "Pause",
    "Point",
    "Row",
    "Sample",
    "Samples",
    "StudyTest",
    "Timeline",
    "best_so_far",
    "chosen_curves",
    "history",
    "learning_curves",
    "matrix_difference",
    "samples",
    "study_test",
    "thinned",
    "timeline",
]
