"""`make test` draws the same examples everywhere, `make soak` fresh ones."""

from __future__ import annotations

import re
from pathlib import Path

from effort import examples
from hypothesis import settings

ROOT = Path(__file__).parents[2]


def test_examples_are_fixed_unless_they_are_explored():
    explores = settings.get_current_profile_name() == "explore"
    for each in (settings(), settings(max_examples=3), examples()):
        assert each.derandomize != explores
        assert explores or each.database is None


def test_tests_inherit_this_from_the_profile():
    """Settings of their own say how many examples, never which."""
    for path in (ROOT / "tests").rglob("*.py"):
        if path.name not in ("conftest.py", Path(__file__).name):
            assert "derandomize" not in path.read_text(), path


def test_the_long_tests_explore():
    makefile = (ROOT / "Makefile").read_text()
    soak = re.search(r"^soak:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert soak is not None
    commands = [line for line in soak[1].splitlines() if "pytest" in line]
    assert commands
    assert all("HYPOTHESIS_PROFILE=explore" in line for line in commands)
    test = re.search(r"^test:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert test is not None
    assert "HYPOTHESIS_PROFILE" not in test[1]
