"""Which new trial repeats a complete one, and need not be trained."""

from __future__ import annotations

from collections.abc import Hashable

from sweep.definitions import Params
from sweep.records import StudyRecord, TrialConfig, TrialState
from sweep.space import SearchSpace, effective_parameters

__all__ = ["Originals"]


class Originals:
    """The COMPLETE trials of a study, by what had an effect in them.

    What is fixed has the same effect in all trials and is left out: many of them take much memory.
    Runs of a confirmation that differ in the order of the examples are no copies.
    """

    def __init__(self, space: SearchSpace, study: StudyRecord) -> None:
        self._space = space
        self._sampled = frozenset(space.sampled)
        self._numbers: dict[Hashable, int] = {}
        for trial in study.trials:
            is_trained = trial.outcome is not None and trial.outcome.best is not None
            if trial.state is TrialState.COMPLETE and is_trained:
                self._numbers.setdefault(self._key(trial.params, trial.order), trial.number)

    def add(self, config: TrialConfig) -> None:
        """Add a trial that is COMPLETE now."""
        self._numbers.setdefault(self._key(config.params, config.order), config.number)

    def find(self, config: TrialConfig) -> int | None:
        """Number of the COMPLETE trial that this one would repeat, or None."""
        return self._numbers.get(self._key(config.params, config.order))

    def _key(self, params: Params, order: int) -> Hashable:
        effective = effective_parameters(self._space, params)
        return order, frozenset(entry for entry in effective if entry[0] in self._sampled)
