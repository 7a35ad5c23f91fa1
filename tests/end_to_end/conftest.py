"""Fixtures of several end-to-end tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import HERE, cli_environment, made_once, run_cli, space_mapping, sqlite_url
from killing import TRIALS, small_space, undisturbed_study
from sketches import sketch

import sweep
import sweep.cli
from sweep.execution import LAUNCHERS, InlineLauncher


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study `small_space(TRIALS)` without accidents, trained one trial after the other."""
    return made_once(
        tmp_path_factory,
        "undisturbed",
        lambda folder: undisturbed_study(folder, small_space(TRIALS)),
    )


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two trained studies, one of them confirmed, and a report on both."""
    return made_once(tmp_path_factory, "reported", _report)


def _report(folder: Path) -> None:
    base = space_mapping()["parameters"] | {"epochs": 3}
    more = {
        "optimizer": {"choices": ["adamw", "sgd"]},
        "momentum": {"low": 0.0, "high": 0.99, "when": {"optimizer": "sgd"}},
    }
    spaces = (
        # As many trials as importances need.
        space_mapping(name="digits-random", parameters=base, budget={"trials": 12}),
        space_mapping(
            name="digits-pruned",
            parameters=base | more,
            pruner={"type": "successive_halving"},
            budget={"trials": 14, "audit": 2},
        ),
    )
    stacked = {**HERE, "engine": "stacked"}
    for space in spaces:
        sweep.run(space, storage=sqlite_url(folder), **stacked)
    sweep.confirm("digits-pruned", top=2, seeds=2, storage=sqlite_url(folder), **stacked)
    done = run_cli("report", *(space["name"] for space in spaces), cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / done.stdout.strip()).resolve() == folder / "report" / "report.html"


@pytest.fixture
def sketched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make reports of this process without rendering their figures."""
    sketch(monkeypatch.setattr)


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process, workers included; returns exit code, output and errors."""
    monkeypatch.setitem(LAUNCHERS, "processes", InlineLauncher)
    monkeypatch.chdir(tmp_path)
    for name in os.environ.keys() - cli_environment().keys():
        monkeypatch.delenv(name)

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sweep", *map(str, arguments)])
        with pytest.raises(SystemExit, match=r"^[012]$") as caught:
            sweep.cli.main()
        assert isinstance(caught.value.code, int)
        return caught.value.code, *capfd.readouterr()

    return command
