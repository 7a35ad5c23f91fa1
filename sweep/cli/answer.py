"""`sweep show STUDY`: the report's answer, and a small leaderboard, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sweep.cli.summary import failure_lines, headline, training_line
from sweep.definitions import is_share
from sweep.records import StudyState
from sweep.reporting.answer import Answer, Promise, answer
from sweep.reporting.candidates import Confirmation
from sweep.reporting.document import answer_document, plain
from sweep.reporting.reported import Reported
from sweep.reporting.statistics import Interval, Mean, compare_with_best
from sweep.reporting.tables import LeaderboardRow, counts, leaderboard
from sweep.words import (
    DEFAULT_STORAGE,
    columns,
    command_words,
    counted,
    duration,
    metric_words,
    number_words,
    percent_or_number,
    storage_words,
    tie_words,
)

__all__ = ["answer_json", "answer_text"]

_LEADERBOARD = 5
_SHOWN_FAILURES = 5


def answer_text(study: Reported, storage: str = DEFAULT_STORAGE) -> str:
    """A study for people: what to use, how good it is, what cannot be told from it.

    Args:
        study: The study.
        storage: Where it is, for the commands that the text names.
    """
    found = answer(study)
    failures = failure_lines(study.record, storage_words(storage))
    lines = [headline(study.record), *training_line(study.record)]
    if study.record.confirms is not None:  # a mean chooses there, not a run
        search = study.record.confirms.study
        command = command_words("show", search, storage)
        lines.append(f"it confirms study {search} on fresh seeds: see `{command}`")
        lines += ["its single runs:", "", *_leaderboard(study)]
        return "\n".join([*lines, *failures])
    if found is None:
        return "\n".join([*lines, "no trial is complete", *failures])
    lines += _configuration(study, found)
    lines += columns([[f"  {what}", *said] for what, *said in _measured(study, found, storage)])
    lines += ["", *_leaderboard(study)]
    return "\n".join([*lines, *failures])


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
    # Not rounded: these are to be copied into a search space.
    rows = [
        [f"  {name}", str(found.trial.params[name]), "" if name in searched else "fixed"]
        for name in sorted(names, key=lambda name: name not in searched)
    ]
    why = "the best on fresh seeds" if found.confirmed else "the best on validation examples"
    return [f"use the configuration of trial {found.trial.number}, {why}:", *columns(rows)]


def _measured(study: Reported, found: Answer, storage: str) -> list[tuple[str, str]]:
    """What is known of the configuration, line by line."""
    metric = study.record.objective.metric
    cost = counts(study.record)
    rows = [("in the search", f"{metric} {percent_or_number(metric, found.trial.value)}")]
    if study.confirmation is not None:
        rows += _confirmed(study.confirmation, study.record.name, storage)
    rows.append(("the network", f"trial {found.network.number} of {found.network_study}"))
    rows += _tested(study, found, storage)
    for index, promise in enumerate(found.promises):
        label = "  on the test split" if index else "promised too much"
        what = f"{promise.promised} against {promise.kept}"
        rows.append((label, f"{_difference(promise)}: {what}"))
    clock = f", {duration(cost.clock_seconds)} by the clock" if cost.clock_seconds else ""
    rows.append(
        (
            "cost",
            f"{counted(cost.epochs, 'epoch')}, {duration(cost.seconds)} of workers' time{clock}",
        )
    )
    return rows


def _confirmed(confirmation: Confirmation, search: str, storage: str) -> list[tuple[str, str]]:
    """What the runs on fresh seeds say; of one without a winner, why it has none."""
    metric = confirmation.metric
    winner = confirmation.candidates[0]
    if confirmation.failed:
        command = command_words("show", confirmation.study, storage)
        why = f"not confirmed: all runs failed; `{command}` says how"
        return [("on fresh seeds", why)]
    if not confirmation.finished or winner.mean is None:
        command = command_words("confirm", search, storage)
        return [("on fresh seeds", f"not confirmed yet: `{command}` goes on")]
    mean = f"{metric} {_mean(winner.mean, metric)}"
    later = confirmation.num_later
    more = f"; {counted(later, 'later trial')} not confirmed" if later else ""
    rows = [("on fresh seeds", f"{mean}{_survived(confirmation)}{more}")]
    rows += _failed(confirmation)
    if confirmation.test_mean is not None:
        tested = metric.replace("validation_", "test_")
        rows.append((metric_words(tested), _mean(confirmation.test_mean, tested)))
    return rows


def _failed(confirmation: Confirmation) -> list[tuple[str, str]]:
    """How many runs failed, and whose."""
    failing = [candidate for candidate in confirmation.candidates if candidate.num_failed]
    if not failing:
        return []
    runs = counted(confirmation.num_seeds, "run")
    whose = [f"{c.num_failed} of {runs} of trial {c.trial}" for c in failing[:_SHOWN_FAILURES]]
    if len(failing) > len(whose):
        whose.append(f"some of {counted(len(failing) - len(whose), 'other candidate')}")
    return [("  failed", f"{', '.join(whose)}: fewer failures count for more than a better mean")]


def _survived(confirmation: Confirmation) -> str:
    """What became of the best by then, if it is not the winner, or won nothing worth the name."""
    winner, *others = confirmation.candidates
    if confirmation.survived:
        if others and confirmation.num_seeds == 1:
            return "; the best again on one run each, which proves little"
        return ""
    (searched,) = (c for c in confirmation.candidates if c.search_rank == 1)
    who = f"; the best of {confirmation.chosen_from}, trial {searched.trial}, "
    if searched.num_failed > winner.num_failed:
        return f"{who}failed more often"
    how = {
        True: "cannot be told from it",
        False: "is worse",
        None: "was not tested against it",
    }
    return who + how[searched.tied]


def _tested(study: Reported, found: Answer, storage: str) -> list[tuple[str, str]]:
    """What the network reaches on the test split: in the study's metric, and right answers."""
    metric = study.record.objective.metric.replace("validation_", "test_")
    rows: list[tuple[str, str]] = []
    if metric != "test_accuracy" and found.test_value is not None:
        words = _with_interval(metric, found.test_value, found.test_value_interval)
        rows.append((f"  its {metric_words(metric)}", words))
    rows.append(("  its test accuracy", _test_words(study, found, storage)))
    return rows


def _test_words(study: Reported, found: Answer, storage: str) -> str:
    if found.test_accuracy is None:
        if study.runs is not None and study.runs.state is not StudyState.FINISHED:
            return f"sealed until `{command_words('confirm', study.record.name, storage)}` is done"
        if study.record.state is not StudyState.FINISHED:
            return "sealed until the study is finished"
        return (
            f"not read yet: `{command_words('report', study.record.name, storage)}` reads it once"
        )
    return _with_interval("test_accuracy", found.test_accuracy, found.test_accuracy_interval)


def _with_interval(metric: str, value: float, interval: Interval | None) -> str:
    words = percent_or_number(metric, value)
    if interval is None:
        return words
    size, digits = (100, 2) if is_share(metric) else (1, 4)
    low, high = (f"{size * end:.{digits}f}" for end in (interval.low, interval.high))
    return f"{words} (95 % interval {low} to {high})"


def _difference(promise: Promise) -> str:
    """By how much, with its interval if it has one."""
    size, digits, unit = (100, 2, " points") if is_share(promise.metric) else (1, 4, "")
    words = f"{size * promise.difference:+.{digits}f}{unit}"
    if promise.interval is None:
        return words
    low, high = (size * end for end in (promise.interval.low, promise.interval.high))
    return f"{words} (95 % interval {low:+.{digits}f} to {high:+.{digits}f})"


def _mean(mean: Mean, metric: str) -> str:
    value, runs = percent_or_number(metric, mean.value), counted(mean.num_runs, "fresh seed")
    if mean.interval is None:
        return f"{value} (one run)" if mean.num_runs == 1 else f"{value} ({runs}, all alike)"
    ends = [percent_or_number(metric, end) for end in (mean.interval.low, mean.interval.high)]
    return f"{value} (mean over {runs}, 95 % interval {ends[0]} to {ends[1]})"


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
        name = next(iter(comparisons.values())).test.name
        lines.append(
            f"{tie_words(tied, len(comparisons), 'complete trial')} be told from the best by "
            f"{metric} ({name}, Holm)"
        )
        if tied < len(comparisons):
            lines.append("these are single networks: another seed may turn a difference round")
    return lines


def _against(row: LeaderboardRow, rows: Sequence[LeaderboardRow]) -> str:
    if row is rows[0]:
        return "best"
    if row.comparison is None:
        return "not compared"
    return "indistinguishable" if row.comparison.tied else "different"
