"""Fixtures shared by several rooms."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

# Before PyTorch reads them: threads that wait for each other slow a busy machine to a crawl.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import numpy as np
import pytest
from helpers import (
    DIGITS,
    HERE,
    SMALL,
    cli_environment,
    made_once,
    made_up_calibration,
    read_migrations_once,
    run_cli,
    sqlite_url,
)

import sweep
import sweep.cli
from sweep.data import TrainingData, load_training_data
from sweep.execution import LAUNCHERS, ForkServer, InlineLauncher
from sweep.fresh_seeds import train_confirmation
from sweep.store import Store


def pytest_configure() -> None:
    """Workers get one thread unless a test asks for more."""
    os.sched_getaffinity = lambda _process: {0}


# The same examples in every run; `make soak` tries new ones.
hypothesis.settings.register_profile("fixed", derandomize=True, database=None, deadline=None)
hypothesis.settings.register_profile("explore", max_examples=2000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.fixture(scope="session", autouse=True)
def _read_migrations_once() -> None:
    read_migrations_once()


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded images are cached in a folder of the test run, never in the home folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEP_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _same_machine_everywhere() -> Iterator[None]:
    """What `auto` comes to must not depend on the machine that runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweep.execution.calibrating.measure", made_up_calibration)
        patch.setattr("sweep.execution.calibrating.write_whole", lambda *_: None)
        yield


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return sqlite_url(tmp_path)


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """The folder that `SWEEP_DATA_DIR` names, with MNIST in torchvision's layout."""
    folder = Path(os.environ.get("SWEEP_DATA_DIR", "."))
    if not (folder / "MNIST" / "raw").is_dir():
        pytest.skip("set SWEEP_DATA_DIR to a folder with MNIST")
    return folder.resolve()


@pytest.fixture(scope="session")
def digits() -> TrainingData:
    """1,198 training and 239 validation images."""
    return load_training_data(DIGITS)


@pytest.fixture(scope="session")
def small(digits: TrainingData) -> TrainingData:
    """120 training and 60 validation images."""
    return replace(
        digits,
        train=digits.train.take(np.arange(120)),
        validation=digits.validation.take(np.arange(60)),
    )


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """A fork server for all tests that need processes."""
    with ForkServer() as server:
        yield server


@pytest.fixture(scope="session")
def finished_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(
        tmp_path_factory,
        "finished",
        lambda folder: sweep.run(SMALL, storage=sqlite_url(folder), **HERE),
    )


@pytest.fixture
def finished(finished_folder: Path, tmp_path: Path) -> str:
    """Storage URL of a copy of the finished study `small`."""
    shutil.copytree(finished_folder, tmp_path, dirs_exist_ok=True)
    return sqlite_url(tmp_path)


@pytest.fixture(scope="session")
def confirmed_folder(
    finished_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Any]]:
    folder = tmp_path_factory.mktemp("confirmed")
    shutil.copytree(finished_folder, folder, dirs_exist_ok=True)
    store = Store(sqlite_url(folder), to_write=False)
    openings: list[Any] = []
    train_confirmation(
        "small",
        top=2,
        seeds=2,
        storage=store.url,
        **HERE,
        on_event=lambda event: openings.append(
            [
                event,
                *(
                    reading
                    for name in store.all_names()
                    for reading in store.read_study(name).test_readings
                ),
            ]
        ),
    )
    return folder, openings


@pytest.fixture
def confirmed(confirmed_folder: tuple[Path, list[Any]], tmp_path: Path) -> str:
    """Storage URL of `small` and its confirmation, with the test split still sealed."""
    shutil.copytree(confirmed_folder[0], tmp_path, dirs_exist_ok=True)
    return sqlite_url(tmp_path)


@pytest.fixture
def cli(tmp_path: Path):
    """Run the command line in the test's own folder."""
    return lambda *arguments, **options: run_cli(*arguments, cwd=tmp_path, **options)


@pytest.fixture
def main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Run the command line in this process, workers included; returns output and errors."""
    monkeypatch.setitem(LAUNCHERS, "processes", InlineLauncher)
    monkeypatch.setattr("sweep.execution.forking.early_server", nullcontext)
    monkeypatch.chdir(tmp_path)
    for name in os.environ.keys() - cli_environment().keys():
        monkeypatch.delenv(name)

    def run(line: str, *, code: int) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["sweep", *line.split()])
        with pytest.raises(SystemExit, match=f"^{code}$"):
            sweep.cli.main()
        return capfd.readouterr()

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tallies of the long tests, summed over all processes of the run."""
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
