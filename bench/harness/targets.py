"""What is aimed at, and whether a figure meets it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Target", "as_markdown"]


@dataclass(frozen=True, slots=True)
class Target:
    """One aim.

    Attributes:
        name: What was measured.
        found: The figure; None if it could not be measured.
        aim: What it is compared with.
        at_least: Whether it should be no less; otherwise no more.
        unit: Printed after both.
    """

    name: str
    found: float | None
    aim: float
    at_least: bool = True
    unit: str = ""

    @property
    def verdict(self) -> str:
        """Met or missed."""
        if self.found is None:
            return "not measured"
        met = self.found >= self.aim if self.at_least else self.found <= self.aim
        return "met" if met else "**missed**"

    def line(self) -> str:
        """A row of a Markdown table."""
        found = "–" if self.found is None else f"{self.found:.3g}{self.unit}"
        bound = "≥" if self.at_least else "≤"
        return f"| {self.name} | {found} | {bound} {self.aim:g}{self.unit} | {self.verdict} |"


def as_markdown(targets: Iterable[Target]) -> str:
    header = "| what | found | target | |\n|---|---|---|---|"
    return "\n".join([header, *(target.line() for target in targets)])
