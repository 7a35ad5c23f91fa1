"""Hyperparameter sweeps for small networks.

`load_space` reads a search space, `run` and `resume` search it, `report` writes the results,
`reproduce` trains a trial again, `confirm` the best configurations on fresh seeds; `predict` uses
the chosen network. `StudyOptions`, `WorkOptions` and `PlaceOptions` document shared options.

Functions return values and print nothing. Importing this package imports neither torch nor
matplotlib: each function imports what it needs when it is called.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep.errors import (
        DataError,
        DeviceError,
        InputError,
        Interrupted,
        SearchSpaceError,
        StoreError,
        StudyLockedError,
        SweepError,
        SweepFailedError,
    )
    from sweep.evaluation import Prediction, predict
    from sweep.fresh_seeds import confirm
    from sweep.records import StudyRecord, TrialRecord
    from sweep.reporting import Report, report
    from sweep.reporting.candidates import Confirmation
    from sweep.runner.options import PlaceOptions, StudyOptions, WorkOptions
    from sweep.runner.reproduction import Reproduction, reproduce
    from sweep.runner.sweeps import resume, run
    from sweep.space import SearchSpace, load_space
    from sweep.store import delete

__all__ = [
    "Confirmation",
    "DataError",
    "DeviceError",
    "InputError",
    "Interrupted",
    "PlaceOptions",
    "Prediction",
    "Report",
    "Reproduction",
    "SearchSpace",
    "SearchSpaceError",
    "StoreError",
    "StudyLockedError",
    "StudyOptions",
    "StudyRecord",
    "SweepError",
    "SweepFailedError",
    "TrialRecord",
    "WorkOptions",
    "confirm",
    "delete",
    "load_space",
    "predict",
    "report",
    "reproduce",
    "resume",
    "run",
]

_HOMES = {
    "sweep.evaluation": ("Prediction", "predict"),
    "sweep.fresh_seeds": ("confirm",),
    "sweep.records": ("StudyRecord", "TrialRecord"),
    "sweep.reporting": ("Report", "report"),
    "sweep.reporting.candidates": ("Confirmation",),
    "sweep.runner.options": ("PlaceOptions", "StudyOptions", "WorkOptions"),
    "sweep.runner.reproduction": ("Reproduction", "reproduce"),
    "sweep.runner.sweeps": ("resume", "run"),
    "sweep.space": ("SearchSpace", "load_space"),
    "sweep.store": ("delete",),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'sweep' has no attribute {name!r}")
    homes = [home for home, names in _HOMES.items() if name in names]
    return getattr(import_module(homes[0] if homes else "sweep.errors"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
