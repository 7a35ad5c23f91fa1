"""What `show` says of a study, and `confirm` of its best configurations, on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sweep.cli.layout import Block, Entries, Table, laid_out
from sweep.cli.study_text import failure_lines, headline, training_line
from sweep.definitions import Scalar, is_share
from sweep.records import StudyState
from sweep.reporting.answer import Answer, answer
from sweep.reporting.candidates import BaselineMean, Candidate, Confirmation
from sweep.reporting.diagnostics import Verdict, main_diagnoses
from sweep.reporting.reported import Reported
from sweep.reporting.sentences import baseline_verdict
from sweep.reporting.statistics import Interval, Mean, compare_with_best, half_width
from sweep.reporting.tables import LeaderboardRow, counts, leaderboard
from sweep.space import effective_parameters, notable_parameters
from sweep.words import (
    DEFAULT_STORAGE,
    command_words,
    counted,
    difference_words,
    duration,
    equal_words,
    foreign_words,
    interval_words,
    metric_words,
    number_words,
    percent_or_number,
    tie_words,
)

__all__ = ["answer_text", "confirmation_text"]

_LEADERBOARD = 5
_SHOWN_FAILURES = 5


def answer_text(study: Reported, storage: str = DEFAULT_STORAGE, width: int | None = None) -> str:
    """The configuration to use and how good it is; `storage` is for the commands that it names."""
    return laid_out(_answer(study, storage), width)


def _answer(study: Reported, storage: str) -> list[Block]:
    found = answer(study)
    failures = failure_lines(study.record, storage)
    lines: list[Block] = [headline(study.record), *training_line(study.record)]
    if study.record.foreign:
        lines.append(foreign_words(study.record.foreign))
    if study.record.confirms is not None:  # a mean chooses there, not a run
        search = study.record.confirms.study
        command = command_words("show", search, storage)
        lines.append(f"it confirms study {search} on fresh seeds: see `{command}`")
        lines += ["its single runs:", "", *_leaderboard(study)]
        return [*lines, *failures]
    if found is None:
        return [*lines, "no trial is complete", *failures]
    lines += _configuration(study, found)
    lines.append(Entries([(f"  {what}", said) for what, said in _measured(study, found, storage)]))
    return [*lines, *_warnings(study, found), "", *_leaderboard(study), *failures]


def _warnings(study: Reported, found: Answer) -> list[Block]:
    """What the most important checks of the report warn of."""
    return [
        Entries([("warning", f"{each.finding} {each.evidence} Way out: {each.remedy}.")])
        for each in main_diagnoses(study, found)
        if each.verdict is Verdict.WARNING
    ]


def _configuration(study: Reported, found: Answer) -> list[Block]:
    searched = study.space.sampled
    names = notable_parameters(study.space, found.trial.params)
    # Not rounded: these are to be copied into a search space.
    rows = [
        [f"  {name}", str(found.trial.params[name]), "" if name in searched else "fixed"]
        for name in sorted(names, key=lambda name: name not in searched)
    ]
    why = "the best on fresh seeds" if found.confirmed else "the best on validation examples"
    return [f"use the configuration of trial {found.trial.number}, {why}:", Entries(rows)]


def _measured(study: Reported, found: Answer, storage: str) -> list[tuple[str, str]]:
    metric = study.record.objective.metric
    cost = counts(study.record)
    rows = [("in the search", f"{metric} {percent_or_number(metric, found.trial.value)}")]
    if study.confirmation is not None:
        rows += _confirmed(study.confirmation, study.record.name, storage)
    rows.append(("the network", f"trial {found.network.number} of {found.network_study}"))
    rows += _tested(study, found, storage)
    for index, promise in enumerate(found.promises):
        label = "  on the test split" if index else "optimism"
        difference = difference_words(promise.metric, promise.difference, promise.interval, 0.95)
        rows.append((label, f"{difference}: {promise.promised} against {promise.kept}"))
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
        return [("on fresh seeds", f"not confirmed yet: `{command}` continues")]
    said = f"{metric} {_mean_words(metric, winner.mean)}"
    if winner.mean.interval is not None:
        said += ", mean and 95% interval"
    is_alone = len(confirmation.candidates) == 1
    if not (is_alone or (confirmation.survived and confirmation.num_seeds > 1)):
        said += f"; {_fate(confirmation)}"
    if confirmation.num_later:
        said += f"; {counted(confirmation.num_later, 'later trial')} not confirmed"
    rows = [("on fresh seeds", said), *_failed(confirmation)]
    rows += [
        ("  against", _against_baseline(confirmation, each)) for each in confirmation.baselines
    ]
    if confirmation.test_mean is not None:
        tested = _on_test(metric)
        rows.append((metric_words(tested), _mean_words(tested, confirmation.test_mean)))
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


def _tested(study: Reported, found: Answer, storage: str) -> list[tuple[str, str]]:
    """Test results of the network: the study's metric, and accuracy."""
    metric = _on_test(study.record.objective.metric)
    rows: list[tuple[str, str]] = []
    if metric != "test_accuracy" and found.test_value is not None:
        words = _with_interval(metric, found.test_value, found.test_value_interval)
        rows.append((f"  its {metric_words(metric)}", words))
    rows.append(("  its test accuracy", _test_words(study, found, storage)))
    rows += [
        (
            f"  its {metric_words(each.metric)}",
            _with_interval(each.metric, each.value, each.interval),
        )
        for each in found.class_averages
    ]
    baseline = found.baseline
    if baseline is not None and baseline.test_value is not None:
        value = percent_or_number("test_accuracy", baseline.test_value)
        words = f"{metric_words(baseline.metric)} {value} on the test split"
        rows.append((f"  always saying {baseline.class_name!r}", words))
    if study.reading is not None and study.reading.num_in_training:
        of = f"{study.reading.num_in_training:,} of {study.reading.num_images:,} test examples"
        rows.append(("  not unseen", f"{of} also stand in the training pool"))
    return rows


def _test_words(study: Reported, found: Answer, storage: str) -> str:
    if found.test_accuracy is None:
        if study.runs is not None and study.runs.state is not StudyState.FINISHED:
            return f"sealed until `{command_words('confirm', study.record.name, storage)}` is done"
        if study.record.state is not StudyState.FINISHED:
            return "sealed until the study is finished"
        command = command_words("report", study.record.name, storage)
        return f"not read yet: `{command}` reads it once"
    return _with_interval("test_accuracy", found.test_accuracy, found.test_accuracy_interval)


def _with_interval(metric: str, value: float, interval: Interval | None) -> str:
    words = percent_or_number(metric, value)
    return (
        words if interval is None else f"{words} (95% interval {interval_words(metric, interval)})"
    )


def _on_test(metric: str) -> str:
    """The name of a validation metric's counterpart on the test split."""
    return metric.replace("validation_", "test_")


def _varied(names: Iterable[str], configurations: Sequence[Mapping[str, Scalar]]) -> list[str]:
    """The hyperparameters that differ between these configurations."""
    return [name for name in names if len({str(each.get(name)) for each in configurations}) > 1]


def _leaderboard(study: Reported) -> list[Block]:
    """The best few of the search, and which of them are tied with the first."""
    comparisons = compare_with_best(study.record)
    rows = leaderboard(study.record, study.space, comparisons, _LEADERBOARD)
    used = [dict(effective_parameters(study.space, row.trial.params)) for row in rows]
    varied = _varied(study.space.sampled, used)
    metric = study.record.objective.metric
    repeats = [] if study.record.confirms is None else ["repeats"]
    table = []
    for row, values in zip(rows, used, strict=True):
        trial = row.trial
        value = percent_or_number(metric, trial.value)
        params = [number_words(values.get(name)) for name in varied]
        fixed = [str(row.rank), str(trial.number), value, _against(row, rows)]
        fixed += [str(trial.epochs_run), *[trial.origin or "" for _ in repeats]]
        table.append([*fixed, *params])
    heading = ["rank", "trial", metric, "against the best", "epochs run", *repeats, *varied]
    worth = ["trial", "epochs run", metric, *repeats, "against the best", *varied]
    lines: list[Block] = [Table(heading, table, worth, num_kept=2)]
    if study.record.num_best > 1:
        lines.append(equal_words(study.record.num_best, metric))
    if comparisons:
        tied = sum(comparison.tied for comparison in comparisons.values())
        name = next(iter(comparisons.values())).test.name
        lines.append(
            f"{tie_words(tied, len(comparisons), 'complete trial')} be told apart from the best by "
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


def confirmation_text(study: str, found: Confirmation, width: int | None = None) -> str:
    """Which configuration is the best on fresh seeds, and how good it is."""
    candidates = found.candidates
    varied = _varied(candidates[0].params, [candidate.params for candidate in candidates])
    table = Table(
        ["rank", "trial", "in the search", "on fresh seeds", "verdict", *varied],
        [_row(found, candidate, varied) for candidate in candidates],
        worth=["trial", "on fresh seeds", "verdict", "in the search", *varied],
    )
    heading = (
        f"confirmation of study {study}: {counted(len(candidates), 'configuration')}, "
        f"{counted(found.num_seeds, 'seed')} each; {found.metric}, mean ± 95% interval"
    )
    lines: list[Block] = [heading, "", table, ""]
    if found.num_best > 1:
        lines.append(f"in the search {equal_words(found.num_best, found.metric)}")
    if found.num_best_means > 1:
        lines.append(equal_words(found.num_best_means, f"mean {found.metric}", "configuration"))
    if any(candidate.p_value_holm is not None for candidate in candidates):
        lines.append("tested against the winner: Welch's t-test over the seeds (p by Holm)")
    lines += [_against_baseline(found, baseline) for baseline in found.baselines]
    if found.test_mean is not None:
        metric = _on_test(found.metric)
        mean = _mean_words(metric, found.test_mean)
        lines.append(f"{metric_words(metric)} of trial {found.winner}: {mean}")
    return laid_out([*lines, _fate(found)], width)


def _row(found: Confirmation, candidate: Candidate, varied: list[str]) -> list[str]:
    mean = "–" if candidate.mean is None else _mean_words(found.metric, candidate.mean)
    return [
        str(candidate.rank),
        str(candidate.trial),
        percent_or_number(found.metric, candidate.search_value),
        mean + (f", {candidate.num_failed} failed" if candidate.num_failed else ""),
        _verdict(found, candidate),
        *(number_words(candidate.params.get(name)) for name in varied),
    ]


def _verdict(found: Confirmation, candidate: Candidate) -> str:
    if candidate.trial == found.winner:
        return "winner"
    if candidate.p_value_holm is None:
        return "not tested"
    p_value = f"p {candidate.p_value_holm:.2g}"
    return f"tied with the winner ({p_value})" if candidate.tied else f"different ({p_value})"


def _against_baseline(found: Confirmation, baseline: BaselineMean) -> str:
    """Whether the search was worth it: its winner against what took none."""
    who, name = f"trial {found.winner}", baseline.name
    failed = counted(baseline.num_failed, "failed run")
    if baseline.mean is None:
        return f"{name} has no mean to compare with: {failed}"
    said = baseline_verdict(found.metric, who, baseline)
    if baseline.difference is None:
        said += f": {_mean_words(found.metric, baseline.mean)}"
    return f"{said}; {name} has {failed}" if baseline.num_failed else said


def _fate(found: Confirmation) -> str:
    """How the search's best trial fared on fresh seeds."""
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


def _mean_words(metric: str, mean: Mean) -> str:
    """`98.12% ± 0.10 (5 runs)`; an interval that was cut at 100% is given by its ends."""
    value = percent_or_number(metric, mean.value)
    runs = counted(mean.num_runs, "run")
    if mean.interval is None:
        return f"{value} ({runs})" if mean.num_runs == 1 else f"{value} ({runs}, all alike)"
    half = half_width(mean.value, mean.interval.low, mean.interval.high)
    if half is None:
        return f"{value} ({interval_words(metric, mean.interval)}; {runs})"
    value += f" ± {100 * half:.2f}" if is_share(metric) else f" ± {half:.4f}"
    return f"{value} ({runs})"
