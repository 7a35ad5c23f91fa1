"""Small pieces of text that several outputs share."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "columns",
    "counted",
    "duration",
    "number_words",
    "params_words",
    "percent_or_number",
    "printable",
]


def duration(seconds: float) -> str:
    """Seconds as people say them: `4.2 s`, `3 min 5 s`, `2 h 10 min`."""
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def percent_or_number(metric: str, value: float | None) -> str:
    """A value of a metric: accuracies in per cent, losses as they are."""
    if value is None:
        return "–"
    return f"{value:.2%}" if metric.endswith("accuracy") else f"{value:.4f}"


def counted(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def number_words(value: float | str) -> str:
    """A hyperparameter's value, short."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


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
