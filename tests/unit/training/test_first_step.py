"""The first step of a worker imports no further package: it would delay every worker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
sys.path[:0] = sys.argv[2:]
import sweep.execution.worker, sweep.training.sequential, sweep.training.stacked
from driving import make_group
from helpers import make_config
from sweep.data import load_training_data
from helpers import DIGITS
group = make_group(sys.argv[1], [make_config()], load_training_data(DIGITS))
group.begin_epoch()
before = set(sys.modules)
group.step(0)
group.finish_epoch()
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""


@pytest.mark.parametrize("engine", ["stacked", "sequential"])
def test_a_step_imports_nothing(engine):
    folders = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]
    command = [sys.executable, "-c", CODE, engine, *folders]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (set(done.stdout.split()) - {"torch"}, done.stderr) == (set(), "")
