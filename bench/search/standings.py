"""The tables of the search benchmark, in Markdown: one over all tasks, and one for each task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from regret import Summary

__all__ = ["BASELINES", "REFERENCE", "overview", "task_table"]

REFERENCE = "random"
BASELINES = ("1-epoch", "2-epoch")

_MOST, _WORST = 1 / 10, 1 / 6  # of the reference's epochs: on most tasks, and on every task
_SLACK = 1.1  # times the epochs of a baseline

Summaries = Mapping[tuple[str, int], Mapping[str, Summary]]
"""By task and number of lanes, then by contestant."""


def overview(found: Summaries, lanes: int) -> str:
    """All tasks with so many lanes: shares of the reference's epochs, and verdicts on the targets.

    The first target is a tenth of the reference's epochs on most tasks and a sixth on every one,
    the second at most 1.1 times the epochs of each baseline wherever that gets there at all.
    """
    there = {task: summaries for (task, number), summaries in found.items() if number == lanes}
    targets = ["≤ 1/10 on most, ≤ 1/6 on all", f"≤ {_SLACK} × {' and '.join(BASELINES)}"]
    rows = []
    for name in next(iter(there.values())):
        cells = []
        for summaries in there.values():
            share = _share(summaries, name)
            regret = "" if share < math.inf else f"; {100 * summaries[name].regret:+.2f}"
            cells.append(_share_words(share) + regret)
        cells += [_against_reference(there, name), _against_baselines(there, name)]
        rows.append([name, *cells])
    return _markdown([f"{lanes} lanes", *there, *targets], rows)


def task_table(found: Summaries, task: str) -> str:
    """One task: epochs with their interval, regret at the end and epochs in all."""
    there = {lanes: summaries for (name, lanes), summaries in found.items() if name == task}
    rows = [
        [name, *(_words(summaries[name]) for summaries in there.values())]
        for name in next(iter(there.values()))
    ]
    return _markdown([task, *(f"{lanes} lanes" for lanes in there)], rows)


def _share(summaries: Mapping[str, Summary], name: str) -> float:
    """Of the epochs that the reference spends in all, until it is as good; infinite if never."""
    return summaries[name].epochs / summaries[REFERENCE].spent


def _share_words(share: float) -> str:
    return f"1/{1 / share:.1f}" if share < math.inf else "never"


def _against_reference(tasks: Mapping[str, Mapping[str, Summary]], name: str) -> str:
    shares = [_share(summaries, name) for summaries in tasks.values()]
    good = sum(share <= _MOST for share in shares)
    is_met = 2 * good > len(shares) and max(shares) <= _WORST
    worst = _share_words(max(shares))
    return f"{'met' if is_met else 'missed'}: {good} of {len(shares)}, worst {worst}"


def _against_baselines(tasks: Mapping[str, Mapping[str, Summary]], name: str) -> str:
    comparable, lost = 0, []
    for task, summaries in tasks.items():
        least = min(summaries[baseline].epochs for baseline in BASELINES)
        comparable += least < math.inf
        if summaries[name].epochs > _SLACK * least:
            lost.append(task)
    if not comparable:
        return "neither gets there"
    if lost:
        return f"missed: {', '.join(lost)}"
    return f"met; they get there on {comparable} of {len(tasks)}"


def _words(found: Summary) -> str:
    low, high = (f"{each:.0f}" if math.isfinite(each) else "never" for each in found.interval)
    first = f"{found.epochs:.0f} ({low} to {high})" if math.isfinite(found.epochs) else "never"
    return f"{first}; {100 * found.regret:+.2f} after {found.spent:.0f}"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
