"""When failed trials stop a sweep."""

from __future__ import annotations

from sweep.errors import StoreError
from sweep.records import Failure, StudyRecord, TrialOutcome

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
        self._failures: list[Failure] = []
        self._any_success = False

    def count(self, study: StudyRecord) -> None:
        """Count those that are in the study.

        Raises:
            StoreError: there are too many already.
        """
        self._count = len(study.failed)
        if self._most is not None and self._count > self._most:
            raise StoreError(
                f"study {study.name!r} has {self._count} failed trials, and max_failures is "
                f"{self._most}; `sweep show {study.name}` shows them, `sweep resume {study.name} "
                "--retry-failed` runs them again, and --max-failures N allows more"
            )

    def add(self, outcome: TrialOutcome) -> None:
        """Count a trial that ended."""
        if outcome.failure is None:
            self._any_success = True
        else:
            self._count += 1
            self._failures.append(outcome.failure)

    @property
    def are_too_many(self) -> bool:
        """Whether the sweep has to stop."""
        return bool(self.reason)

    @property
    def reason(self) -> str:
        """Why the sweep has to stop; empty if it has not."""
        if not self._failures:
            return ""
        last = self._failures[-1]
        example = f"the last one with {last.kind}: {last.reason}"
        alike = len({failure.kind for failure in self._failures}) == 1
        if not self._any_success and alike and len(self._failures) >= _ALIKE_FAILURES:
            return f"the first {len(self._failures)} trials all failed alike; {example}"
        if self._most is not None and self._count > self._most:
            return (
                f"{self._count} trial{'s' if self._count > 1 else ''} failed, and max_failures is "
                f"{self._most}; {example}"
            )
        return ""
