"""Hyperparameters of a trial: which were used, and what a value may be."""

from __future__ import annotations

from sweep.space import used_parameters

__all__ = ["Scalar", "used_parameters"]

Scalar = int | float | str
