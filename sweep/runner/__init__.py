"""Joins study, execution and store. No maths, no printing."""

from sweep.runner.events import EpochFinished, Event, StudyOpened, TrialFinished, TrialStarted
from sweep.runner.sweeps import resume, run

__all__ = [
    "EpochFinished",
    "Event",
    "StudyOpened",
    "TrialFinished",
    "TrialStarted",
    "resume",
    "run",
]
