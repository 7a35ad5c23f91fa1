"""What all unit tests share."""

from __future__ import annotations

from html import escape
from typing import Any

import pytest


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
