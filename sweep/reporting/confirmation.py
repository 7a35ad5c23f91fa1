"""Whether the best trials of a search stay the best on fresh seeds. Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.reporting.parameters import Scalar
from sweep.reporting.statistics import Interval, Mean

__all__ = ["Candidate", "Confirmation"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the best configurations of a search, trained again on fresh seeds.

    Attributes:
        rank: 1 for the best mean.
        trial: Number of the trial in the search.
        search_rank: Its rank among the candidates in the search, 1 for the best.
        params: Every hyperparameter.
        search_value: Its validation metric in the search.
        values: Validation metric of each run that ended, in the order of the seeds.
        mean: Of `values`; None if no run ended.
        num_failed: Runs that failed.
        difference: Mean of this one minus mean of the winner, with Welch's 95 % interval; None for
            the winner, or with fewer than two runs of either.
        difference_interval: Likewise.
        p_value_holm: Welch's t-test against the winner, corrected for all candidates, or None.
        tied: Whether the runs cannot tell it from the winner; None if it cannot be tested.
    """

    rank: int
    trial: int
    search_rank: int
    params: dict[str, Scalar]
    search_value: float
    values: tuple[float, ...]
    mean: Mean | None
    num_failed: int
    difference: float | None
    difference_interval: Interval | None
    p_value_holm: float | None
    tied: bool | None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The best trials of a search on fresh seeds, and the test split for the winner.

    Attributes:
        study: Name of the study that holds the runs.
        metric: What ranks the candidates: `validation_accuracy` or `validation_loss`.
        finished: Whether all runs have ended.
        num_seeds: Runs of each candidate.
        candidates: Best first.
        winner: Number of the winner's trial in the search, or None while it is not finished.
        survived: Whether the search's best trial is the winner; None while it is not finished.
        test_accuracies: Test accuracy of each of the winner's runs; empty while sealed.
        test_mean: Their mean, or None.
    """

    study: str
    metric: str
    finished: bool
    num_seeds: int
    candidates: tuple[Candidate, ...]
    winner: int | None
    survived: bool | None
    test_accuracies: tuple[float, ...]
    test_mean: Mean | None
