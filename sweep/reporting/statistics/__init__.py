"""What the data can and cannot support. Draws nothing."""

from sweep.reporting.statistics.baseline import Baseline, baseline
from sweep.reporting.statistics.bootstrap import NUM_RESAMPLES
from sweep.reporting.statistics.calibration import Calibration, ReliabilityBin, calibration
from sweep.reporting.statistics.classes import ClassScore, Score, class_scores
from sweep.reporting.statistics.correction import (
    SIGNIFICANCE,
    Comparison,
    corrected,
    decisive_levels,
    holm,
)
from sweep.reporting.statistics.equivalence import p_no_difference
from sweep.reporting.statistics.importance import Effect, Importances, importances
from sweep.reporting.statistics.intervals import (
    Interval,
    Mean,
    MeanDifference,
    compare_means,
    difference_interval,
    half_width,
    mean_interval,
    rank_correlation,
    wilson_interval,
)
from sweep.reporting.statistics.ties import (
    PairedTest,
    compare_readings,
    compare_with_best,
    mcnemar,
)
from sweep.reporting.statistics.values import (
    heights,
    num_validation_images,
    optimism_interval,
    reading_interval,
    reading_value,
    unsplit_metric,
    validated_as_tested,
    validation_intervals,
    validation_matrix,
)

__all__ = [
    "NUM_RESAMPLES",
    "SIGNIFICANCE",
    "Baseline",
    "Calibration",
    "ClassScore",
    "Comparison",
    "Effect",
    "Importances",
    "Interval",
    "Mean",
    "MeanDifference",
    "PairedTest",
    "ReliabilityBin",
    "Score",
    "baseline",
    "calibration",
    "class_scores",
    "compare_means",
    "compare_readings",
    "compare_with_best",
    "corrected",
    "decisive_levels",
    "difference_interval",
    "half_width",
    "heights",
    "holm",
    "importances",
    "mcnemar",
    "mean_interval",
    "num_validation_images",
    "optimism_interval",
    "p_no_difference",
    "rank_correlation",
    "reading_interval",
    "reading_value",
    "unsplit_metric",
    "validated_as_tested",
    "validation_intervals",
    "validation_matrix",
    "wilson_interval",
]
