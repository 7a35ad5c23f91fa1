"""Every figure that has a target, in one command: some 25 minutes on two idle cores.

    make bench          or: python bench/everything.py --data-dir DIR [--quick]

Runs the other benchmarks one after another; what fails does not keep the rest from running. At the
end all figures are in one JSON file, and the targets in one table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import machine
from harness.processes import BENCH
from harness.targets import Target, as_markdown

from sweep.data import default_data_dir
from sweep.provenance import package_versions

OUT = BENCH.parent / "out" / "bench"
# Arguments of each part: in full, and in a quick try.
PARTS = {
    "engines": (["--repeats", "3"], ["--quick", "--widths", "64"]),
    "estimate": ([], ["--quick"]),
    "choices": ([], ["--trials", "4", "--repeats", "1"]),
    "memory": ([], ["--quick"]),
    "driver": (["--trials", "1000"], ["--trials", "50"]),
    "starts": ([], ["--repeats", "1", "--workers", "2"]),
    "commands": ([], ["--repeats", "1"]),
}
WITH_DATA = ("engines", "estimate", "choices", "memory", "commands")
LIMIT_SECONDS = 1500


def run_part(name: str, data_dir: Path, *, quick: bool) -> dict[str, Any]:
    """What a part has written; where it failed, `error` says how."""
    file = OUT / f"{name}.json"
    file.unlink(missing_ok=True)
    command = [sys.executable, str(BENCH / f"{name}.py"), "--out", str(file), *PARTS[name][quick]]
    if name in WITH_DATA:
        command += ["--data-dir", str(data_dir)]
    print(f"\n## {name}\n", flush=True)
    started = time.perf_counter()
    try:
        code = subprocess.run(command, check=False, timeout=LIMIT_SECONDS).returncode
        error = f"ended with exit code {code}" if code else None
    except subprocess.TimeoutExpired:
        error = f"was not ready after {LIMIT_SECONDS} s"
    known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return known | {"error": error, "seconds": time.perf_counter() - started}


def describe(load: str) -> str:
    """The machine, the versions and the day, for the head of a table."""
    facts = machine.hardware()
    flags = ", ".join(map(str, facts["instructions"])) or "none of those that matter"  # type: ignore[call-overload]
    day = datetime.now(UTC).date().isoformat()
    return (
        f"{day}, {facts['cores']} cores of {facts['processor']} ({facts['model']}; {flags}), torch "
        f"{package_versions()['torch']}; {load}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=default_data_dir())
    parser.add_argument("--quick", action="store_true", help="see that all parts work")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    load = machine.load_words()
    data_dir = arguments.data_dir.resolve()
    found = {name: run_part(name, data_dir, quick=arguments.quick) for name in arguments.parts}
    targets = [Target(**each) for part in found.values() for each in part.get("targets", [])]
    failed = {name: part["error"] for name, part in found.items() if part["error"]}
    file = OUT / "everything.json"
    machine.write_result(file, load=load, parts=found)
    print(f"\n## Targets\n\n{describe(load)}\n\n{as_markdown(targets)}\n")
    for name, error in failed.items():
        print(f"{name}.py {error}")
    print(f"written to {file}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
