"""The functions that train, with `progress=True`: they show what the command line shows.

Only `sweep.cli` owns the console, and the functions are below it: here they meet. `import sweep`
offers these.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from sweep import fresh_seeds
from sweep.records import Event
from sweep.runner import sweeps
from sweep.runner.argument_rules import read_argument
from sweep.runner.options import DEFAULTS

__all__ = ["confirm", "resume", "run"]

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _with_progress(work: Callable[_P, _R]) -> Callable[_P, _R]:
    @wraps(work)
    def shown(*arguments: _P.args, **options: _P.kwargs) -> _R:
        given: dict[str, Any] = {**DEFAULTS, **options}
        on_event = read_argument("on_event", given["on_event"])
        if not read_argument("progress", given["progress"]):
            return work(*arguments, **options)
        from sweep.cli.progress import Progress

        with Progress() as progress:

            def observe(event: Event) -> None:
                progress.on_event(event)
                on_event(event)

            return work(*arguments, **{**options, "on_event": observe})  # type: ignore[arg-type]

    return shown


confirm = _with_progress(fresh_seeds.confirm)
resume = _with_progress(sweeps.resume)
run = _with_progress(sweeps.run)
