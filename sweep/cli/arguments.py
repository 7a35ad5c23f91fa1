"""The options that several commands share."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from sweep.cli.completion import complete_study
from sweep.runner.options import DEFAULTS
from sweep.words import parse_duration, storage_words

__all__ = [
    "cluster_words",
    "confirm_options",
    "data_dir_option",
    "given",
    "json_option",
    "model_option",
    "same_places",
    "space_argument",
    "storage_option",
    "study_argument",
    "trial_number",
    "work_options",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_AS_BEFORE = "If unset, as recorded with the study; auto for a new one."


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given or have a default; the library completes the others."""
    return {name: value for name, value in options.items() if value is not None}


def same_places(storage: str, data_dir: Path | None, model: str | None = None) -> str:
    """The options with which the next command finds the same store, data and network."""
    data = "" if data_dir is None else f" --data-dir {shlex.quote(str(data_dir))}"
    network = "" if model is None else f" --model {shlex.quote(model)}"
    return storage_words(storage) + data + network


def cluster_words(options: dict[str, Any]) -> str:
    """The options with which the next command finds the same workers on a cluster."""
    if options["executor"] == "processes":
        return ""
    values = (("--ray-address", "ray_address"), ("--worker-resources", "worker_resources"))
    given = [f" {name} {shlex.quote(options[key])}" for name, key in values if options[key]]
    return " --executor ray" + "".join(given)


def _parse_duration(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> float | None:
    """Seconds from 90s, 30m or 1h30m."""
    if text is None:
        return None
    try:
        return parse_duration(text)
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


_duration_option = partial(click.option, metavar="DURATION", callback=_parse_duration)
_count_option = partial(click.option, metavar="N|auto", callback=_parse_count)


def _together(*options: Callable[[Any], Any]) -> Callable[[_Command], _Command]:
    """Options in the order in which the help shows them."""

    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


space_argument = click.argument("space", metavar="SPACE.yaml", type=click.Path(path_type=Path))
study_argument = click.argument("study", shell_complete=complete_study)
trial_number = click.IntRange(min=0)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
storage_option = click.option(
    "--storage",
    metavar="URL",
    default=DEFAULTS["storage"],
    show_default=True,
    help="The store: sqlite:/// and a path.",
)
data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Folder of local data sets; $SWEEP_DATA_DIR, then data/, if unset.",
)
_MODEL = (
    "A network of your own: a Python file and its function, or build. A search takes it if the "
    "file names no model, and its study needs it each time."
)
model_option = click.option("--model", metavar="FILE.py[:NAME]", help=_MODEL)
_trial_time_limit = _duration_option(
    "--trial-time-limit",
    help="A trial that takes longer (90s, 30m, 1h30m; a number alone counts seconds) fails, in "
    "place of the budget's limit.",
)
_checkpoint_every = _duration_option(
    "--checkpoint-every",
    help="How often trials under way are saved (10s, 5m; a number alone counts seconds).",
    default=f"{DEFAULTS['checkpoint_every']:g}s",
    show_default=True,
)
_places = _together(
    _count_option(
        "--workers", help=f"Worker processes. auto: one per core, or one per GPU. {_AS_BEFORE}"
    ),
    _count_option(
        "--threads", help=f"CPU threads of each worker. auto: its share of the cores. {_AS_BEFORE}"
    ),
    click.option(
        "--device",
        default=DEFAULTS["device"],
        show_default=True,
        help="auto, cpu, cuda, or some GPUs: cuda:0,1.",
    ),
    data_dir_option,
    model_option,
    click.option(
        "--engine", help=f"How trials are trained: sequential, stacked or auto. {_AS_BEFORE}"
    ),
    click.option(
        "--precision",
        help="Of matrix products: float32, bfloat16, float16, or auto: the one that is measured to "
        f"be the fastest here. {_AS_BEFORE}",
    ),
    _count_option(
        "--lanes", help=f"Trials that a worker trains at once. auto: as many as pay. {_AS_BEFORE}"
    ),
    click.option(
        "--executor",
        type=click.Choice(["processes", "ray"]),
        default=DEFAULTS["executor"],
        show_default=True,
        help="Where workers run: on this machine, or on a Ray cluster.",
    ),
    click.option(
        "--ray-address",
        metavar="HOST:PORT",
        help="The Ray cluster; $RAY_ADDRESS, then the one that runs on this machine, if unset.",
    ),
    click.option(
        "--worker-resources",
        metavar="NAME=N,…",
        help="What each worker takes of the cluster: CPU=2, or GPU=1,CPU=4. CPU=1, or GPU=1,CPU=1 "
        "where there are GPUs, if unset.",
    ),
    storage_option,
)

work_options = _together(
    click.option(
        "--trials", type=int, help="The study's total number of trials, in place of the budget's."
    ),
    _duration_option(
        "--timeout",
        help="Start no new trial after this long (90s, 30m, 1h30m; a number alone counts seconds), "
        "in this command only.",
    ),
    _trial_time_limit,
    click.option(
        "--max-failures",
        type=int,
        help="Number of failed trials that the study may have, in place of the budget's.",
    ),
    _checkpoint_every,
    click.option(
        "--keep-weights",
        type=int,
        help="Number of best trials whose weights are kept; 10, or as before, if unset.",
    ),
    _places,
)
"""Options of `run` and `resume`."""

confirm_options = _together(
    click.option(
        "--top",
        type=int,
        help="Number of best configurations to confirm; if unset, as begun, or 5 (of a front, 10).",
    ),
    click.option(
        "--front",
        is_flag=True,
        help="Confirm the front against size: the trials that no other beats or equals with no "
        "more parameters.",
    ),
    click.option(
        "--seeds",
        type=int,
        help="Runs of each configuration, each on another seed; if unset, as begun, or 5.",
    ),
    _trial_time_limit,
    _checkpoint_every,
    _places,
)
"""Options of `confirm`."""
