"""The options of `run`, `resume`, `confirm` and `reproduce`: documentation, defaults, rules.

Importing this module is cheap: the command line shows these defaults in its help. What an option
or another argument may be is a rule of `sweep.runner.argument_rules`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, cast

from sweep.errors import InputError, UnknownOptionError
from sweep.nesting import loading_network
from sweep.runner.argument_rules import read_argument
from sweep.words import DEFAULT_STORAGE, did_you_mean

if TYPE_CHECKING:
    from sweep.execution import Launcher
    from sweep.records import Event

__all__ = [
    "DEFAULTS",
    "PlaceOptions",
    "StudyOptions",
    "WorkOptions",
    "complete_options",
]

Count = int | Literal["auto"] | None
_Network = str | os.PathLike[str] | Callable[..., Any]
Network = _Network | Sequence[_Network]
Duration = float | str | timedelta


class PlaceOptions(TypedDict, total=False):
    """Where studies, data and workers are. `sweep.reproduce` takes these options.

    Keys:
        storage: `sqlite:///` and a path, or a `Path`. Default: `sqlite:///studies.db`.
        device: `auto` (all GPUs, or the CPU where there is none), `cpu`, `cuda` or `cuda:0,1`.
            Default: `auto`; for `reproduce`, the kind of device that trained the trial if there
            is one.
        data_dir: Folder of local data sets. Default: `$SWEEP_DATA_DIR`, or `data/`.
        model: A network of your own, for a space that names no model: `FILE.py` or `FILE.py:NAME`,
            or the function itself, `def build(input_shape, num_classes, *, width: int = 128) ->
            nn.Module`. Its keyword arguments are its hyperparameters. A study that was made with
            one needs the same source each time that it is built. Default: the space's model.
        executor: `processes`, on this machine; `ray`, on a Ray cluster; `inline`, which trains in
            this very process, for debuggers; or a function that makes a
            `sweep.execution.Launcher`. Default: `processes`.
        on_event: Called with everything that happens, in the thread that called the function: a
            `StudyOpened`, `WorkersChanged`, `TrialStarted`, `Copied`, `Resumed`, `Epoch`, `Paused`,
            `TrialOutcome` or `Notice`. What it raises ends the work and is raised by the function.
            Default: nothing.
        stop: Asked several times a second; True ends the work between two writes, and the function
            raises `sweep.Interrupted`. Default: never. What it raises is raised by the function.
    """

    storage: str | os.PathLike[str]
    device: str
    data_dir: str | os.PathLike[str] | None
    model: Network | None
    executor: str | Callable[[], Launcher]
    on_event: Callable[[Event], None]
    stop: Callable[[], bool]


class WorkOptions(PlaceOptions, total=False):
    """How trials are trained. `sweep.confirm` takes these options and those of `PlaceOptions`.

    `workers`, `threads`, `engine`, `precision` and `lanes` are recorded with the study. Their
    default is what is recorded (a confirmation starts from what its search has), or `auto` for a
    new study. The result of `auto` is recorded, too, so that a study continues as it began.

    Keys:
        workers: Number of worker processes. `auto`: one per core, or one per two cores if two
            threads were measured to be faster; one per GPU. On a cluster, the most; `auto`: as
            many as it has room for, now and later.
        threads: CPU threads of each worker. `auto`: the worker's share of the cores.
        engine: `sequential` (the plain reference), `stacked`, or `auto`: stacked.
        precision: Number format of matrix products: `float32`, `bfloat16`, `float16` (with
            loss scaling), or `auto`: the one that was measured to be the fastest on this machine.
        lanes: Number of trials that a worker trains at once. `auto`: as many as were measured to
            pay, given the size of the networks and the number of trials.
        checkpoint_every: Time between two checkpoints of a trial: seconds, text such as `30m`, or a
            `timedelta`. Default: 10 seconds: less than a trial takes, and much more than a
            checkpoint costs.
        trial_time_limit: Time that a trial may take. Default: the limit of the search space's
            budget.
        ray_address: `HOST:PORT` of the Ray cluster, which this machine has joined. Default:
            `$RAY_ADDRESS`, or the cluster that runs on this machine.
        worker_resources: What each worker takes of the cluster, by Ray's names, as a mapping or as
            text: `CPU=2` or `GPU=1,CPU=4`. Default: `CPU=1`, or `GPU=1,CPU=1` where there are GPUs.
        progress: Whether to show on standard error what the command line shows. Default: False.
    """

    workers: Count
    threads: Count
    engine: str | None
    precision: str | None
    lanes: Count
    checkpoint_every: Duration
    trial_time_limit: Duration | None
    ray_address: str | None
    worker_resources: str | Mapping[str, float] | None
    progress: bool


class StudyOptions(WorkOptions, total=False):
    """How far a study goes. `sweep.run` and `sweep.resume` take these options and `WorkOptions`.

    Keys:
        trials: Total number of trials of the study. Default: that of the budget; for `resume`, the
            total so far.
        timeout: Time after which no new trial starts, for this call only. Default: the limit of the
            budget.
        max_failures: Number of failed trials that the study may have. Default: that of the budget.
        keep_weights: Number of best trials whose weights are kept. Default: as before; 10 for a
            new study.
    """

    trials: int | None
    timeout: Duration | None
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
        "progress": False,
    },
)

_Options = TypeVar("_Options", bound=PlaceOptions)


def complete_options(function: str, kind: type[_Options], given: _Options) -> _Options:
    """The options given to a function that takes this kind, as read, and the others' defaults.

    Raises:
        UnknownOptionError: the function does not take one of them.
        InputError: one of them is not what its rule asks for.
    """
    if loading_network.get():
        raise InputError(
            f"{function}() was called while the file of a network was being loaded: put what "
            'starts a sweep under `if __name__ == "__main__":`'
        )
    for name in given:
        if name not in kind.__annotations__:
            hint = did_you_mean(name, kind.__annotations__)
            raise UnknownOptionError(
                f"{function}() got an unexpected keyword argument {name!r}{hint}"
            )
    defaults: Mapping[str, Any] = DEFAULTS
    whole = {name: defaults[name] for name in kind.__annotations__} | {**given}
    for name, value in whole.items():
        if value is not None or defaults[name] is not None:
            whole[name] = read_argument(name, value)
    return cast(_Options, whole)
