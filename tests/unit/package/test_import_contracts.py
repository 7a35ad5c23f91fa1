"""The lint step finds what would open the test split from another place than the one allowed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sweep
import sweep.data
from sweep.definitions import DATASETS

ROOT = Path(sweep.__file__).parents[1]
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


@pytest.fixture
def copy(tmp_path) -> Path:
    pytest.importorskip("importlinter")
    shutil.copytree(ROOT / "sweep", tmp_path / "sweep", ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


PLANTED = {
    "estimate.py": "from sweep.data.sources import open_source",
    "execution/worker.py": "import sweep.data.sealed",
    "reporting/answer.py": "from sweep.data.sources.mnist_family import read_idx",
    "evaluation/prediction.py": "from sweep.data import sealed",
    "evaluation/openings.py": "from sweep.data.sources import open_source",
    "data/overview.py": "from sweep.data.sealed import open_test_split",
    "data/__init__.py": "from sweep.data.sources import open_source",
}


def test_what_could_read_the_test_part_elsewhere_breaks_a_contract(copy):
    """`make check` finds nothing of the kind in the package; here each of these is found."""
    for module, line in PLANTED.items():
        path = copy / "sweep" / module
        marker = "from __future__ import annotations\n"
        text = path.read_text()
        path.write_text(
            text.replace(marker, f"{marker}{line}\n") if marker in text else text + line
        )
    done = subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.findall(r"^(.*) BROKEN", done.stdout, re.M) == [
        "Only one module opens the test split",
        "In sweep.data, too, one module reads the test part",
    ]
    for module in PLANTED:
        name = "sweep." + module.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        assert f"{name} -> sweep.data." in done.stdout


def test_the_data_room_hands_out_no_reader_of_the_test_part():
    """What reads there is given no choice of the part; the rest is facts and values."""
    names = {name for name in sweep.data.__all__ if callable(getattr(sweep.data, name))}
    assert names == {
        "DataOverview", "MissingValues", "Part", "Pool", "TrainingData",
        "data_overview", "data_settings", "default_data_dir", "fingerprint", "load_training_data",
        "pack_data", "read_pool", "read_validation", "unpack_data",
    }  # fmt: skip
    assert names == set(sweep.data.__all__)
    for spec in DATASETS.values():
        assert not any(callable(getattr(spec, field)) for field in spec.__slots__)
