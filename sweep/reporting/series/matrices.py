"""Confusion matrices held against each other. Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.records import ConfusionMatrix

__all__ = ["Difference", "matrix_difference"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two trials answer the same examples differently.

    Attributes:
        first: Number of one trial.
        second: Number of the other.
        cells: Examples of the second trial minus those of the first, true classes in rows,
            predicted classes in columns.
        num_mistakes: Mistakes of the second minus mistakes of the first.
    """

    first: int
    second: int
    cells: tuple[tuple[int, ...], ...]
    num_mistakes: int


def matrix_difference(
    first: tuple[int, ConfusionMatrix], second: tuple[int, ConfusionMatrix]
) -> Difference | None:
    """The second trial's confusion matrix minus the first's.

    Args:
        first: Number and matrix of one trial.
        second: Number and matrix of the other.

    Returns:
        The difference; None if the matrices are not of the same examples, class by class.
    """
    (first_number, before), (second_number, after) = first, second
    if [(len(row), sum(row)) for row in before] != [(len(row), sum(row)) for row in after]:
        return None
    cells = tuple(
        tuple(new - old for old, new in zip(*rows, strict=True))
        for rows in zip(before, after, strict=True)
    )
    num_mistakes = -sum(row[label] for label, row in enumerate(cells))
    return Difference(first_number, second_number, cells, num_mistakes)
