"""Splits what an engine takes for validation examples: half to choose on, half to judge on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from sweep.training.groups import Group
from sweep.training.lane import Lane
from sweep.training.measurements import Measurement

__all__ = ["JudgedGroup"]


class JudgedGroup:
    """A group whose measurements hold `validation_*` of every other held-out example only.

    Of the others they hold `judge_accuracy` and `judge_loss`. `labels` are of all held-out
    examples; the group must measure the loss of each.
    """

    def __init__(self, group: Group, labels: np.ndarray) -> None:
        self._group = group
        self._labels = torch.from_numpy(labels)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._group, name)

    @property
    def lanes(self) -> Sequence[Lane]:
        """The trials of the group."""
        return self._group.lanes

    def finish_epoch(self) -> list[Measurement]:
        """Measure each lane on both halves."""
        return [self._split(measured) for measured in self._group.finish_epoch()]

    def _split(self, measured: Measurement) -> Measurement:
        assert measured.losses is not None
        right = (measured.predictions == self._labels).double()
        values = dict(measured.values)
        for part, start in (("validation", 0), ("judge", 1)):
            values[f"{part}_accuracy"] = right[start::2].mean().item()
            values[f"{part}_loss"] = measured.losses[start::2].double().mean().item()
        return replace(measured, values=values)
