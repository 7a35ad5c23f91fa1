"""Hyperparameter sweeps for small networks.

`load_space` reads a search space, `check` describes its data and cost, `run` and `resume` search
it, `load_study` reads a study, `report` writes the results, `reproduce` trains a trial again,
`confirm` the best configurations on fresh seeds; `predict` uses the chosen network, and `export`
writes it for use elsewhere. `StudyOptions`, `WorkOptions` and `PlaceOptions` document shared
options; the option `on_event` is called with a `StudyOpened`, `WorkersChanged`, `TrialStarted`,
`Copied`, `Resumed`, `Epoch`, `Paused`, `TrialOutcome` or `Notice`.

Functions return values and print nothing, unless `progress=True` is given. Importing this package
imports neither torch nor matplotlib: each function imports what it needs when it is called.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep.display import confirm, resume, run
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
        UnknownOptionError,
    )
    from sweep.estimate import Check, check
    from sweep.evaluation import Export, Prediction, export, predict
    from sweep.provenance import __version__ as __version__
    from sweep.records import (
        Copied,
        Epoch,
        Notice,
        Paused,
        Resumed,
        StudyOpened,
        StudyRecord,
        TrialOutcome,
        TrialRecord,
        TrialStarted,
        WorkersChanged,
    )
    from sweep.reporting import Report, report
    from sweep.reporting.candidates import Confirmation
    from sweep.runner.deletion import delete
    from sweep.runner.options import PlaceOptions, StudyOptions, WorkOptions
    from sweep.runner.reproduction import Reproduction, reproduce
    from sweep.runner.sweeps import load_study
    from sweep.space import SearchSpace, load_space

__all__ = [
    "Check",
    "Confirmation",
    "Copied",
    "DataError",
    "DeviceError",
    "Epoch",
    "Export",
    "InputError",
    "Interrupted",
    "Notice",
    "Paused",
    "PlaceOptions",
    "Prediction",
    "Report",
    "Reproduction",
    "Resumed",
    "SearchSpace",
    "SearchSpaceError",
    "StoreError",
    "StudyLockedError",
    "StudyOpened",
    "StudyOptions",
    "StudyRecord",
    "SweepError",
    "SweepFailedError",
    "TrialOutcome",
    "TrialRecord",
    "TrialStarted",
    "UnknownOptionError",
    "WorkOptions",
    "WorkersChanged",
    "check",
    "confirm",
    "delete",
    "export",
    "load_space",
    "load_study",
    "predict",
    "report",
    "reproduce",
    "resume",
    "run",
]

_HOMES = {
    "sweep.display": ("confirm", "resume", "run"),
    "sweep.estimate": ("Check", "check"),
    "sweep.evaluation": ("Export", "Prediction", "export", "predict"),
    "sweep.provenance": ("__version__",),
    "sweep.records": (
        "Copied",
        "Epoch",
        "Notice",
        "Paused",
        "Resumed",
        "StudyOpened",
        "StudyRecord",
        "TrialOutcome",
        "TrialRecord",
        "TrialStarted",
        "WorkersChanged",
    ),
    "sweep.reporting": ("Report", "report"),
    "sweep.reporting.candidates": ("Confirmation",),
    "sweep.runner.deletion": ("delete",),
    "sweep.runner.options": ("PlaceOptions", "StudyOptions", "WorkOptions"),
    "sweep.runner.reproduction": ("Reproduction", "reproduce"),
    "sweep.runner.sweeps": ("load_study",),
    "sweep.space": ("SearchSpace", "load_space"),
}


def __getattr__(name: str) -> Any:
    homes = [home for home, names in _HOMES.items() if name in names]
    if not homes and name not in __all__:
        raise AttributeError(f"module 'sweep' has no attribute {name!r}")
    return getattr(import_module(homes[0] if homes else "sweep.errors"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
