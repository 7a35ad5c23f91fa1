"""Small pieces of text that several outputs share."""

from __future__ import annotations

from collections.abc import Mapping

from sweep.definitions import is_share
from sweep.words import number_words

__all__ = ["columns", "counted", "params_words", "percent_or_number", "printable"]


def percent_or_number(metric: str, value: float | None) -> str:
    """A value of a metric: shares in per cent, losses as they are.

    Args:
        metric: A key of `EpochMetrics.values`.
        value: Its value, or None if there is none.
    """
    if value is None:
        return "–"
    return f"{value:.2%}" if is_share(metric) else f"{value:.4f}"


def counted(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def params_words(params: Mapping[str, int | float | str]) -> str:
    """A configuration in one line."""
    return " ".join(f"{name}={number_words(value)}" for name, value in params.items())


def printable(text: str) -> str:
    """A text without anything that a terminal would obey; line ends and tabs stay.

    Names and reasons may come from a stranger's store. Control characters and those that cannot be
    seen are written as Python's escapes.
    """
    return "".join(
        character
        if character.isprintable() or character in "\n\t\u00a0"
        else ascii(character)[1:-1]
        for character in text
    )


def columns(rows: list[list[str]]) -> list[str]:
    """Left-aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
