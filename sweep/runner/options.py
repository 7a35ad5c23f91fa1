"""The options of `run`, `resume`, `confirm` and `reproduce`: documentation, defaults, rules.

Importing this module is cheap: the command line shows these defaults in its help.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, cast

from sweep.errors import InputError
from sweep.training import ENGINE_NAMES, PRECISION_NAMES
from sweep.words import DEFAULT_STORAGE

if TYPE_CHECKING:
    from sweep.execution import Launcher
    from sweep.records import Message

__all__ = ["DEFAULTS", "PlaceOptions", "StudyOptions", "WorkOptions", "complete_options"]

Count = int | Literal["auto"] | None


class PlaceOptions(TypedDict, total=False):
    """Where studies, data and workers are. `sweep.reproduce` takes these options.

    Keys:
        storage: `sqlite:///` and a path. Default: `sqlite:///studies.db`.
        device: `auto` (all GPUs, or the CPU where there is none), `cpu`, `cuda` or `cuda:0,1`.
            Default: `auto`; for `reproduce`, the kind of device that trained the trial if there
            is one.
        data_dir: Folder of local data sets. Default: `$SWEEP_DATA_DIR`, or `data/`.
        executor: `processes`; `inline`, which trains in this very process, for debuggers; or a
            function that makes a `sweep.execution.Launcher`. Default: `processes`.
        on_event: Called in the driver with everything that happens. Default: nothing.
        stop: Asked several times a second; True ends the work between two writes, and the function
            raises `sweep.Interrupted`. Default: never. What `on_event` and `stop` raise ends the
            work, too, and comes out as it is; the study can be resumed.
    """

    storage: str
    device: str
    data_dir: str | os.PathLike[str] | None
    executor: str | Callable[[], Launcher]
    on_event: Callable[[Message], None]
    stop: Callable[[], bool]


class WorkOptions(PlaceOptions, total=False):
    """How trials are trained. `sweep.confirm` takes these options and those of `PlaceOptions`.

    `workers`, `threads`, `engine`, `precision` and `lanes` are recorded with the study. Their
    default is what is recorded (a confirmation starts from what its search has), or `auto` for a
    new study. The result of `auto` is recorded, too, so that a study continues as it began.

    Keys:
        workers: Number of worker processes. `auto`: one per core, or one per GPU.
        threads: CPU threads of each worker. `auto`: the worker's share of the cores.
        engine: `sequential` (the plain reference), `stacked`, or `auto`: stacked.
        precision: Number format of matrix products: `float32`, `bfloat16`, or `auto`: bfloat16
            where the hardware multiplies it.
        lanes: Number of trials that a worker trains at once. `auto`: as many as pay, given the
            size of the networks and the number of trials.
        checkpoint_every: Seconds between two checkpoints of a trial. Default: 10: less than a
            trial takes, and much more than a checkpoint costs.
        trial_time_limit: Seconds that a trial may take. Default: the limit of the search space's
            budget.
    """

    workers: Count
    threads: Count
    engine: str | None
    precision: str | None
    lanes: Count
    checkpoint_every: float
    trial_time_limit: float | None


class StudyOptions(WorkOptions, total=False):
    """How far a study goes. `sweep.run` and `sweep.resume` take these options and `WorkOptions`.

    Keys:
        trials: Total number of trials of the study. Default: that of the budget; for `resume`, the
            total so far.
        timeout: Seconds after which no new trial starts, for this call only. Default: the limit of
            the budget.
        max_failures: Number of failed trials that the study may have. Default: that of the budget.
        keep_weights: Number of best trials whose weights are kept. Default: as before; 10 for a
            new study.
    """

    trials: int | None
    timeout: float | None
    max_failures: int | None
    keep_weights: int | None


DEFAULTS = cast(
    StudyOptions,
    dict.fromkeys(StudyOptions.__annotations__)
    | {
        "storage": DEFAULT_STORAGE,
        "device": "auto",
        "executor": "processes",
        "on_event": lambda _: None,
        "stop": lambda: False,
        "checkpoint_every": 10.0,
    },
)

_Options = TypeVar("_Options", bound=PlaceOptions)

# The least value, and whether `auto` is allowed.
_COUNTS = {
    "workers": (1, True),
    "threads": (1, True),
    "lanes": (1, True),
    "trials": (1, False),
    "max_failures": (0, False),
    "keep_weights": (1, False),
}
_SECONDS = ("checkpoint_every", "trial_time_limit", "timeout")
_NAMES = {"engine": ("auto", *ENGINE_NAMES), "precision": PRECISION_NAMES}


def complete_options(function: str, kind: type[_Options], given: _Options) -> _Options:
    """The options given to a function that takes this kind, and the defaults of the others.

    `storage`, `device` and `executor` are checked where they are used.

    Raises:
        TypeError: the function does not take one of them.
        InputError: one of them breaks a rule.
    """
    for name in given:
        if name not in kind.__annotations__:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")
    defaults: Mapping[str, Any] = DEFAULTS
    whole = {name: defaults[name] for name in kind.__annotations__} | {**given}
    for name, value in whole.items():
        if value is not None or defaults[name] is not None:
            _check(name, value)
    return cast(_Options, whole)


def _check(name: str, value: Any) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in _COUNTS:
        least, may_be_auto = _COUNTS[name]
        if may_be_auto and value == "auto":
            return
        or_auto = " or auto" if may_be_auto else ""
        if not is_number or isinstance(value, float):
            raise InputError(f"{name} must be a whole number{or_auto}; found {value!r}")
        if value < least:
            raise InputError(f"{name} must be at least {least}{or_auto}; found {value}")
    if name in _SECONDS:
        if not is_number:
            raise InputError(f"{name} must be a number of seconds; found {value!r}")
        if not value > 0:
            raise InputError(f"{name} must be above 0 seconds; found {value}")
    if name in _NAMES and value not in _NAMES[name]:
        raise InputError(f"{name} must be one of {', '.join(_NAMES[name])}; found {value!r}")
