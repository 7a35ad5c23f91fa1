"""Fixtures of the long tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import made_once
from killing import TRIALS, small_space, undisturbed_study


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study `small_space(TRIALS)` without accidents, trained one trial after the other."""
    return made_once(
        tmp_path_factory,
        "undisturbed",
        lambda folder: undisturbed_study(folder, small_space(TRIALS)),
    )


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Count cases under a name: `tally(name, tried=1)` before, `tally(name, survived=1)` after.

    The sums are printed at the end of a run.
    """

    def count(name: str, *, tried: int = 0, survived: int = 0) -> None:
        record_property("tally", [name, tried, survived])

    return count
