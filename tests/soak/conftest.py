"""What the long proofs count, printed at the end of a run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

_COUNTS: dict[str, list[int]] = {}


@pytest.fixture
def tally() -> Callable[..., None]:
    """Count cases under a name: `tally(name, tried=1)` before, `tally(name, survived=1)` after."""

    def count(name: str, *, tried: int = 0, survived: int = 0) -> None:
        counts = _COUNTS.setdefault(name, [0, 0])
        counts[0] += tried
        counts[1] += survived

    return count


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _COUNTS:
        terminalreporter.section("tally")
        for name, (tried, survived) in _COUNTS.items():
            terminalreporter.write_line(f"{name}: {survived} of {tried} survived")
