"""What the long proofs count, printed at the end of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import made_once
from killing import TRIALS, small_space, undisturbed_study


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study `small_space(TRIALS)`, to which nothing happened, trained one after the other."""
    return made_once(
        tmp_path_factory,
        "undisturbed",
        lambda folder: undisturbed_study(folder, small_space(TRIALS)),
    )


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Count cases under a name: `tally(name, tried=1)` before, `tally(name, survived=1)` after."""

    def count(name: str, *, tried: int = 0, survived: int = 0) -> None:
        record_property("tally", [name, tried, survived])

    return count


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Add up what all processes of the run counted, which comes with the reports of their tests."""
    tried: Counter[str] = Counter()
    survived: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "call":
                for name, *counts in (v for key, v in report.user_properties if key == "tally"):
                    tried[name] += counts[0]
                    survived[name] += counts[1]
    if tried:
        terminalreporter.section("tally")
        for name, count in tried.items():
            terminalreporter.write_line(f"{name}: {survived[name]} of {count} survived")
