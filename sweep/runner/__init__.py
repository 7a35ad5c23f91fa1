"""Joins study, execution and store. No maths, no printing."""

from sweep.runner.confirmation import train_confirmation
from sweep.runner.events import (
    EpochFinished,
    Event,
    Notice,
    StudyOpened,
    TrialFinished,
    TrialResumed,
    TrialStarted,
)
from sweep.runner.reproduction import Reproduction, reproduce
from sweep.runner.sweeps import resume, run

__all__ = [
    "EpochFinished",
    "Event",
    "Notice",
    "Reproduction",
    "StudyOpened",
    "TrialFinished",
    "TrialResumed",
    "TrialStarted",
    "reproduce",
    "resume",
    "run",
    "train_confirmation",
]
