"""The lint step finds what would open the test split from another place than the one allowed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sweep
import sweep.data

ROOT = Path(sweep.__file__).parents[1]
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def broken_contracts(folder: Path) -> list[str]:
    """Names of the contracts that a copy of the package breaks."""
    done = subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert " KEPT" in done.stdout, done.stdout + done.stderr
    lines = [line.partition(" BROKEN") for line in done.stdout.splitlines()]
    broken = [name for name, found, _ in lines if found]
    assert bool(broken) == bool(done.returncode)
    return broken


@pytest.fixture
def copy(tmp_path) -> Path:
    pytest.importorskip("importlinter")
    shutil.copytree(ROOT / "sweep", tmp_path / "sweep", ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("estimate.py", "from sweep.data.sources import read_part", "one module"),
        ("training/capacity.py", "import sweep.data.sealed", "one module"),
        ("reporting/answer.py", "from sweep.data.idx import read_idx", "one module"),
        ("evaluation/prediction.py", "from sweep.data import sealed", "one module"),
        ("evaluation/openings.py", "from sweep.data.sources import read_part", "one module"),
        ("data/__init__.py", "from sweep.data.sources import read_part", "training pool only"),
    ],
)
def test_what_could_read_the_test_part_elsewhere_breaks_a_contract(copy, module, line, contract):
    path = copy / "sweep" / module
    text = path.read_text()
    marker = "from __future__ import annotations\n"
    path.write_text(text.replace(marker, f"{marker}{line}\n") if marker in text else text + line)
    (broken,) = broken_contracts(copy)
    assert contract in broken


def test_the_package_breaks_no_contract(copy):
    assert broken_contracts(copy) == []


def test_the_data_room_hands_out_no_reader_of_the_test_part():
    """What reads there is given no choice of the part; the rest is facts and values."""
    names = {name for name in sweep.data.__all__ if callable(getattr(sweep.data, name))}
    assert names == {
        "DatasetInfo", "Part", "TrainingData",
        "default_data_dir", "fingerprint", "load_training_data",
    }  # fmt: skip
    for info in sweep.data.DATASETS.values():
        assert not any(callable(getattr(info, field)) for field in info.__slots__)
