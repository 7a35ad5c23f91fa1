"""What a part is told and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["FAILED", "NOT_APPLICABLE", "PASSED", "Found", "Goal", "Setting", "verdict_of"]

PASSED, FAILED, NOT_APPLICABLE = "passed", "failed", "not applicable"


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how a part is proved.

    Attributes:
        device: Of PyTorch: `cuda:0`, or `cpu` to try the parts themselves.
        small: Whether it does as little as shows that it works.
        data_dir: Has MNIST, or made-up images in its place.
        folder: An empty folder for the part alone.
        seconds: How long the part may take.
    """

    device: str
    small: bool
    data_dir: str
    folder: str
    seconds: float

    @property
    def place(self) -> Path:
        """The folder, as a path."""
        return Path(self.folder)

    @property
    def is_gpu(self) -> bool:
        """Whether it is proved on what it is for."""
        return self.device != "cpu"


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure beside what it should be."""

    words: str
    found: float
    is_met: bool

    @classmethod
    def at_least(cls, least: float, found: float, what: str) -> Goal:
        """A goal that more is better for."""
        return cls(f"at least {least:g} {what}", found, found >= least)

    @classmethod
    def below(cls, limit: float, found: float, what: str) -> Goal:
        """A goal that less is better for."""
        return cls(f"less than {limit:g} {what}", found, found < limit)


@dataclass(frozen=True, slots=True)
class Found:
    """The answer of a part; a goal that was missed is no failure.

    Attributes:
        verdict: `passed`, `failed` or `not applicable`.
        words: Why, in a line.
        figures: Everything that was measured, as JSON.
        goals: Figures with goals.
    """

    verdict: str
    words: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    goals: Sequence[Goal] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def verdict_of(wrong: Sequence[str], right: str, **figures: Any) -> Found:
    """Passed, in the words of `right`, if nothing is wrong; otherwise failed, naming the first."""
    if not wrong:
        return Found(PASSED, right, figures)
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return Found(FAILED, wrong[0] + more, figures | {"wrong": list(wrong)})
