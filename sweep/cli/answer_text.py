"""What `show` says of a study, and `confirm` of its best configurations, on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.cli.study_text import failure_lines, headline, training_line
from sweep.definitions import is_share
from sweep.records import StudyState
from sweep.reporting.answer import Answer, Promise, answer
from sweep.reporting.candidates import Candidate, Confirmation
from sweep.reporting.reported import Reported
from sweep.reporting.statistics import Interval, Mean, compare_with_best, half_width
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

__all__ = ["answer_text", "confirmation_text"]

_LEADERBOARD = 5
_SHOWN_FAILURES = 5


def answer_text(study: Reported, storage: str = DEFAULT_STORAGE) -> str:
    """The configuration to use, how good it is, and what cannot be told from it.

    `storage` is for the commands that the text names.
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
    """What is known about the configuration, line by line."""
    metric = study.record.objective.metric
    cost = counts(study.record)
    rows = [("in the search", f"{metric} {percent_or_number(metric, found.trial.value)}")]
    if study.confirmation is not None:
        rows += _confirmed(study.confirmation, study.record.name, storage)
    rows.append(("the network", f"trial {found.network.number} of {found.network_study}"))
    rows += _tested(study, found, storage)
    for index, promise in enumerate(found.promises):
        label = "  on the test split" if index else "optimism"
        what = f"{promise.promised} against {promise.kept}"
        rows.append((label, f"{_difference(promise)}: {what}"))
    clock = f", {duration(cost.clock_seconds)} by the clock" if cost.clock_seconds else ""
    epochs = counted(cost.epochs, "epoch")
    rows.append(("cost", f"{epochs}, {duration(cost.seconds)} of workers' time{clock}"))
    return rows


def _confirmed(confirmation: Confirmation, search: str, storage: str) -> list[tuple[str, str]]:
    """What the runs on fresh seeds say, or why there is no winner."""
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
    rows = [("on fresh seeds", f"{mean}{_survival(confirmation)}{more}")]
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


def _survival(confirmation: Confirmation) -> str:
    """What became of the search's best, unless it clearly won again."""
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
    """Test results of the network: the study's metric, and accuracy."""
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
    return percent_or_number(metric, value) + _interval_words(metric, interval)


def _difference(promise: Promise) -> str:
    size, digits, unit = (100, 2, " points") if is_share(promise.metric) else (1, 4, "")
    words = f"{size * promise.difference:+.{digits}f}{unit}"
    return words + _interval_words(promise.metric, promise.interval, sign="+")


def _interval_words(metric: str, interval: Interval | None, sign: str = "") -> str:
    if interval is None:
        return ""
    size, digits = (100, 2) if is_share(metric) else (1, 4)
    low, high = (f"{size * end:{sign}.{digits}f}" for end in (interval.low, interval.high))
    return f" (95% interval {low} to {high})"


def _mean(mean: Mean, metric: str) -> str:
    value, runs = percent_or_number(metric, mean.value), counted(mean.num_runs, "fresh seed")
    if mean.interval is None:
        return f"{value} (one run)" if mean.num_runs == 1 else f"{value} ({runs}, all alike)"
    ends = [percent_or_number(metric, end) for end in (mean.interval.low, mean.interval.high)]
    return f"{value} (mean over {runs}, 95% interval {ends[0]} to {ends[1]})"


def _leaderboard(study: Reported) -> list[str]:
    """The best few of the search, and which of them are tied with the first."""
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
        trial = row.trial
        value = percent_or_number(metric, trial.value)
        params = [number_words(trial.params[name]) for name in varied]
        fixed = [str(row.rank), str(trial.number), value, _against(row, rows)]
        table.append([*fixed, str(trial.epochs_run), *params])
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
        f"{counted(found.num_seeds, 'seed')} each; {found.metric}, mean ± 95% interval"
    )
    lines = [heading, "", *columns(rows), ""]
    if any(candidate.p_value_holm is not None for candidate in candidates):
        lines.append("tested against the winner: Welch's t-test over the seeds (p by Holm)")
    if found.test_mean is not None:
        metric = found.metric.replace("validation_", "test_")
        mean = _mean_and_half(metric, found.test_mean)
        lines.append(f"{metric_words(metric)} of trial {found.winner}: {mean}")
    return "\n".join([*lines, _fate(found)])


def _row(found: Confirmation, candidate: Candidate, varied: list[str]) -> list[str]:
    mean = "–" if candidate.mean is None else _mean_and_half(found.metric, candidate.mean)
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


def _fate(found: Confirmation) -> str:
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


def _mean_and_half(metric: str, mean: Mean) -> str:
    """`98.12% ± 0.10 (5 runs)`; an interval that was cut at 100 % is given by its ends."""
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
