"""What every engine promises, and the registry of engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from sweep.data import TrainingData
from sweep.records import Decision, EpochMetrics, TrainingSettings, TrialConfig, TrialOutcome

__all__ = ["Engine", "Report"]

Report = Callable[[Sequence[EpochMetrics]], Sequence[Decision]]
"""Takes the metrics of an epoch, one entry for each trial under way; answers with decisions."""


class Engine(Protocol):
    """Trains configurations on one device."""

    def __init__(self, settings: TrainingSettings, data: TrainingData) -> None:
        """Move the data to the device."""
        ...

    @property
    def hardware(self) -> str:
        """The device and the name of its hardware."""
        ...

    def train(self, configs: Sequence[TrialConfig], report: Report) -> Iterator[TrialOutcome]:
        """Train each configuration; a failure is an outcome, not an exception.

        Args:
            configs: What to train.
            report: Called after every epoch.

        Yields:
            One outcome for each configuration, as soon as it is known.
        """
        ...
