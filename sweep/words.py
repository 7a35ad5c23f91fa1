"""Wording of commands, quantities and configurations, on the terminal and on the page alike.

Imports the standard library, `sweep.definitions` and `sweep.records` only.
"""

from __future__ import annotations

import difflib
import math
import numbers
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from sweep.definitions import Scalar, is_share
from sweep.records import (
    Calibration,
    Copied,
    DataSpec,
    Limits,
    StudyRecord,
    StudyState,
    short_number,
)

__all__ = [
    "DEFAULT_STORAGE",
    "calibration_words",
    "capital",
    "command_words",
    "confidence_words",
    "copies_words",
    "copy_words",
    "count_words",
    "counted",
    "data_words",
    "did_you_mean",
    "difference_interval_words",
    "difference_words",
    "duration",
    "equal_words",
    "foreign_words",
    "fraction_words",
    "interval_words",
    "level_words",
    "limits_words",
    "metric_words",
    "number_words",
    "p_value_words",
    "params_words",
    "parse_duration",
    "percent",
    "percent_interval",
    "percent_or_number",
    "printable",
    "rope_words",
    "short_value_words",
    "starting_words",
    "state_words",
    "storage_words",
    "tie_words",
    "unequal_epochs_words",
    "unvalidated_words",
]

DEFAULT_STORAGE = "sqlite:///studies.db"
"""The store of a command that names none."""

_NOTHING = "–"
_SHOWN = 10
_MAX_DAYS = 366
_ENDINGS = {
    "timeout": "by its timeout",
    "epochs": "by its budget of epochs",
    "target": "by its target",
    "plateau": "at a plateau",
    "copies": "with nothing new to try",
}
_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_DURATION = re.compile(rf"(?:{_NUMBER} *h)? *(?:{_NUMBER} *m)? *(?:{_NUMBER} *s)?")


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


def data_words(spec: DataSpec, num_columns: int | None = None) -> str:
    """Their form: `grey images of 28 x 28`, `rows of 4 columns, encoded as 9 numbers`.

    `num_columns` is a table's, before they are encoded.
    """
    if spec.kind == "image" and len(spec.input_shape) == 3:  # a stranger's may be another
        channels, height, width = spec.input_shape
        return f"{'grey' if channels == 1 else 'colour'} images of {height} x {width}"
    numbers = counted(spec.num_inputs, "number")
    if num_columns is None or num_columns == spec.num_inputs:
        return f"rows of {numbers}"
    return f"rows of {counted(num_columns, 'column')}, encoded as {numbers}"


def foreign_words(trials: Sequence[int]) -> str:
    """That some trials are another program's, of which there is at least one."""
    if len(trials) == 1:
        return f"trial {trials[0]} was not made by sweep: it is left out"
    shown = ", ".join(map(str, trials[:_SHOWN])) + (", …" if len(trials) > _SHOWN else "")
    return f"{len(trials):,} trials were not made by sweep: they are left out ({shown})"


def copies_words(number: int) -> str:
    """`1 copy`, `2 copies`."""
    return f"{number:,} {'copy' if number == 1 else 'copies'}"


def copy_words(event: Copied) -> str:
    """That a trial is not trained: it would repeat another."""
    return (
        f"trial {event.trial} is the same configuration as trial {event.original}: not trained "
        "again"
    )


def state_words(study: StudyRecord) -> str:
    """A study's state: `finished by its timeout`."""
    if study.state is not StudyState.FINISHED:
        return str(study.state)
    return f"{study.state} {_ENDINGS.get(study.finished_by or '', '')}".rstrip()


def limits_words(limits: Limits, metric: str) -> list[str]:
    """The limits of a budget besides the number of trials: `800 epochs`."""
    found = []
    if limits.epochs is not None:
        found.append(counted(limits.epochs, "epoch"))
    if limits.target is not None:
        found.append(f"a {metric_words(metric)} of {percent_or_number(metric, limits.target)}")
    if limits.plateau is not None:
        found.append(f"{counted(limits.plateau, 'epoch')} without improvement")
    return found


def count_words(number: int | None) -> str:
    """`12,345`."""
    return _NOTHING if number is None else f"{number:,}"


def number_words(value: Scalar | None) -> str:
    """A hyperparameter's value in four significant digits, or as many as tell it from 1."""
    if value is None:
        return _NOTHING
    return short_number(value) if isinstance(value, float) else str(value)


def fraction_words(part: float, whole: float) -> str:
    """How much of a whole a part is: `about 1/8`, `62%`."""
    return f"about 1/{whole / part:,.0f}" if whole >= 2.5 * part else percent(part / whole, 0)


def calibration_words(found: Calibration) -> str:
    """What a machine was measured to do: a step in each precision, of a stack and of one trial."""
    alone = [each for each in found.timings if each.lanes == each.threads == 1]
    sizes = sorted({timing.step_flops for timing in alone})
    times = {(each.precision, each.step_flops): f"{each.seconds * 1000:.3g}" for each in alone}
    steps = "; ".join(
        f"{name} {', '.join(times.get((name, size), _NOTHING) for size in sizes)} ms"
        for name in dict.fromkeys(each.precision for each in alone)
    )
    mixed = [each for each in found.mixed if each.threads == 1]
    stacks = ", ".join(f"{each.precision} {each.seconds * 1000:.3g} ms" for each in mixed)
    stack = f"a step of {mixed[0].lanes} trials together takes in {stacks}; " if mixed else ""
    networks = ", ".join(f"{size / 1e6:,.3g}" for size in sizes)
    return (
        f"measured in {duration(found.seconds)} on {found.hardware} with PyTorch {found.torch}: "
        f"{stack}a step of one trial, of networks of {networks} MFLOP, takes in {steps}"
    )


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


def parse_duration(value: Any) -> float:
    """Seconds from `90s`, `30m`, `1.5h`, `1h30m`, or a number, which counts seconds.

    Raises `ValueError` for anything else, and for what is not above 0 or is over a year.
    """
    seconds = _seconds(value)
    found = f"a value of type {type(value).__name__}"
    if isinstance(value, str) or seconds is not None:
        # Python writes no whole number of more than 4,300 digits.
        found = repr(value if isinstance(value, str) else seconds)
    found = found if len(found) <= 60 else f"{found[:57]}..."
    if seconds is None or not math.isfinite(seconds):
        raise ValueError(
            f"must be a duration such as 90s, 30m or 1h30m; found {found} (a number alone counts "
            "seconds)"
        )
    if seconds <= 0:
        raise ValueError(f"must be above 0 seconds; found {found}")
    if seconds > _MAX_DAYS * 86400:
        raise ValueError(f"must be at most {_MAX_DAYS} days; found {found}")
    return seconds


def _seconds(value: Any) -> float | None:
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    if not isinstance(value, str):
        return None
    text = value.strip()
    if re.fullmatch(_NUMBER, text):
        return float(text)
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        return None
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


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


def difference_words(
    metric: str,
    difference: float | None,
    interval: Sequence[float] | None = None,
    level: float | None = None,
) -> str:
    """A difference of two values of a metric: `+0.51 points (95% interval −0.20 to +1.22)`."""
    if difference is None:
        return _NOTHING
    words = f"{_signed(metric, difference)}{' points' if is_share(metric) else ''}"
    if interval is None or level is None:
        return words
    return f"{words} ({level_words(level)} interval {difference_interval_words(metric, interval)})"


def difference_interval_words(metric: str, interval: Sequence[float] | None) -> str:
    """The ends of an interval of such a difference: `−0.20 to +1.22`."""
    return _NOTHING if interval is None else " to ".join(_signed(metric, end) for end in interval)


def rope_words(metric: str, rope: float) -> str:
    """The least difference that matters: `0.1 points`."""
    return f"{rope:g} {'points' if is_share(metric) else 'nats'}"


def level_words(level: float) -> str:
    """A confidence level: `95%`, `98.3%`; in as many digits as tell it from 100%."""
    texts = (f"{100 * level:.{digits}g}" for digits in range(3, 18))
    return next((text for text in texts if text != "100"), "100") + "%"


def _signed(metric: str, difference: float) -> str:
    text = f"{100 * difference:+z.2f}" if is_share(metric) else f"{difference:+z.4f}"
    return text.replace("-", "−")


def confidence_words(probability: float) -> str:
    """A probability, which is never quite one."""
    return "> 99.9%" if probability > 0.999 else percent(probability, 1)


def p_value_words(value: float | None) -> str:
    """A p-value in three decimals."""
    if value is None:
        return _NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def unequal_epochs_words(pruner: str, most: int) -> str:
    """What a pruner does to a search in which trials have different numbers of epochs."""
    return (
        f"epochs is searched, and the {pruner} pruner favours trials with few: they end before it "
        "judges them, or it compares the late epochs of their schedule with early ones of longer "
        f"trials; to compare equals, fix epochs at the most (epochs: {most}), or take pruner asha"
    )


def starting_words(first: int, origins: Sequence[str]) -> str:
    """Where the configurations of some trials come from, the first of them being number `first`."""
    words = []
    for origin, group in groupby(origins):
        last = first + len(list(group)) - 1
        between = "and" if last == first + 1 else "to"
        trials = f"trial {first}" if last == first else f"trials {first} {between} {last}"
        words.append(f"{trials} from {origin}")
        first = last + 1
    return ", ".join(words)


def unvalidated_words(every: int, least: int) -> str:
    """What it means for trials of `least` epochs that only every so many are validated."""
    return (
        f"trials may have as few as {counted(least, 'epoch')}, and every {every} are validated: "
        "some are validated only once, after their last, so that no earlier epoch can be the best "
        "one or end them; lower objective.every, or search more epochs"
    )


def tie_words(num_tied: int, num_others: int, noun: str) -> str:
    """How many others can be told apart from the first: `none of the other 4 trials can`."""
    if num_others == 1:
        return f"the other {noun} {'cannot' if num_tied else 'can'}"
    others = f"of the other {num_others:,} {noun}s"
    if num_tied == num_others:
        return f"none {others} can"
    return f"{num_tied:,} {others} cannot" if num_tied else f"each {others} can"


def equal_words(num_equal: int, metric: str, noun: str = "trial") -> str:
    """How many, more than one, share the best value, and which of them comes first."""
    by_loss = "" if metric == "validation_loss" else "lower validation loss, then "
    return (
        f"{counted(num_equal, noun)} share the best {metric_words(metric)}; they are ranked by "
        f"{by_loss}fewer parameters, then their order"
    )


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
