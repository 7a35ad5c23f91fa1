"""What the figures show: records and statistics → tidy frames. Draws nothing.

Figures show errors rather than accuracies, on a logarithmic axis: 98% and 99% look alike, 2% and
1% do not. Where there is too little to draw, a function returns None.
"""

from sweep.reporting.series.costs import CostPanel, Costs, FrontCurves, front_curves, trial_costs
from sweep.reporting.series.curves import (
    BestSoFar,
    ChosenCurves,
    Trials,
    best_so_far,
    chosen_curves,
    history,
    learning_curves,
)
from sweep.reporting.series.occupancy import Timeline, timeline
from sweep.reporting.series.results import StudyTest, study_test
from sweep.reporting.series.samples import Axis, Samples, samples, thinned

__all__ = [
    "Axis",
    "BestSoFar",
    "ChosenCurves",
    "CostPanel",
    "Costs",
    "FrontCurves",
    "Samples",
    "StudyTest",
    "Timeline",
    "Trials",
    "best_so_far",
    "chosen_curves",
    "front_curves",
    "history",
    "learning_curves",
    "samples",
    "study_test",
    "thinned",
    "timeline",
    "trial_costs",
]
