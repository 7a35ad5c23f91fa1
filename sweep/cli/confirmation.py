"""A confirmation as text for people and as JSON for programs."""

from __future__ import annotations

from typing import Any

from sweep.definitions import is_share
from sweep.reporting.candidates import Candidate, Confirmation
from sweep.reporting.document import plain
from sweep.reporting.statistics import Mean, half_width
from sweep.words import columns, counted, metric_words, number_words, percent_or_number

__all__ = ["confirmation_json", "confirmation_text"]


def confirmation_text(study: str, found: Confirmation) -> str:
    """Which configuration is the best on fresh seeds, how good it is, and what that says."""
    candidates = found.candidates
    varied = [
        name
        for name in candidates[0].params
        if len({str(candidate.params.get(name)) for candidate in candidates}) > 1
    ]
    rows = [["rank", "trial", "in the search", "on fresh seeds", "", *varied]]
    rows += [_row(found, candidate, varied) for candidate in candidates]
    num = len(candidates)
    heading = (
        f"confirmation of study {study}: {counted(num, 'configuration')}, "
        f"{counted(found.num_seeds, 'seed')} each; {found.metric}, mean ± 95 % interval"
    )
    lines = [heading, "", *columns(rows), ""]
    if any(candidate.p_value_holm is not None for candidate in candidates):
        lines.append("tested against the winner: Welch's t-test over the seeds (p by Holm)")
    if found.test_mean is not None:
        metric = found.metric.replace("validation_", "test_")
        lines.append(
            f"{metric_words(metric)} of trial {found.winner}: {_mean(metric, found.test_mean)}"
        )
    return "\n".join([*lines, _survival(found)])


def confirmation_json(study: str, found: Confirmation) -> dict[str, Any]:
    """A confirmation for programs, as in `report.json`."""
    return {"search": study, **plain(found)}


def _row(found: Confirmation, candidate: Candidate, varied: list[str]) -> list[str]:
    mean = "–" if candidate.mean is None else _mean(found.metric, candidate.mean)
    return [
        str(candidate.rank),
        str(candidate.trial),
        percent_or_number(found.metric, candidate.search_value),
        mean + (f", {candidate.num_failed} failed" if candidate.num_failed else ""),
        _verdict(found, candidate),
        *(number_words(candidate.params.get(name, "–")) for name in varied),
    ]


def _verdict(found: Confirmation, candidate: Candidate) -> str:
    if candidate.trial == found.winner:
        return "winner"
    if candidate.p_value_holm is None:
        return "not tested"
    p_value = f"p {candidate.p_value_holm:.2g}"
    return f"tied with the winner ({p_value})" if candidate.tied else f"different ({p_value})"


def _survival(found: Confirmation) -> str:
    """What became of the search's best trial."""
    if len(found.candidates) == 1:
        return f"trial {found.winner} was confirmed alone: there is nothing to compare it with"
    best = next(candidate for candidate in found.candidates if candidate.search_rank == 1)
    who = f"trial {best.trial}, the best of {found.chosen_from},"
    if found.survived:
        again = f"{who} is the best on fresh seeds, too"
        return again if found.num_seeds > 1 else f"{again}; one run each proves little"
    how = {True: "tied with it", False: "different", None: "not tested against it"}[best.tied]
    if best.num_failed > found.candidates[0].num_failed:
        how = f"{best.num_failed} of its {counted(found.num_seeds, 'run')} failed"
    return f"{who} is number {best.rank} on fresh seeds, behind trial {found.winner}: {how}"


def _mean(metric: str, mean: Mean) -> str:
    """`98.12% ± 0.10 (5 runs)`: the interval covers the mean in 95 of 100 studies.

    One that was cut, where no value can be, is given by its ends.
    """
    value = percent_or_number(metric, mean.value)
    runs = counted(mean.num_runs, "run")
    if mean.interval is None:
        return f"{value} ({runs})" if mean.num_runs == 1 else f"{value} ({runs}, all alike)"
    low, high = mean.interval.low, mean.interval.high
    half = half_width(mean.value, low, high)
    if half is None:
        ends = " to ".join(percent_or_number(metric, end) for end in (low, high))
        return f"{value} ({ends}; {runs})"
    value += f" ± {100 * half:.2f}" if is_share(metric) else f" ± {half:.4f}"
    return f"{value} ({runs})"
