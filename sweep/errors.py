"""The exceptions of the package. Imports nothing.

A message says where, which rule, what was found and what to do next::

    SweepError                 everything that this package raises on purpose
    ├── InputError             bad input: nothing was created (exit code 2)
    │   ├── UnknownOptionError a function has no option of this name; a TypeError, too
    │   ├── SearchSpaceError   the YAML file breaks a rule; carries every problem found
    │   ├── DataError          the data set is missing, damaged or not the study's own
    │   ├── DeviceError        the device asked for is not there
    │   └── StoreError         the store or the study in it cannot be used
    │       ├── ForeignStudyError  another program or version made the study
    │       └── StudyLockedError   another driver holds the study
    ├── SweepFailedError       the work itself failed (exit code 1)
    ├── Interrupted            the caller or a signal ended the work, which can go on (130, 143)
    └── ContradictionError     records contradict each other; reported as a `StoreError`

"This trial failed" is not an exception but a value (`sweep.records.TrialOutcome`).
"""

from __future__ import annotations

__all__ = [
    "ContradictionError",
    "DataError",
    "DeviceError",
    "ForeignStudyError",
    "InputError",
    "Interrupted",
    "SearchSpaceError",
    "StoreError",
    "StudyLockedError",
    "SweepError",
    "SweepFailedError",
    "UnknownOptionError",
]


class SweepError(Exception):
    """Base of every exception that this package raises on purpose."""


class InputError(SweepError):
    """The request cannot be carried out; nothing was created."""


class UnknownOptionError(InputError, TypeError):
    """A function has no option of this name; a `TypeError`, as everywhere in Python."""


class SearchSpaceError(InputError):
    """A search space breaks rules; `problems` has a line for each, in file order."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class DataError(InputError):
    """The data set is missing, damaged, or not the one that the study was made with."""


class DeviceError(InputError):
    """The device asked for is not there."""


class StoreError(InputError):
    """The store, or the study in it, cannot be used."""


class ForeignStudyError(StoreError):
    """Another program or version made or copied the study, which is left out; it is no damage."""


class StudyLockedError(StoreError):
    """Another driver holds the study."""


class ContradictionError(SweepError, ValueError):
    """A check found that records of a study contradict each other.

    Any other error of a computation is a bug in the computation.
    """


class SweepFailedError(SweepError):
    """The work itself failed; what was finished is in the store."""


class Interrupted(SweepError):  # noqa: N818 - nothing went wrong
    """Ctrl-C or the caller's `stop` ended the work; the message says how to continue."""
