"""What all unit tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from html import escape
from typing import Any

import pytest

from sweep.definitions import FAMILIES, IntParameter
from sweep.space import domains, search_space


@pytest.fixture
def no_png(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports render their figures for the page only, which takes a third as long."""
    monkeypatch.setattr("sweep.reporting.figures.to_png", lambda _: b"\x89PNG")


@pytest.fixture
def words_only(no_png: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports draw their figures and do not render them, which takes nine tenths of the time."""

    def describe(_figure: Any, *, name: str, description: str) -> str:
        return f'<svg aria-label="{escape(description)}"></svg>'

    monkeypatch.setattr("sweep.reporting.figures.to_svg", describe)


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Call it to go on as a version that has one more parameter: `num_heads`, by default 4."""

    def forget() -> None:
        domains.parameters_model.cache_clear()
        search_space.space_type.cache_clear()

    def upgrade() -> None:
        added = IntParameter("num_heads", "A parameter of tomorrow.", 4, 1, 16)
        family = FAMILIES["mlp"]
        parameters = {**family.parameters, added.name: added}
        monkeypatch.setitem(FAMILIES, "mlp", replace(family, parameters=parameters))
        forget()

    yield upgrade
    monkeypatch.undo()
    forget()
