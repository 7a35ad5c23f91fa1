"""Runs a part in a process of its own. Whatever becomes of that process is the part's verdict."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpu_proof.findings import FAILED, Found, Setting
from gpu_proof.parts import Part

__all__ = ["prove"]

BENCH = Path(__file__).parents[1]


def prove(part: Part, out: Path, *, device: str, small: bool, data_dir: Path) -> dict[str, Any]:
    """What the part found, as JSON; what it prints goes to a file named after it."""
    folder = out / part.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    setting = Setting(device, small, str(data_dir), str(folder), part.seconds)
    result, log = folder / "result.json", out / f"{part.name}.log"
    command = [sys.executable, "-m", "gpu_proof.child", part.module]
    command += [json.dumps(asdict(setting)), str(result)]
    started = time.perf_counter()
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=BENCH, stdout=output, stderr=output, start_new_session=True
        )
        try:
            code: int | None = process.wait(part.seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:  # nor may what it started be left behind
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    found = _answer(part, code, result, log)
    if not log.stat().st_size:
        log.unlink()
    shutil.rmtree(folder)
    return found | {"seconds": round(time.perf_counter() - started, 1)}


def _answer(part: Part, code: int | None, result: Path, log: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        if code == 0:
            return dict(json.loads(result.read_text()))
    lines = log.read_text(errors="replace").strip().splitlines()
    last = lines[-1] if lines else "it printed nothing"
    how = "was stopped" if code is None else f"ended with exit code {code}"
    if code is None:
        last = f"it took longer than {part.seconds} s"
    return Found(FAILED, f"{how}: {last} (see {log.name})").to_json()
