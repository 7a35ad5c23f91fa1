"""When failed trials stop a sweep."""

from __future__ import annotations

from sweep.errors import StoreError
from sweep.records import Failure, FailureKind, TrialOutcome
from sweep.words import command_words

__all__ = ["Failures"]

_ALIKE_FAILURES = 5


class Failures:
    """Counts the failed trials of a study.

    Args:
        most: How many there may be, or None.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._count = 0
        self._last: Failure | None = None
        self._num_now = 0  # failures of this command
        self._kinds: set[FailureKind] = set()
        self._any_success = False

    def start_from(self, count: int, study: str, storage: str) -> None:
        """Count those that are in the study already.

        Raises:
            StoreError: there are too many.
        """
        self._count = count
        if self._most is not None and count > self._most:
            trials = f"{count} failed trial{'' if count == 1 else 's'}"
            raise StoreError(
                f"study {study!r} has {trials}, and max_failures is {self._most}; "
                f"`{command_words('show', study, storage)}` shows them, "
                f"`{command_words('resume', study, storage)} --retry-failed` runs them again, and "
                "--max-failures N allows more"
            )

    def add(self, outcome: TrialOutcome) -> None:
        """Count a trial that ended."""
        if outcome.failure is None:
            self._any_success = True
        else:
            self._count += 1
            self._num_now += 1
            self._last = outcome.failure
            self._kinds.add(outcome.failure.kind)

    @property
    def are_too_many(self) -> bool:
        """Whether the sweep has to stop."""
        return bool(self.reason)

    @property
    def reason(self) -> str:
        """Why the sweep has to stop; empty if it has not."""
        if self._last is None:
            return ""
        example = f"the last one with {self._last.kind}: {self._last.reason}"
        alike = len(self._kinds) == 1 and not self._any_success
        if alike and self._num_now >= _ALIKE_FAILURES:
            return f"the first {self._num_now} trials all failed alike; {example}"
        if self._most is not None and self._count > self._most:
            return (
                f"{self._count} trial{'s' if self._count > 1 else ''} failed, and max_failures is "
                f"{self._most}; {example}"
            )
        return ""
