"""Plants faults in copies of the tree, one at a time, and says which of them the tests notice.

    python tests/mutants/plant.py [NAME...] [--jobs 2] [--table FILE]

What is planted, and which tests are run for it, is in faults.yaml beside this file. The exit code
is 0 if every fault was caught, 1 if one was not, and 2 if the list does not fit the code any more
or its tests cannot be run.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).resolve().parents[2]
FAULTS = Path(__file__).with_name("faults.yaml")
TIMEOUT_SECONDS = 15 * 60
CAUGHT, NOT_CAUGHT = "caught", "NOT CAUGHT"

# pytest's summary: `FAILED tests/test_x.py::test_y[z] - AssertionError: ...`
_FIRST_FAILURE = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)


class ListError(Exception):
    """The list of faults is wrong, or does not fit the code."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One place of a fault.

    Attributes:
        file: The file below the root.
        old: What stands there, once.
        new: What is planted in its place.
    """

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault and what should notice it.

    Attributes:
        name: Its name.
        sentence: What is wrong when it is planted.
        edits: Where it is planted.
        tests: What pytest is given.
    """

    name: str
    sentence: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a fault.

    Attributes:
        fault: The fault.
        by: What caught it: the first test that failed, or that the tests hung; None if nothing did.
        seconds: How long the tests took.
    """

    fault: Fault
    by: str | None
    seconds: float

    @property
    def verdict(self) -> str:
        """Whether it was caught."""
        return NOT_CAUGHT if self.by is None else CAUGHT


# ---------------------------------------------------------------- the list


def load_faults(file: Path = FAULTS) -> list[Fault]:
    """The faults of a list.

    Raises:
        ListError: an entry lacks something, or two have one name.
    """
    faults = [_fault(entry) for entry in yaml.safe_load(file.read_text())]
    twice = [name for name, count in Counter(fault.name for fault in faults).items() if count > 1]
    if twice:
        raise ListError(f"two faults are named {', '.join(twice)}")
    return faults


def _fault(entry: dict[str, Any]) -> Fault:
    name = entry.get("name")
    wanted, allowed = {"name", "fault", "file", "old", "new", "tests"}, {"also"}
    if entry.keys() - allowed != wanted or not entry["tests"]:
        raise ListError(f"{name}: an entry has {', '.join(sorted(wanted))}, and perhaps also")
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise ListError(f"{name}: a name is words joined by hyphens")
    edits = tuple(Edit(e["file"], e["old"], e["new"]) for e in [entry, *entry.get("also", [])])
    return Fault(name, entry["fault"], edits, tuple(entry["tests"]))


def problems_of(fault: Fault, root: Path) -> list[str]:
    """Why a fault cannot be planted in a tree; empty if it can."""
    problems = []
    for edit in fault.edits:
        path = root / edit.file
        if not edit.file.startswith("sweep/") or not path.is_file():
            problems.append(f"{fault.name}: there is no {edit.file} below sweep/")
            continue
        count = path.read_text().count(edit.old)
        if count != 1:
            first = edit.old.strip().splitlines()[0]
            problems.append(f"{fault.name}: {edit.file} has {first!r}... {count} times, not once")
        if edit.old == edit.new:
            problems.append(f"{fault.name}: nothing would change in {edit.file}")
    for test in fault.tests:
        path, _, function = test.partition("::")
        if not (root / path).exists() or (
            function and f"def {function}(" not in (root / path).read_text()
        ):
            problems.append(f"{fault.name}: there is no {test}")
    return problems


def plant(fault: Fault, root: Path) -> None:
    """Plant a fault in a tree for which `problems_of` found none."""
    for edit in fault.edits:
        path = root / edit.file
        path.write_text(path.read_text().replace(edit.old, edit.new))


# ---------------------------------------------------------------- one fault


def try_fault(fault: Fault) -> Result:
    """Plant a fault in a copy of the tree and run its tests there.

    Raises:
        ListError: the tests cannot be run.
    """
    with tempfile.TemporaryDirectory(prefix="mutant-", ignore_cleanup_errors=True) as folder:
        tree = Path(folder) / "tree"
        copy_tree(ROOT, tree)
        plant(fault, tree)
        started = time.monotonic()
        code, output = run_tests(fault.tests, tree, Path(folder))
        seconds = time.monotonic() - started
    if code is None:
        return Result(fault, f"a hang of {TIMEOUT_SECONDS // 60} minutes", seconds)
    if code not in (0, 1):
        raise ListError(f"{fault.name}: pytest ended with exit code {code}:\n{output[-2000:]}")
    failure = _FIRST_FAILURE.search(output)
    if code == 1 and failure is None:
        raise ListError(f"{fault.name}: pytest failed without a failed test:\n{output[-2000:]}")
    return Result(fault, failure[1] if code == 1 and failure else None, seconds)


def copy_tree(root: Path, target: Path) -> None:
    """Copy what git knows or would take up, as it is now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
    )
    for name in filter(None, os.fsdecode(listed.stdout).split("\0")):
        if (root / name).is_file():  # not one that was deleted
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)


def run_tests(tests: Sequence[str], tree: Path, folder: Path) -> tuple[int | None, str]:
    """Run tests of a tree up to the first that fails.

    Args:
        tests: What pytest is given.
        tree: The tree, whose package is the one that is imported, also by subprocesses.
        folder: Where pytest may leave what it likes.

    Returns:
        pytest's exit code, or None after a hang, and what it printed.
    """
    log = folder / "output.txt"
    options = ["-x", "-q", "-m", "", "-p", "no:cacheprovider", "--basetemp", str(folder / "tmp")]
    # Into a file: what a hung test leaves behind would hold a pipe open.
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=tree,
            env=os.environ | {"PYTHONPATH": str(tree)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        code: int | None = None
        try:
            code = process.wait(TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if code is None:
                end_all(process.pid)
                process.wait()
    return code, log.read_text(errors="replace")


def end_all(pid: int) -> None:
    """End a process and all that came from it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()


# ---------------------------------------------------------------- all of them


def choose(names: Sequence[str]) -> list[Fault]:
    """The faults of these names, or all. The whole list is checked: a stale patch is found at once.

    Raises:
        ListError: there is no such fault, or one cannot be planted.
    """
    faults = load_faults()
    unknown = sorted(set(names) - {fault.name for fault in faults})
    if unknown:
        raise ListError(f"there is no fault named {', '.join(unknown)}")
    problems = [problem for fault in faults for problem in problems_of(fault, ROOT)]
    if problems:
        raise ListError("\n".join(problems))
    return [fault for fault in faults if not names or fault.name in names]


def try_all(faults: Sequence[Fault], jobs: int) -> list[Result]:
    """Try every fault, a few at a time; the results in the order of the list."""
    found: dict[str, Result] = {}
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(try_fault, fault) for fault in faults]
        try:
            for future in as_completed(futures):
                result = future.result()
                found[result.fault.name] = result
                by = f" by {result.by}" if result.by else f": {result.fault.sentence}"
                say(f"{result.fault.name}: {result.verdict}{by} ({result.seconds:.0f} s)")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [found[fault.name] for fault in faults]


def text_table(results: Sequence[Result]) -> str:
    """The results in columns."""
    rows = [(r.fault.name, r.verdict, r.by or "", f"{r.seconds:.0f} s") for r in results]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = [map(str.ljust, row, widths) for row in rows]
    return "\n".join("  ".join(cells).rstrip() for cells in padded)


def markdown_table(results: Sequence[Result]) -> str:
    """The results as a Markdown table."""
    lines = ["| fault | what is wrong | verdict | caught by | seconds |", "|---|---|---|---|---|"]
    for result in results:
        by = f"`{result.by}`" if result.by else ""
        cells = [result.fault.name, result.fault.sentence, result.verdict, by]
        escaped = " | ".join(cell.replace("|", r"\|") for cell in cells)
        lines.append(f"| {escaped} | {result.seconds:.0f} |")
    return "\n".join(lines) + "\n"


def say(text: str) -> None:
    """One line, at once, though standard output may be a file."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Entry point; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", metavar="NAME", nargs="*", help="faults to try; all if none")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default: 2)")
    parser.add_argument("--table", type=Path, help="write the results as a Markdown table, too")
    options = parser.parse_args()
    try:
        results = try_all(choose(options.names), options.jobs)
    except ListError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    say(f"\n{text_table(results)}")
    if options.table is not None:
        options.table.write_text(markdown_table(results))
    missed = sum(result.by is None for result in results)
    say(f"\n{len(results) - missed} of {len(results)} faults were caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
