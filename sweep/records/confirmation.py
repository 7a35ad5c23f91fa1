"""Which configuration is the best on fresh seeds, by all runs of a confirmation."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from statistics import fmean

from sweep.records.study import StudyRecord, TrialRecord
from sweep.records.trial import Rank, TrialState

_SUFFIX = ".confirm"
_MAX_NAME = 64  # of a study's name, by the rules of a search space
_LARGEST = 1e100
_DIGITS = 12  # means that differ beyond them are equal, but for rounding
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def confirmation_name(search: str) -> str:
    """Name of the study that confirms a search; a long name is truncated."""
    return search[: _MAX_NAME - len(_SUFFIX)] + _SUFFIX


def candidate_runs(runs: StudyRecord) -> dict[int, tuple[TrialRecord, ...]]:
    """The runs of each candidate, by its number in the search; empty if this is no confirmation.

    They are in the order of the seeds; some are missing while the confirmation is not finished.
    """
    trials = runs.confirms.trials if runs.confirms else ()
    return {trial: _repetitions(runs, place) for place, trial in enumerate(trials)}


def baseline_runs(runs: StudyRecord) -> dict[str, tuple[TrialRecord, ...]]:
    """The runs of each baseline, by its name, likewise."""
    if runs.confirms is None:
        return {}
    first = len(runs.confirms.trials)
    return {
        name: _repetitions(runs, place) for place, name in enumerate(runs.confirms.baselines, first)
    }


def _repetitions(runs: StudyRecord, place: int) -> tuple[TrialRecord, ...]:
    """The runs of the configuration at this place."""
    assert runs.confirms is not None  # noqa: S101 - for the type checker
    num = runs.confirms.num_seeds
    first, end = (
        bisect_left(runs.trials, number, key=lambda run: run.number)
        for number in (place * num, (place + 1) * num)
    )
    return runs.trials[first:end]


def have_all_ended(runs: StudyRecord) -> bool:
    """Whether every run of a confirmation has ended, those of its baselines included."""
    if runs.confirms is None:
        return False
    total = runs.confirms.num_runs
    planned = [run for run in runs.trials if run.number < total]
    return len(planned) == total and all(run.state in _ENDED for run in planned)


def run_values(runs: StudyRecord, repeated: Sequence[TrialRecord]) -> tuple[float, ...]:
    """The objective of each COMPLETE run."""
    sign = -1 if runs.objective.goal == "maximize" else 1
    return tuple(sign * value for value, *_ in _ranks(runs, repeated))


def _ranks(runs: StudyRecord, repeated: Sequence[TrialRecord]) -> list[Rank]:
    """What each COMPLETE run is ranked by."""
    return [
        rank
        for run in repeated
        if run.state is TrialState.COMPLETE
        and run.outcome is not None
        and (rank := runs.objective.rank(run.outcome)) is not None
        # A stranger's store may hold numbers that no training gives and whose mean overflows.
        and abs(rank[0]) < _LARGEST
    ]


def num_failed(repeated: Sequence[TrialRecord]) -> int:
    """How many of these runs failed."""
    return sum(run.state is TrialState.FAIL for run in repeated)


def rank_candidates(runs: StudyRecord) -> list[tuple[int, float | None]]:
    """The candidates with the mean objective of their COMPLETE runs, best first.

    Fewer failed runs rank above a better mean, which ignores runs that a user of the configuration
    may meet. Equal means are ranked as single trials are (see `Objective.rank`): by the mean
    validation loss, the number of parameters, and the order of the search. Without a COMPLETE run
    a candidate comes last, with None.
    """
    all_runs = candidate_runs(runs)

    def place(trial: int) -> tuple[int, int, float, float, int]:
        ranks, failed = _ranks(runs, all_runs[trial]), num_failed(all_runs[trial])
        if not ranks:
            return 1, failed, 0.0, 0.0, 0
        values, losses, parameters, _ = zip(*ranks, strict=True)
        mean_loss = round(sum(losses) / len(losses), _DIGITS)
        return 0, failed, round(fmean(values), _DIGITS), mean_loss, parameters[0]

    ranked = sorted(all_runs, key=place)  # the sort is stable
    values = {trial: run_values(runs, all_runs[trial]) for trial in ranked}
    return [(trial, fmean(found) if found else None) for trial, found in values.items()]


def num_best_means(runs: StudyRecord) -> int:
    """How many candidates share the first one's mean and its number of failed runs."""
    all_runs = candidate_runs(runs)
    found = [
        (num_failed(all_runs[trial]), None if mean is None else round(mean, _DIGITS))
        for trial, mean in rank_candidates(runs)
    ]
    return found.count(found[0])


def chosen_run(runs: StudyRecord) -> TrialRecord | None:
    """The run whose network to use: the best of the winner's, by validation.

    None while runs are missing, or if none of the winner's is COMPLETE.
    """
    if not have_all_ended(runs):
        return None
    winner, _ = rank_candidates(runs)[0]
    numbers = {run.number for run in candidate_runs(runs)[winner]}
    return next((run for run in runs.ranked() if run.number in numbers), None)
