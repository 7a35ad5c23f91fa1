"""A study as a report sees it: the search, its space, and its confirmation if there is one."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sweep.errors import ContradictionError, StoreError, SweepError, SweepFailedError
from sweep.records import StudyRecord, TestReading, TrialRecord, chosen_run
from sweep.reporting.candidates import Confirmation, confirmation
from sweep.reporting.contradictions import require_sound
from sweep.space import SearchSpace
from sweep.store.diagnosis import one_line

__all__ = ["Network", "Reported", "reported", "understood"]


@dataclass(frozen=True, slots=True)
class Network:
    """The network to use: a trial of `study`, which is the search or its confirmation.

    `reading` is None while the test split is sealed.
    """

    study: str
    trial: TrialRecord
    reading: TestReading | None


@dataclass(frozen=True, slots=True)
class Reported:
    """A study as a report sees it.

    Attributes:
        record: The search.
        runs: The runs of its confirmation.
        confirmation: The candidates compared over these runs.
        chosen: The search's trial whose configuration to use, or None while none is COMPLETE: the
            winner of the confirmation, otherwise the best on validation data.
        network: The network trained with it.
    """

    record: StudyRecord
    space: SearchSpace
    runs: StudyRecord | None
    confirmation: Confirmation | None
    chosen: TrialRecord | None
    network: Network | None

    @property
    def is_confirmed(self) -> bool:
        """Whether `chosen` won a confirmation."""
        return self.confirmation is not None and self.confirmation.winner is not None

    @property
    def reading(self) -> TestReading | None:
        """The network's reading of the test split, or None."""
        return self.network.reading if self.network else None


def reported(
    record: StudyRecord, space: SearchSpace, runs: StudyRecord | None, rope: float | None = None
) -> Reported:
    """Check a study and its confirmation, and choose the network to use.

    `rope` is the least difference between configurations that matters.

    Raises:
        ContradictionError: the records of one of them contradict each other.
        StoreError: the study and its confirmation contradict each other.
    """
    for each in (record, runs):
        if each is not None:
            require_sound(each)
    found = confirmation(record, runs, rope)
    chosen, home, trial = record.best, record, record.best
    if runs is not None and found is not None and found.winner is not None:
        chosen, home, trial = record.trial(found.winner), runs, chosen_run(runs)
    network = Network(home.name, trial, home.test_reading(trial.number)) if trial else None
    return Reported(record, space, runs, found, chosen, network)


@contextmanager
def understood(*names: str) -> Iterator[None]:
    """Turn errors while studies are shown into one line that says whose fault they are.

    Raises:
        StoreError: a study's records contradict each other.
        SweepFailedError: anything else: a fault of this package, or of a made-up store.
    """
    try:
        yield
    except ContradictionError as error:
        raise StoreError(
            f"study {', '.join(map(repr, names))} cannot be shown: its records contradict each "
            f"other ({error}); its store is damaged or was changed by hand"
        ) from error
    except (SweepError, OSError, MemoryError):
        raise
    except Exception as error:
        raise SweepFailedError(
            f"study {', '.join(map(repr, names))} cannot be shown: "
            f"{one_line(f'{type(error).__name__} {error}')} in {_place(error)}; if `sweep doctor` "
            "finds nothing damaged, this is a fault of sweep: please report it"
        ) from error


def _place(error: Exception) -> str:
    """The innermost file and line of this package in an error's traceback."""
    package = Path(__file__).parents[1]
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(package)]
    return f"{Path(own[-1].filename).relative_to(package).as_posix()}:{own[-1].lineno}"
