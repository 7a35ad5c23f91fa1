"""How hyperparameters and their values are written."""

from __future__ import annotations

from sweep.space import used_parameters

__all__ = ["Scalar", "format_value", "used_parameters"]

Scalar = int | float | str


def format_value(value: Scalar) -> str:
    """A hyperparameter's value in at most four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
