"""The machine that figures were measured on, and the JSON files that hold both."""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from sweep.provenance import package_versions, project_commit

# Instructions that decide how fast matrix products are, from /proc/cpuinfo.
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def write_result(path: Path, **figures: object) -> None:
    """Write figures as JSON, with the date, commit, hardware and versions."""
    result = {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": project_commit(),
        "hardware": hardware(),
        "versions": package_versions(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result | figures, indent=2) + "\n")


def num_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_words() -> str:
    """The load average of the last minute, which should be near 0 on an idle machine."""
    return f"load average before: {os.getloadavg()[0]:.1f} on {num_cores()} cores"


def peak_mebibytes() -> float:
    """Peak memory of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def hardware() -> dict[str, object]:
    facts = _processor_facts()
    flags = facts.get("flags", "").split()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": facts.get("model name") or platform.processor() or platform.machine(),
        "model": f"family {facts.get('cpu family', '?')}, model {facts.get('model', '?')}",
        "cores": num_cores(),
        "instructions": [flag for flag in _FLAGS if flag in flags],
        "memory_gib": round(memory / 2**30, 1),
        "gpus": _gpus(),
        "system": platform.platform(),
    }


def _processor_facts() -> dict[str, str]:
    """The first processor of /proc/cpuinfo; empty where there is no such file."""
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _gpus() -> list[str]:
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []
