"""Learning curves as files of a few hundred kilobytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from tasks import TASKS

__all__ = ["CURVES", "METRICS", "Curves", "recorded_tasks"]

CURVES = Path(__file__).parent / "curves"
METRICS = (
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "judge_loss",
    "judge_accuracy",
    "seconds",
)
"""What the last axis of an array of curves holds, in order."""

_SWAPPED = {
    f"{part}_{measure}": f"{other}_{measure}"
    for measure in ("accuracy", "loss")
    for part, other in (("validation", "judge"), ("judge", "validation"))
}


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """All curves of a task, float64, NaN after a trial's last epoch.

    Attributes:
        curves: Of every configuration, by its number: (configurations, epochs, metrics).
        best: Numbers of the configurations that were trained again, (best,).
        repeated: Their curves with other seeds: (seeds, best, epochs, metrics).
        num_train: Examples that were trained on.
        num_judged: Examples of the validation split, and of those to judge on.
    """

    curves: np.ndarray
    best: np.ndarray
    repeated: np.ndarray
    num_train: int
    num_judged: int

    def write(self, path: Path) -> None:
        """Write the file. Losses and seconds keep three digits; accuracies are exact."""
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {}
        for name, curves in (("curves", self.curves), ("repeated", self.repeated)):
            for metric, values in zip(METRICS, np.moveaxis(curves, -1, 0), strict=True):
                arrays[f"{name}/{metric}"] = self._packed(metric, values)
        sizes = np.array([self.num_train, self.num_judged])
        np.savez_compressed(path, best=self.best.astype(np.int16), sizes=sizes, **arrays)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file."""
        with np.load(path) as file:
            num_train, num_judged = file["sizes"].tolist()
            known = cls(np.empty(0), file["best"].astype(int), np.empty(0), num_train, num_judged)
            curves, repeated = (
                np.stack([known._unpacked(m, file[f"{name}/{m}"]) for m in METRICS], axis=-1)
                for name in ("curves", "repeated")
            )
        return cls(curves, known.best, repeated, num_train, num_judged)

    def swapped(self) -> Self:
        """The same with the third to choose on in the place of the third to judge on."""
        order = [METRICS.index(_SWAPPED.get(metric, metric)) for metric in METRICS]
        return replace(self, curves=self.curves[..., order], repeated=self.repeated[..., order])

    def _count(self, metric: str) -> int:
        return self.num_train if metric == "train_accuracy" else self.num_judged

    def _packed(self, metric: str, values: np.ndarray) -> np.ndarray:
        if not metric.endswith("accuracy"):
            return values.astype(np.float16)
        wrong = np.rint((1 - values) * self._count(metric))
        return np.where(np.isnan(wrong), -1, wrong).astype(np.int32)

    def _unpacked(self, metric: str, packed: np.ndarray) -> np.ndarray:
        if not metric.endswith("accuracy"):
            return packed.astype(np.float64)
        return np.where(packed < 0, np.nan, 1 - packed / self._count(metric))


def recorded_tasks() -> list[str]:
    """The tasks whose curves are there."""
    return [name for name in TASKS if (CURVES / f"{name}.npz").exists()]
