"""The options that several commands share."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from sweep.words import DEFAULT_STORAGE, storage_words

__all__ = [
    "confirm_options",
    "data_dir_option",
    "same_places",
    "storage_option",
    "work_options",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _parse_duration(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> float | None:
    """Seconds from 90, 90s, 30m or 1h30m."""
    if text is None:
        return None
    from pydantic_core import PydanticCustomError

    from sweep.space import parse_duration

    try:
        seconds = float(parse_duration(f"{text}s" if text[-1:].isdigit() else text))
    except PydanticCustomError as error:
        raise click.BadParameter(error.message()) from None
    if seconds <= 0:
        raise click.BadParameter(f"must be above 0; found {text!r}")
    return seconds


def storage_option(command: _Command) -> _Command:
    """Where studies are."""
    return click.option(
        "--storage",
        metavar="URL",
        default=DEFAULT_STORAGE,
        show_default=True,
        help="The store: sqlite:/// and a path.",
    )(command)


def _add_options(command: _Command, options: Sequence[Callable[[_Command], _Command]]) -> _Command:
    """Give a command options that are shown in this order."""
    for option in reversed(options):
        command = option(command)
    return command


def _trial_time_limit_option(command: _Command) -> _Command:
    return click.option(
        "--trial-time-limit",
        metavar="DURATION",
        callback=_parse_duration,
        help="A trial that takes longer fails, in place of the budget's limit.",
    )(command)


def _checkpoint_option(command: _Command) -> _Command:
    return click.option(
        "--checkpoint-every",
        metavar="DURATION",
        callback=_parse_duration,
        default="10s",
        show_default=True,
        help="How often trials under way are saved.",
    )(command)


def _limit_options(command: _Command) -> _Command:
    """How far a study goes, and what is kept of it."""
    options = (
        click.option(
            "--trials",
            type=click.IntRange(min=1),
            help="The study's total number of trials, in place of the budget's.",
        ),
        click.option(
            "--timeout",
            metavar="DURATION",
            callback=_parse_duration,
            help="Start no new trial after this long (90s, 30m, 1h30m), in this command only.",
        ),
        _trial_time_limit_option,
        click.option(
            "--max-failures",
            type=click.IntRange(min=0),
            help="Failed trials that the study may have, in place of the budget's number.",
        ),
        _checkpoint_option,
        click.option(
            "--keep-weights",
            type=click.IntRange(min=1),
            help="Keep the weights of so many trials, the best; 10, or as before, if unset.",
        ),
    )
    return _add_options(command, options)


def _worker_options(command: _Command) -> _Command:
    """Where and how trials are trained."""
    options = (
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            help="Worker processes; one per core on the CPU, one per GPU if unset.",
        ),
        click.option(
            "--device",
            default="auto",
            show_default=True,
            help="auto, cpu, cuda, or some GPUs: cuda:0,1.",
        ),
        data_dir_option,
        click.option(
            "--engine",
            default="auto",
            show_default=True,
            help="How trials are trained: auto, sequential or stacked.",
        ),
        click.option(
            "--precision",
            default="auto",
            show_default=True,
            help="Of matrix products: float32, bfloat16, or auto: the latter where it is fast.",
        ),
        click.option(
            "--lanes",
            type=click.IntRange(min=1),
            help="Trials that a worker trains at once; chosen by their size if unset.",
        ),
    )
    return _add_options(command, options)


def work_options(command: _Command) -> _Command:
    """The options that `run` and `resume` share."""
    return _add_options(command, (_limit_options, _worker_options, storage_option))


def confirm_options(command: _Command) -> _Command:
    """What is confirmed, and how its runs are trained."""
    options = (
        click.option(
            "--top",
            type=click.IntRange(min=1),
            help="Confirm so many configurations, the best; if unset, as it was begun, or 5.",
        ),
        click.option(
            "--seeds",
            type=click.IntRange(min=1),
            help="Train each of them so often, each time with another seed; if unset, as it was "
            "begun, or 5.",
        ),
        _trial_time_limit_option,
        _checkpoint_option,
        _worker_options,
        storage_option,
    )
    return _add_options(command, options)


def data_dir_option(command: _Command) -> _Command:
    """Where data sets are."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path),
        help="Folder of local data sets; $SWEEP_DATA_DIR, then data/, if unset.",
    )(command)


def same_places(storage: str, data_dir: Path | None) -> str:
    """The options that a next command needs to find the same store and data."""
    data = "" if data_dir is None else f" --data-dir {shlex.quote(str(data_dir))}"
    return storage_words(storage) + data
