"""`sweep show STUDY`: the report's answer, and a small leaderboard, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sweep.cli.summary import failure_lines, headline
from sweep.cli.words import columns, percent_or_number
from sweep.records import StudyState
from sweep.reporting.answer import Answer, Promise, answer
from sweep.reporting.confirmation import Confirmation
from sweep.reporting.document import answer_document, plain
from sweep.reporting.reported import Reported
from sweep.reporting.statistics import Interval, Mean, compare_with_best
from sweep.reporting.tables import LeaderboardRow, counts, leaderboard
from sweep.words import duration, number_words

__all__ = ["answer_json", "answer_text"]

_LEADERBOARD = 5


def answer_text(study: Reported) -> str:
    """A study for people: what to use, how good it is, what cannot be told from it."""
    found = answer(study)
    lines = [headline(study.record)]
    if study.record.confirms is not None:  # a mean chooses there, not a run
        search = study.record.confirms.study
        lines.append(f"it confirms study {search} on fresh seeds: see `sweep show {search}`")
        lines += ["its single runs:", "", *_leaderboard(study)]
        return "\n".join([*lines, *failure_lines(study.record)])
    if found is None:
        return "\n".join([*lines, "no trial is complete", *failure_lines(study.record)])
    lines += _configuration(study, found)
    lines += columns([[f"  {what}", *said] for what, *said in _measured(study, found)])
    lines += ["", *_leaderboard(study)]
    return "\n".join([*lines, *failure_lines(study.record)])


def answer_json(study: Reported) -> dict[str, Any]:
    """The same for programs: the answer and the confirmation as in `report.json`."""
    found = answer(study) if study.record.confirms is None else None
    return {
        "answer": answer_document(found) if found is not None else None,
        "confirmation": plain(study.confirmation),
    }


def _configuration(study: Reported, found: Answer) -> list[str]:
    searched = study.space.sampled
    names = [name for name in found.trial.params if name not in found.trial.unused_params]
    rows = [
        [f"  {name}", number_words(found.trial.params[name]), "" if name in searched else "fixed"]
        for name in sorted(names, key=lambda name: name not in searched)
    ]
    why = "the best on fresh seeds" if found.confirmed else "the best on validation images"
    return [f"use the configuration of trial {found.trial.number}, {why}:", *columns(rows)]


def _measured(study: Reported, found: Answer) -> list[tuple[str, str]]:
    """What is known of the configuration, line by line."""
    metric = study.record.objective.metric
    cost = counts(study.record)
    rows = [("in the search", f"{metric} {percent_or_number(metric, found.trial.value)}")]
    if study.confirmation is not None and found.confirmed:
        (winner,) = (c for c in study.confirmation.candidates if c.trial == found.trial.number)
        survived = _survived(study.confirmation)
        later = study.confirmation.num_later
        if later:
            survived += f"; {later} later trial{'s' if later > 1 else ''} not confirmed"
        if winner.mean is not None:
            rows.append(("on fresh seeds", f"{metric} {_mean(winner.mean, metric)}{survived}"))
        if study.confirmation.test_mean is not None:
            rows.append(("test accuracy", _mean(study.confirmation.test_mean, "accuracy")))
    rows.append(("the network", f"trial {found.network.number} of {found.network_study}"))
    rows.append(("  its test accuracy", _test_words(study, found)))
    for promise in found.promises:
        what = f"{promise.promised} minus {promise.kept}"
        rows.append(("promised too much", f"{_difference(promise)} ({what})"))
    clock = f", {duration(cost.clock_seconds)} by the clock" if cost.clock_seconds else ""
    rows.append(
        ("cost", f"{cost.epochs:,} epochs, {duration(cost.seconds)} of workers' time{clock}")
    )
    return rows


def _survived(confirmation: Confirmation) -> str:
    (searched,) = (c for c in confirmation.candidates if c.search_rank == 1)
    if confirmation.survived:
        return ""
    if searched.tied is False:
        return f"; the search's best, trial {searched.trial}, is worse"
    return f"; the search's best, trial {searched.trial}, cannot be told from it"


def _test_words(study: Reported, found: Answer) -> str:
    if found.test_accuracy is None or found.test_accuracy_interval is None:
        if study.runs is not None and study.runs.state is not StudyState.FINISHED:
            return f"sealed until `sweep confirm {study.record.name}` is done"
        if study.record.state is not StudyState.FINISHED:
            return "sealed until the study is finished"
        return f"not read yet: `sweep report {study.record.name}` reads it once"
    interval = _interval(found.test_accuracy_interval)
    return f"{found.test_accuracy:.2%} (95 % interval {interval})"


def _difference(promise: Promise) -> str:
    if promise.metric.endswith("accuracy"):
        return f"{100 * promise.difference:+.2f} points"
    return f"{promise.difference:+.4f}"


def _mean(mean: Mean, metric: str) -> str:
    value, runs = percent_or_number(metric, mean.value), f"{mean.num_runs} fresh seeds"
    if mean.interval is None:
        return f"{value} (one run)" if mean.num_runs == 1 else f"{value} ({runs}, all alike)"
    ends = [percent_or_number(metric, end) for end in (mean.interval.low, mean.interval.high)]
    return f"{value} (mean over {runs}, 95 % interval {ends[0]} to {ends[1]})"


def _interval(interval: Interval) -> str:
    return f"{100 * interval.low:.2f} to {100 * interval.high:.2f}"


def _leaderboard(study: Reported) -> list[str]:
    """The best few of the search, and which of them the data cannot tell from the first."""
    comparisons = compare_with_best(study.record)
    rows = leaderboard(study.record, study.space, comparisons, _LEADERBOARD)
    varied = [
        name
        for name in study.space.sampled
        if len({str(row.trial.params[name]) for row in rows}) > 1
    ]
    metric = study.record.objective.metric
    table = [["rank", "trial", metric, "against the best", "epochs run", *varied]]
    for row in rows:
        value = percent_or_number(metric, row.trial.value)
        params = [number_words(row.trial.params[name]) for name in varied]
        against = _against(row, rows)
        table.append(
            [
                str(row.rank),
                str(row.trial.number),
                value,
                against,
                str(row.trial.epochs_run),
                *params,
            ]
        )
    lines = columns(table)
    if comparisons:
        tied = sum(comparison.tied for comparison in comparisons.values())
        lines.append(
            f"{tied} of {len(comparisons)} other complete trials cannot be told from the best "
            "(McNemar, Holm)"
        )
    return lines


def _against(row: LeaderboardRow, rows: Sequence[LeaderboardRow]) -> str:
    if row is rows[0]:
        return "best"
    if row.comparison is None:
        return "not compared"
    return "indistinguishable" if row.comparison.tied else "different"
