"""A study as a report sees it: the search, its space, and its confirmation if there is one."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sweep.errors import ContradictionError, StoreError, SweepError, SweepFailedError
from sweep.records import StudyRecord, TestReading, TrialRecord, chosen_run
from sweep.reporting.confirmation import Confirmation, confirmation
from sweep.reporting.contradictions import require_sound
from sweep.space import SearchSpace
from sweep.store.diagnosis import one_line

__all__ = ["Network", "Reported", "reported", "understood"]


@dataclass(frozen=True, slots=True)
class Network:
    """The trained network that stands for a study: the one that one would use.

    Attributes:
        study: Name of the study that holds it: the search, or its confirmation.
        trial: Its trial there.
        reading: What the test split says of it, or None while that is sealed.
    """

    study: str
    trial: TrialRecord
    reading: TestReading | None


@dataclass(frozen=True, slots=True)
class Reported:
    """A study as a report sees it.

    Attributes:
        record: The search.
        space: Its search space.
        runs: The runs of its confirmation, or None.
        confirmation: What they say, or None.
        chosen: The search's trial whose configuration is to be used, or None while none is
            COMPLETE: the winner of the confirmation, otherwise the best on validation data.
        network: The network that stands for it, or None.
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


def reported(record: StudyRecord, space: SearchSpace, runs: StudyRecord | None) -> Reported:
    """Put together what a report needs of a study.

    Raises:
        ContradictionError: what is recorded of it does not fit together.
        StoreError: the study and its confirmation contradict each other.
    """
    for each in (record, runs):
        if each is not None:
            require_sound(each)
    found = confirmation(record, runs)
    run = chosen_run(runs) if runs is not None else None
    if runs is not None and run is not None and found is not None and found.winner is not None:
        chosen = record.trials[found.winner]
        network = Network(runs.name, run, runs.test_reading(run.number))
        return Reported(record, space, runs, found, chosen, network)
    best = record.best
    network_of_best = (
        None if best is None else Network(record.name, best, record.test_reading(best.number))
    )
    return Reported(record, space, runs, found, best, network_of_best)


@contextmanager
def understood(*names: str) -> Iterator[None]:
    """What goes wrong while a study is shown is said in a line, and whose fault it is.

    Args:
        names: The study or studies.

    Raises:
        StoreError: a study's records do not fit each other.
        SweepFailedError: anything else, which is this package's own fault unless the store is one
            that somebody made up.
    """
    try:
        yield
    except ContradictionError as error:
        raise StoreError(
            f"study {', '.join(map(repr, names))} cannot be shown: its records do not fit each "
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
    """File and line of this package where an error came from, or from below."""
    package = Path(__file__).parents[1]
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(package)]
    return f"{Path(own[-1].filename).relative_to(package).as_posix()}:{own[-1].lineno}"
