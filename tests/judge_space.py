"""A process that checks search spaces: `python judge_space.py MEGABYTES`, then one path per line.

It answers each path with a line of JSON: the verdict, the number of function calls (in multiples of
loading a shipped search space), the time, and the peak growth of memory since the start. The
operating system grants no more than MEGABYTES. A separate process, so that neither pytest's nor
Hypothesis' memory is counted.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from helpers import made_up_calibration
from patience import calls_of_a_load, counted_calls

from sweep.cli import check_text
from sweep.errors import InputError, SearchSpaceError
from sweep.estimate import check
from sweep.execution import calibrating

_SECONDS_UNCOUNTED = 0.1


def judge(path: Path) -> dict[str, Any]:
    """The verdict of `sweep check`: `valid`, `refused` with the problems, or `broken`."""
    try:
        text = check_text.check_text(check(path))
        text.encode()
    except SearchSpaceError as error:
        return {"verdict": "refused", "problems": error.problems}
    except InputError as error:
        return {"verdict": "no place", "problems": [str(error)]}
    except BaseException:  # noqa: BLE001 - whatever it is, it must be shown
        return {"verdict": "broken", "problems": [traceback.format_exc()]}
    return {"verdict": "valid", "problems": []}


def measured(path: Path) -> dict[str, Any]:
    """The verdict and its effort; counting calls is slow, so quick files are not counted."""
    started = time.process_time()
    answer = judge(path)
    seconds = time.process_time() - started
    if seconds < _SECONDS_UNCOUNTED:
        return {**answer, "loads": 0, "seconds": seconds}
    with counted_calls() as count:
        judge(path)
    return {**answer, "loads": count() / calls_of_a_load(), "seconds": seconds}


def most_megabytes() -> float:
    """Peak memory of this process; `getrusage` would include its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def main(megabytes: int) -> None:
    calibrating.measure = made_up_calibration
    calls_of_a_load()
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    before = most_megabytes()
    for line in sys.stdin:
        answer = measured(Path(line.rstrip("\n")))
        print(json.dumps({**answer, "megabytes": most_megabytes() - before}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]))
