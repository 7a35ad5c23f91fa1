"""Which hyperparameters acted together rather than each by itself. Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Interactions"]


@dataclass(frozen=True, slots=True)
class Interactions:
    """How strongly each pair of hyperparameters acted together.

    Attributes:
        names: The hyperparameters, most important first; empty if the trials do not say.
        strengths: Square and symmetric: of the variance that a model of the value explains, the
            share that a pair explains beyond its two members alone, 0 to 1; zero on the diagonal.
        note: How the strengths were found and how far to trust them, or why there are none.
    """

    names: tuple[str, ...]
    strengths: tuple[tuple[float, ...], ...]
    note: str
