"""Joins study, execution and store. No maths, no printing.

Importing this package is cheap, because the command line needs the defaults of `options` to show
its help; the functions import what they need when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep.runner.confirmation import train_confirmation
    from sweep.runner.options import PlaceOptions, StudyOptions, WorkOptions
    from sweep.runner.reproduction import Reproduction, reproduce
    from sweep.runner.sweeps import resume, run

__all__ = [
    "PlaceOptions",
    "Reproduction",
    "StudyOptions",
    "WorkOptions",
    "reproduce",
    "resume",
    "run",
    "train_confirmation",
]

_HOMES = {
    "confirmation": ("train_confirmation",),
    "options": ("PlaceOptions", "StudyOptions", "WorkOptions"),
    "reproduction": ("Reproduction", "reproduce"),
    "sweeps": ("resume", "run"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"sweep.runner.{home}"), name)
    raise AttributeError(f"module 'sweep.runner' has no attribute {name!r}")
