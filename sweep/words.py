"""Wording of commands, quantities and configurations, on the terminal and on the page alike.

Imports the standard library and `sweep.definitions` only.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Mapping, Sequence

from sweep.definitions import Scalar, is_share

__all__ = [
    "DEFAULT_STORAGE",
    "capital",
    "columns",
    "command_words",
    "confidence_words",
    "count_words",
    "counted",
    "did_you_mean",
    "difference_interval_words",
    "difference_words",
    "duration",
    "interval_words",
    "metric_words",
    "number_words",
    "p_value_words",
    "params_words",
    "percent",
    "percent_interval",
    "percent_or_number",
    "printable",
    "short_value_words",
    "storage_words",
    "tie_words",
]

DEFAULT_STORAGE = "sqlite:///studies.db"
"""The store of a command that names none."""

_NOTHING = "–"


# ---------------------------------------------------------------- commands


def storage_words(storage: str) -> str:
    """The option that names a store; empty for the default one."""
    return "" if storage == DEFAULT_STORAGE else f" --storage {shlex.quote(storage)}"


def command_words(command: str, study: str, storage: str, arguments: str = "") -> str:
    """A command on a study, ready to paste: `sweep resume mine --storage URL`."""
    words = f"sweep {command} {shlex.quote(study)} {arguments}".rstrip()
    return words + storage_words(storage)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The nearest known name, to follow a message; empty if none is near."""
    names = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word[:64].lower(), names, n=1)
    return f" (did you mean {names[close[0]]!r}?)" if close else ""


# ---------------------------------------------------------------- names and numbers; None is a dash


def metric_words(name: str) -> str:
    """The readable name of a metric or value: `validation macro F1`."""
    return name.replace("f1_macro", "macro_F1").replace("_", " ")


def capital(words: str) -> str:
    """Words with a capital first letter; `str.capitalize` would write `Macro f1`."""
    return words[:1].upper() + words[1:]


def counted(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def count_words(number: int | None) -> str:
    """`12,345`."""
    return _NOTHING if number is None else f"{number:,}"


def number_words(value: Scalar | None) -> str:
    """A hyperparameter's value in at most four significant digits."""
    if value is None:
        return _NOTHING
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def duration(seconds: float | None) -> str:
    """A readable duration: `4.2 s`, `3 min 5 s`, `2 h 10 min`."""
    if seconds is None:
        return _NOTHING
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


# ---------------------------------------------------------------- statistics


def percent(share: float | None, digits: int = 2) -> str:
    """A share of 1: `97.25%`."""
    return _NOTHING if share is None else f"{share:.{digits}%}"


def percent_or_number(metric: str, value: float | None) -> str:
    """A value of a metric, such as `test_loss`: shares in percent, losses as numbers."""
    if value is None:
        return _NOTHING
    return percent(value) if is_share(metric) else f"{value:.4f}"


def short_value_words(metric: str, value: float) -> str:
    """A round value of a metric: `97%`."""
    return f"{100 * value:g}%" if is_share(metric) else f"{value:g}"


def percent_interval(interval: Sequence[float] | None, digits: int = 2) -> str:
    """The ends of an interval of a share: `96.10 to 97.25%`."""
    if interval is None:
        return _NOTHING
    low, high = interval
    return f"{100 * low:.{digits}f} to {percent(high, digits)}"


def interval_words(metric: str, interval: Sequence[float] | None) -> str:
    """The ends of an interval of a metric: `96.10 to 97.25%`."""
    if interval is None or is_share(metric):
        return percent_interval(interval)
    return " to ".join(f"{end:.4f}" for end in interval)


def difference_words(metric: str, difference: float | None) -> str:
    """A difference of two values of a metric: `+0.51 points`."""
    if difference is None:
        return _NOTHING
    return f"{_signed(metric, difference)}{' points' if is_share(metric) else ''}"


def difference_interval_words(metric: str, interval: Sequence[float] | None) -> str:
    """The ends of an interval of such a difference: `−0.20 to +1.22`."""
    return _NOTHING if interval is None else " to ".join(_signed(metric, end) for end in interval)


def _signed(metric: str, difference: float) -> str:
    text = f"{100 * difference:+.2f}" if is_share(metric) else f"{difference:+.4f}"
    return text.replace("-", "−")


def confidence_words(probability: float) -> str:
    """A probability, which is never quite one."""
    return "> 99.9%" if probability > 0.999 else percent(probability, 1)


def p_value_words(value: float | None) -> str:
    """A p-value in three decimals."""
    if value is None:
        return _NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def tie_words(num_tied: int, num_others: int, noun: str) -> str:
    """How many others can be told apart from the first: `none of the other 4 trials can`."""
    if num_others == 1:
        return f"the other {noun} {'cannot' if num_tied else 'can'}"
    others = f"of the other {num_others:,} {noun}s"
    if num_tied == num_others:
        return f"none {others} can"
    return f"{num_tied:,} {others} cannot" if num_tied else f"each {others} can"


# ---------------------------------------------------------------- lines of a terminal


def params_words(params: Mapping[str, Scalar]) -> str:
    """A configuration in one line."""
    return " ".join(f"{name}={number_words(value)}" for name, value in params.items())


def printable(text: str) -> str:
    """A text that a terminal cannot obey; line ends and tabs stay.

    Names and reasons may come from an untrusted store: control characters and invisible ones become
    Python's escapes.
    """
    return "".join(c if c.isprintable() or c in "\n\t\u00a0" else ascii(c)[1:-1] for c in text)


def columns(rows: list[list[str]]) -> list[str]:
    """Left-aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
