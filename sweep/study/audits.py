"""Which trials run to their end although the pruner would have ended them.

What pruning misses can be seen only where it does not prune. The budget's numbers are cut into
equal slices, one for each audit, and the first trial of a slice that the pruner wants to end is
audited: spread over the study, whatever the pruner does, and never drawn at random, so that a
study that was interrupted audits the same trials.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["Audits"]


class Audits:
    """Chooses the trials that are audited, and remembers them.

    Args:
        num_planned: How many there may be in all.
        num_trials: The study's total number of trials; without one nothing is audited.
        audited: Those that were audited before: the epoch after which each would have ended.
    """

    def __init__(
        self, num_planned: int, num_trials: int | None, audited: Mapping[int, int]
    ) -> None:
        self._num_planned = num_planned if num_trials else 0
        self._num_trials = num_trials or 1
        self._epochs = dict(audited)
        self._taken = {self._slice(trial) for trial in self._epochs} if self._num_planned else set()

    def epoch(self, trial: int) -> int | None:
        """The epoch after which the pruner would have ended an audited trial; None of others."""
        return self._epochs.get(trial)

    def take(self, trial: int, epoch: int) -> bool:
        """Audit a trial that the pruner wants to end, if its slice has none yet.

        Args:
            trial: The trial's number.
            epoch: The epoch after which it would end.

        Returns:
            Whether it is audited, and goes on.
        """
        if len(self._epochs) >= self._num_planned or self._slice(trial) in self._taken:
            return False
        self._taken.add(self._slice(trial))
        self._epochs[trial] = epoch
        return True

    def _slice(self, trial: int) -> int:
        # Repetitions of failed trials may have numbers beyond the total: they are of the last one.
        return min(trial * self._num_planned // self._num_trials, self._num_planned - 1)
