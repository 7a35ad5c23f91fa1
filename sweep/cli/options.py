"""The options that several commands share."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from sweep.runner.options import DEFAULTS
from sweep.words import storage_words

__all__ = [
    "confirm_options",
    "data_dir_option",
    "given",
    "same_places",
    "storage_option",
    "work_options",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_AS_BEFORE = "If unset, as the study has it; auto for a new one."


def _parse_duration(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> float | None:
    """Seconds from 90, 90s, 30m or 1h30m."""
    if text is None:
        return None
    from sweep.space import parse_duration

    try:
        return float(parse_duration(f"{text}s" if text[-1:].isdigit() else text))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _parse_count(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> int | str | None:
    """A number, or `auto`."""
    if text is None or text == "auto":
        return text
    count: int = click.INT(text, parameter, context)
    return count


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given or have a default; the library knows what the others mean."""
    return {name: value for name, value in options.items() if value is not None}


def storage_option(command: _Command) -> _Command:
    """Where studies are."""
    return click.option(
        "--storage",
        metavar="URL",
        default=DEFAULTS["storage"],
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
        default=f"{DEFAULTS['checkpoint_every']:g}s",
        show_default=True,
        help="How often trials under way are saved.",
    )(command)


def _limit_options(command: _Command) -> _Command:
    """How far a study goes, and what is kept of it."""
    options = (
        click.option(
            "--trials",
            type=int,
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
            type=int,
            help="Failed trials that the study may have, in place of the budget's number.",
        ),
        _checkpoint_option,
        click.option(
            "--keep-weights",
            type=int,
            help="Keep the weights of so many trials, the best; 10, or as before, if unset.",
        ),
    )
    return _add_options(command, options)


def _worker_options(command: _Command) -> _Command:
    """Where and how trials are trained. The study remembers most of it."""
    options = (
        click.option(
            "--workers",
            metavar="N|auto",
            callback=_parse_count,
            help=f"Worker processes. auto: one per core, or one per GPU. {_AS_BEFORE}",
        ),
        click.option(
            "--threads",
            metavar="N|auto",
            callback=_parse_count,
            help=f"CPU threads of each worker. auto: its share of the cores. {_AS_BEFORE}",
        ),
        click.option(
            "--device",
            default=DEFAULTS["device"],
            show_default=True,
            help="auto, cpu, cuda, or some GPUs: cuda:0,1.",
        ),
        data_dir_option,
        click.option(
            "--engine",
            help=f"How trials are trained: sequential, stacked or auto. {_AS_BEFORE}",
        ),
        click.option(
            "--precision",
            help="Of matrix products: float32, bfloat16, or auto: the latter where it is fast. "
            f"{_AS_BEFORE}",
        ),
        click.option(
            "--lanes",
            metavar="N|auto",
            callback=_parse_count,
            help=f"Trials that a worker trains at once. auto: as many as pay. {_AS_BEFORE}",
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
            type=int,
            help="Confirm so many configurations, the best; if unset, as it was begun, or 5.",
        ),
        click.option(
            "--seeds",
            type=int,
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
