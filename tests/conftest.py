"""Fixtures that several rooms share."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

# Before PyTorch reads it: threads that wait for each other in a loop make a busy machine crawl.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
from helpers import SMALL, cli_environment, run_cli, sqlite_url

import sweep
import sweep.cli
from sweep.runner import train_confirmation
from sweep.store import Store


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return sqlite_url(tmp_path)


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """A folder with MNIST in torchvision's layout."""
    named = os.environ.get("SWEEP_DATA_DIR")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "MNIST" / "raw").is_dir():
        pytest.skip(f"MNIST is not under {folder}; set SWEEP_DATA_DIR to its folder")
    return folder.resolve()


@pytest.fixture(scope="session")
def finished_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    sweep.run(SMALL, storage=sqlite_url(folder), workers=1, device="cpu", engine="sequential")
    return folder


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
        workers=1,
        device="cpu",
        engine="sequential",
        on_event=lambda event: openings.append(
            [
                event,
                *(
                    reading
                    for name in store.study_names()
                    for reading in store.read_study(name).test_readings
                ),
            ]
        ),
    )
    return folder, openings


@pytest.fixture
def confirmed(confirmed_folder: tuple[Path, list[Any]], tmp_path: Path) -> str:
    """Storage URL of `small` and of its confirmation, whose test split is still sealed."""
    shutil.copytree(confirmed_folder[0], tmp_path, dirs_exist_ok=True)
    return sqlite_url(tmp_path)


@pytest.fixture
def cli(tmp_path: Path):
    """Run the command line in the test's own folder."""
    return lambda *arguments, **options: run_cli(*arguments, cwd=tmp_path, **options)


@pytest.fixture
def main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Run the command line in this process, which saves its start; gives output and errors."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ.keys() - cli_environment().keys():
        monkeypatch.delenv(name)

    def run(line: str, *, code: int) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["sweep", *line.split()])
        with pytest.raises(SystemExit, match=f"^{code}$"):
            sweep.cli.main()
        return capfd.readouterr()

    return run
