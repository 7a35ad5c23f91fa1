"""The wall clock jumps a day forwards and backwards: nothing depends on it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import run_cli
from killing import (
    ENGINES,
    PARAMETERS,
    Accident,
    check_same,
    check_whole,
    disturb,
    finish,
    prepare,
    small_space,
)
from zygote import ForkedProcess

DAY = 86_400
TRIALS = 3
SPACE = small_space(TRIALS, parameters={**PARAMETERS, "epochs": 20}, pruner={"type": "none"})
OPTIONS = (*ENGINES["sequential"], "--timeout", "10m")


@pytest.fixture(scope="module")
def shim(tmp_path_factory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("moving the clock of one process takes Linux and a C compiler")
    library = tmp_path_factory.mktemp("shim") / "moved_clock.so"
    source = Path(__file__).parents[1] / "moved_clock.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.fixture
def clock(tmp_path, shim, monkeypatch):
    """Move the wall clock of all processes started from here on: `clock(seconds)`."""
    file = tmp_path / "clock"
    file.write_text("0")
    monkeypatch.setenv("LD_PRELOAD", str(shim))
    monkeypatch.setenv("MOVED_CLOCK", str(file))

    def move(seconds: int) -> None:
        new = file.with_suffix(".new")
        new.write_text(str(seconds))
        new.rename(file)

    return move


def test_the_shim_moves_the_wall_clock_and_no_other(clock):
    code = "import time; print(time.time(), time.monotonic())"
    for days in (1, -1):
        clock(days * DAY)
        printed = subprocess.check_output([sys.executable, "-c", code], env=os.environ, text=True)
        wall, monotonic = map(float, printed.split())
        assert wall - time.time() == pytest.approx(days * DAY, abs=60)
        assert monotonic == pytest.approx(time.monotonic(), abs=60)


@pytest.mark.slow
def test_nothing_changes_when_the_clock_jumps(tmp_path, clock, tmp_path_factory):
    undisturbed = prepare(tmp_path_factory.mktemp("undisturbed"), SPACE)
    finish(undisturbed, "sequential")
    folder = prepare(tmp_path, SPACE)

    killed = Accident("decide", call=12)
    driver = disturb(
        folder, lambda _: clock(DAY), "run", "space.yaml", *OPTIONS, call=6, accidents=(killed,)
    )
    assert driver.returncode == -signal.SIGKILL
    assert show(folder)["state"] == "interrupted"

    def happen(driver: ForkedProcess) -> None:
        clock(-DAY)
        second = run_cli("resume", "small", cwd=folder)
        assert second.returncode == 2
        assert f"held by process {driver.pid} " in second.stderr

    driver = disturb(folder, happen, "resume", "small", *OPTIONS, call=20)
    assert driver.returncode == 0, driver.stderr
    assert show(folder)["state"] == "finished"
    check_whole(folder, TRIALS, to_the_last_bit=True)
    check_same(folder, undisturbed)


def show(folder: Path) -> dict:
    return json.loads(run_cli("show", "small", "--json", cwd=folder).stdout)
