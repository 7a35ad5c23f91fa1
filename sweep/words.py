"""What the command line and the report say alike. Imports the standard library only."""

from __future__ import annotations

import shlex

__all__ = [
    "DEFAULT_STORAGE",
    "command_words",
    "duration",
    "number_words",
    "storage_words",
    "tie_words",
]

DEFAULT_STORAGE = "sqlite:///studies.db"
"""The store of a command that names none."""


def storage_words(storage: str) -> str:
    """The option with which a command finds a store; empty for the default."""
    return "" if storage == DEFAULT_STORAGE else f" --storage {shlex.quote(storage)}"


def command_words(command: str, study: str, storage: str) -> str:
    """A command on a study that can be typed as it stands: `sweep resume mine --storage URL`.

    Args:
        command: Its name, as `resume`.
        study: Name of the study.
        storage: Where the study is, as the store was opened.
    """
    return f"sweep {command} {shlex.quote(study)}{storage_words(storage)}"


def duration(seconds: float) -> str:
    """Seconds as people say them: `4.2 s`, `3 min 5 s`, `2 h 10 min`."""
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


def tie_words(num_tied: int, num_others: int, noun: str) -> str:
    """How many others can, or cannot, be told from the first: `none of the other 4 trials can`."""
    if num_others == 1:
        return f"the other {noun} {'cannot' if num_tied else 'can'}"
    others = f"of the other {num_others:,} {noun}s"
    if num_tied == num_others:
        return f"none {others} can"
    return f"{num_tied:,} {others} cannot" if num_tied else f"each {others} can"


def number_words(value: float | str) -> str:
    """A hyperparameter's value in at most four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
