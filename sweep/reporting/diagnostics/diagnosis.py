"""What one check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Diagnosis", "Verdict"]


class Verdict(StrEnum):
    """What a check says, the most urgent first."""

    WARNING = "warning"
    FINE = "fine"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What one check found.

    Attributes:
        name: What was asked, in a few words.
        verdict: The answer.
        finding: It in one sentence; of what is not applicable, why.
        evidence: The figures behind it; may be empty.
        remedy: What to do; empty unless it is a warning.
    """

    name: str
    verdict: Verdict
    finding: str
    evidence: str = ""
    remedy: str = ""

    @classmethod
    def not_applicable(cls, name: str, why: str) -> Diagnosis:
        """There is nothing to judge by."""
        return cls(name, Verdict.NOT_APPLICABLE, why)
