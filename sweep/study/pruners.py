"""Pruners by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from optuna import pruners
from optuna.exceptions import ExperimentalWarning

from sweep.space import SearchSpace
from sweep.space.strategies import PatientPruner

__all__ = ["build_pruner"]

_BUILDERS: dict[str, Callable[..., pruners.BasePruner]] = {
    "none": pruners.NopPruner,
    "hyperband": pruners.HyperbandPruner,
    "successive_halving": pruners.SuccessiveHalvingPruner,
    "median": pruners.MedianPruner,
    "percentile": pruners.PercentilePruner,
    "threshold": pruners.ThresholdPruner,
}


def build_pruner(space: SearchSpace) -> pruners.BasePruner:
    """The pruner that a search space names. One step is one epoch, counted from 1."""
    spec = space.pruner
    if isinstance(spec, PatientPruner):
        wrapped = None if spec.pruner.type == "none" else _build(spec.pruner, space.max_epochs)
        with warnings.catch_warnings():
            # The user chose the pruner by name; that Optuna may still change it is no news.
            warnings.simplefilter("ignore", ExperimentalWarning)
            return pruners.PatientPruner(wrapped, spec.patience, spec.min_delta)
    return _build(spec, space.max_epochs)


def _build(spec: Any, max_epochs: int) -> pruners.BasePruner:
    options = spec.model_dump(exclude={"type"})
    if spec.type == "hyperband":
        options["max_resource"] = max_epochs
    return _BUILDERS[spec.type](**options)
