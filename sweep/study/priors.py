"""Draws around priors, the values that a user believes to be good.

A model of few trials may leave a prior's region for good, and a prior may be wrong. So both draw:
as in πBO (Hvarfner et al. 2022, arXiv 2204.11051) and PriorBand (Mallik et al. 2023, arXiv
2306.12370), the prior's share is large at first, and neither share is ever nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sweep.space import Choices, Range, nearest_step

__all__ = ["Guide"]

_SHARE_OF_TRIALS = 1 / 4  # after the sampler's start-up trials
_SHARE_OF_VALUES = 1 / 2  # in a trial with a guide
_DEVIATION = 1 / 4  # of the range


class Guide:
    """Draws some of a trial's values in the place of its sampler.

    Attributes:
        is_due: Whether it guides this trial even if the sampler has a model.
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self.is_due = self._random.random() < _SHARE_OF_TRIALS

    def takes(self, domain: Range | Choices) -> bool:
        """Whether it draws the next value of this domain."""
        return domain.prior is not None and self._random.random() < _SHARE_OF_VALUES

    def draw(self, domain: Range | Choices) -> Any:
        """The prior of choices; for a range, a value from a truncated normal around it.

        Its standard deviation is a quarter of the range, in the logarithm for a log range. A value
        of a range with steps stands for half a step on either side.
        """
        if isinstance(domain, Choices):
            return domain.prior
        step = domain.step or (1 if isinstance(domain.low, int) else 0)
        ends = [domain.low - step / 2, domain.high + step / 2, domain.prior]
        low, high, prior = map(math.log, ends) if domain.log else ends
        value = math.nan
        while not low <= value <= high:
            value = self._random.normal(prior, _DEVIATION * (high - low))
        value = math.exp(value) if domain.log else value
        if step:
            return nearest_step(domain, value)
        return min(max(domain.low, value), domain.high)  # rounding must not lead out of the range
