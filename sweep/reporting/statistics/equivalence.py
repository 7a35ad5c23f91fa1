"""How probable it is that a difference is too small to matter.

A test that finds no difference does not show that there is none. The posterior of the true
difference, from a flat prior, says how much of it lies within a region of practical equivalence
(ROPE): Kruschke (2013), `Bayesian estimation supersedes the t test`; Benavoli, Corani, Demsar &
Zaffalon (2017), `Time for a change: a tutorial for comparing multiple classifiers through Bayesian
analysis`.
"""

from __future__ import annotations

from statistics import NormalDist

from sweep.definitions import METRICS
from sweep.reporting.statistics.intervals import MeanDifference
from sweep.reporting.statistics.ties import PairedTest

__all__ = ["p_no_difference"]


def p_no_difference(
    test: PairedTest | MeanDifference | None, metric: str, rope: float | None
) -> float | None:
    """The probability that the true difference lies between -`rope` and `rope`.

    The posterior is the one that belongs to the test: around the difference, with its standard
    error, a Student t with Welch's degrees of freedom for means, and a normal for networks on the
    same examples. It is not corrected for the choice of what is compared.

    Args:
        test: The test of the two.
        metric: What it should be in, a name of `METRICS`.
        rope: In percentage points of a share, in nats of a loss.

    Returns:
        None without a test or a `rope`, if nothing varies, and if the test is in another metric (of
        answers in place of losses).
    """
    if test is None or rope is None or not test.error:
        return None
    if isinstance(test, PairedTest) and test.metric != metric:
        return None
    half = rope / 100 if METRICS[metric].is_share else rope
    ends = [(end - test.difference) / test.error for end in (-half, half)]
    if isinstance(test, MeanDifference):
        from scipy.special import stdtr  # not every command needs it

        low, high = (float(stdtr(test.freedom, end)) for end in ends)
    else:
        low, high = map(NormalDist().cdf, ends)
    return high - low
