"""What a study has spent of its budget, from its record and from what happens afterwards.

The loop asks it what to start, and the display what is left: both count the same events. All of it
follows from the record, so that an interrupted study ends where it would have ended.
"""

from __future__ import annotations

import math

import numpy as np

from sweep.codec import unpack_labels
from sweep.definitions import is_share
from sweep.records import (
    DataFacts,
    Objective,
    StudyRecord,
    TrialOutcome,
    TrialState,
)

__all__ = ["Spending", "standard_error"]

_MOST_COPIES = 100  # in a row, after which a sampler has nothing new to try


class Spending:
    """Counts trials, epochs and improvements, and says which limit is reached.

    Attributes:
        limits: The study's.
        num_started: Trials that were asked for, copies included.
        epochs: Epochs of all trials. One that is trained again after a crash counts once.
        best: The best value of a COMPLETE trial, or None.
    """

    def __init__(self, study: StudyRecord) -> None:
        self.limits = study.limits
        self.num_started = 0
        self.epochs = 0
        self.best: float | None = None
        self._objective = study.objective
        self._data = study.data
        self._epochs: dict[int, int] = {}  # by trial
        self._under_way: set[int] = set()
        self._num_copies = 0  # in a row
        # The value that has to be beaten, by how much, and the epochs by then.
        self._plateau = (math.nan, 0.0, 0)
        for trial in study.trials:
            if trial.state is TrialState.WAITING:
                continue
            if trial.copy_of is not None:
                self.copy(trial.number)
                continue
            self.start(trial.number)
            self.advance(trial.number, max(trial.reports, default=0))
            if trial.state is not TrialState.RUNNING:
                self._under_way.remove(trial.number)
        complete = [
            (trial.study_epochs or 0, trial.number, trial.outcome)
            for trial in study.trials
            if trial.state is TrialState.COMPLETE and trial.outcome is not None
        ]
        for known, _, outcome in sorted(complete, key=lambda entry: entry[:2]):
            self._compare(outcome, known)

    # ------------------------------------------------------------ what happens

    def start(self, trial: int) -> None:
        """Count a trial that is trained now, for the first time or again."""
        if trial not in self._epochs:
            self._epochs[trial] = 0
            self.num_started += 1
            self._num_copies = 0
        self._under_way.add(trial)

    def advance(self, trial: int, epoch: int) -> None:
        """Count the epochs of a trial up to this one."""
        new = max(0, epoch - self._epochs[trial])
        self._epochs[trial] += new
        self.epochs += new

    def copy(self, trial: int) -> None:
        """Count a trial that is not trained; it has no start."""
        self._epochs[trial] = 0
        self.num_started += 1
        self._num_copies += 1

    def pause(self, trial: int) -> None:
        """Count a trial that is paused."""
        self._under_way.discard(trial)

    def end(self, outcome: TrialOutcome) -> int:
        """Count a trial that has ended; returns the epochs of all that have ended or paused."""
        self._under_way.discard(outcome.trial)
        known = self._known_epochs
        if outcome.state is TrialState.COMPLETE:
            self._compare(outcome, known)
        return known

    def _compare(self, outcome: TrialOutcome, known: int) -> None:
        if outcome.best is None:
            return
        value, is_better = self._objective.value(outcome.best), self._objective.is_better
        if self.best is None or is_better(value, self.best):
            self.best = value
        former, error, _ = self._plateau
        margin = error if self._objective.goal == "maximize" else -error
        if math.isnan(former) or is_better(value, former + margin):
            error = standard_error(self._objective, outcome, self._data)
            self._plateau = (value, error, known)

    # ------------------------------------------------------------ what follows

    @property
    def _known_epochs(self) -> int:
        """Epochs of the trials that have ended or paused: those under way have said nothing yet."""
        return self.epochs - sum(self._epochs[trial] for trial in self._under_way)

    @property
    def plateau(self) -> int:
        """Epochs since the best value last improved beyond noise, of trials not under way."""
        return max(0, self._known_epochs - self._plateau[2])

    def _reaches(self, value: float, target: float) -> bool:
        return not self._objective.is_better(target, than=value)

    def used_up(self) -> str | None:
        """The limit that is reached, as `StudyRecord.finished_by` names it, or None."""
        limits, best = self.limits, self.best
        if limits.target is not None and best is not None and self._reaches(best, limits.target):
            return "target"
        if limits.epochs is not None and self.epochs >= limits.epochs:
            return "epochs"
        if limits.plateau is not None and self.plateau >= limits.plateau:
            return "plateau"
        if limits.trials is not None:
            return "trials" if self.num_started >= limits.trials else None
        return "copies" if self._num_copies >= _MOST_COPIES else None


def standard_error(objective: Objective, outcome: TrialOutcome, data: DataFacts) -> float:
    """The standard error of a trial's value over validation examples; 0 if it is not recorded.

    Of a loss it is that of a mean. A share p of n examples has sqrt(p (1 - p) / n). Means over
    classes count the examples of rare classes for more, so that n is the number of examples that
    say as much if all are alike: with n_c of each of C classes, a mean of C shares p has the
    variance p (1 - p) sum(1 / n_c) / C².
    """
    counts = np.bincount(unpack_labels(data.validation_labels, data.spec.num_classes))
    counts = counts[counts > 0]
    if outcome.best is None or counts.sum() < 2:
        return 0.0
    if not is_share(objective.metric):
        packed = outcome.validation_losses or b""
        if len(packed) != 4 * counts.sum():
            return 0.0
        losses = np.frombuffer(packed, "<f4").astype(float)
        return float(losses.std(ddof=1) / math.sqrt(len(losses)))
    of_classes = objective.metric != "validation_accuracy"
    number = len(counts) ** 2 / (1 / counts).sum() if of_classes else counts.sum()
    share = min(1.0, max(0.0, objective.value(outcome.best)))
    return math.sqrt(share * (1 - share) / float(number))
