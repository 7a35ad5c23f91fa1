"""What all unit tests share."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import pytest
from optuna.storages._rdb.storage import _VersionManager


@pytest.fixture(scope="session", autouse=True)
def _read_migrations_once() -> Iterator[None]:
    """Optuna reads its thirty scripts of migrations for each new store, which takes 0.2 s."""
    read, found = _VersionManager._create_alembic_script, []

    def read_once(manager: _VersionManager) -> Any:
        if not found:
            found.append(read(manager))
        return found[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_VersionManager, "_create_alembic_script", read_once)
        yield


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
