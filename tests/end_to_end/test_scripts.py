"""Which package workers run, and what they inherit from a script that starts a sweep.

The script needs no `if __name__ == "__main__"`, and nothing in its current folder is imported.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from helpers import run_cli, space_mapping
from killing import check_gone, read_study, start_interpreter

import sweep

SPACE = space_mapping(
    parameters={"num_layers": {"low": 1, "high": 2}, "layer_size": 16, "epochs": 1},
    budget={"trials": 2},
)

SCRIPT = """
import os, sys
sys.path.insert(0, {package!r})
import sweep
sys.path.remove({package!r})
sys.path.insert(0, {added!r})
os.chdir({stranger!r})
os.environ["FROM_THE_SCRIPT"] = "yes"
study = sweep.run({space!r}, storage="sqlite:///studies.db", workers=2, device="cpu")
print(study.state)
"""

# Every outcome records what its worker sees, in place of package versions.
WITNESS = """

import os
import sys


def package_versions():
    return {
        "package": __file__,
        "folder": os.getcwd(),
        "path": sys.path[0],
        "variable": os.environ.get("FROM_THE_SCRIPT", "no"),
    }
"""


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A folder whose modules have the names of ours, PyTorch's and the standard library's."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    for name in ("random", "sweep", "torch"):
        (folder / f"{name}.py").write_text(f"raise ImportError('a stranger: {name}')\n")
    return folder


@pytest.mark.slow
def test_the_workers_of_a_script_run_its_package_in_its_environment(tmp_path, stranger):
    package = tmp_path / "checkout"
    shutil.copytree(
        Path(sweep.__file__).parent, package / "sweep", ignore=shutil.ignore_patterns("__pycache__")
    )
    with (package / "sweep" / "provenance.py").open("a") as module:
        module.write(WITNESS)
    added = tmp_path / "added"  # it precedes the package and contains a module of its name
    added.mkdir()
    shutil.copy(stranger / "sweep.py", added)
    script = tmp_path / "scripts" / "go.py"
    script.parent.mkdir()
    script.write_text(
        SCRIPT.format(package=str(package), added=str(added), stranger=str(stranger), space=SPACE)
    )
    with start_interpreter(cwd=stranger, program=[sys.executable, str(script)]) as run:
        output, errors = run.communicate(timeout=600)
    assert (run.returncode, output) == (0, "finished\n"), errors
    for trial in read_study(stranger).trials:
        assert trial.outcome is not None
        seen = trial.outcome.environment
        assert seen["package"] == str(package / "sweep" / "provenance.py")
        assert Path(seen["folder"]) == stranger
        assert seen["path"] == str(added)
        assert seen["variable"] == "yes"
    check_gone(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_each_worker_has_its_share_of_the_cores_and_says_so(tmp_path, workers):
    (tmp_path / "space.yaml").write_text(json.dumps(SPACE))
    done = run_cli("run", "space.yaml", "--workers", workers, "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    cores = len(psutil.Process().cpu_affinity())
    for trial in read_study(tmp_path).trials:
        assert trial.outcome is not None
        assert trial.outcome.num_threads == max(1, cores // workers)


FROM_A_PIPE = """
import asyncio, threading
import sweep

def run(name):
    return sweep.run({space!r}, storage=f"sqlite:///{{name}}.db", workers=1, device="cpu").state

async def main():
    return run("loop")

found = {{}}
threads = [threading.Thread(target=lambda name=name: found.update({{name: run(name)}}))
           for name in ("first", "second")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
found["loop"] = asyncio.run(main())
print(*(f"{{name}} {{found[name]}}" for name in sorted(found)))
"""


@pytest.mark.slow
def test_sweeps_run_from_a_pipe_in_threads_and_in_an_event_loop(tmp_path):
    with start_interpreter(
        cwd=tmp_path, program=[sys.executable, "-"], stdin=subprocess.PIPE
    ) as run:
        output, errors = run.communicate(FROM_A_PIPE.format(space=SPACE), timeout=600)
    assert (run.returncode, errors) == (0, "")
    assert output == "first finished loop finished second finished\n"
    check_gone(tmp_path)
