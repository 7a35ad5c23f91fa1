"""What the runs of a confirmation say together: which configuration is the best on fresh seeds."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from sweep.records.study import StudyRecord, TrialRecord
from sweep.records.trial import TrialState

_SUFFIX = ".confirm"
_MAX_NAME = 64  # of a study's name, by the rules of a search space
_LARGEST = 1e100
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def confirmation_name(search: str) -> str:
    """Name of the study that confirms a search; a long name is cut."""
    return search[: _MAX_NAME - len(_SUFFIX)] + _SUFFIX


def candidate_runs(runs: StudyRecord) -> dict[int, tuple[TrialRecord, ...]]:
    """The runs of each candidate, by its number in the search, in the order of the seeds.

    Args:
        runs: A confirmation, finished or not; empty for any other study.
    """
    confirms = runs.confirms
    if confirms is None:
        return {}
    num = confirms.num_seeds
    return {
        trial: runs.trials[index * num : (index + 1) * num]
        for index, trial in enumerate(confirms.trials)
    }


def have_all_ended(runs: StudyRecord) -> bool:
    """Whether every run of a confirmation has ended."""
    confirms = runs.confirms
    if confirms is None:
        return False
    total = len(confirms.trials) * confirms.num_seeds
    return len(runs.trials) >= total and all(run.state in _ENDED for run in runs.trials[:total])


def run_values(runs: StudyRecord, repeated: Sequence[TrialRecord]) -> tuple[float, ...]:
    """The objective of those runs that are COMPLETE."""
    return tuple(
        value
        for run in repeated
        if run.state is TrialState.COMPLETE
        and (value := runs.value(run)) is not None
        # A stranger's store may hold what no training gives, and no mean is made of.
        and abs(value) < _LARGEST
    )


def num_failed(repeated: Sequence[TrialRecord]) -> int:
    """How many of these runs failed."""
    return sum(run.state is TrialState.FAIL for run in repeated)


def rank_candidates(runs: StudyRecord) -> list[tuple[int, float | None]]:
    """The candidates with the mean objective of their COMPLETE runs, best first.

    Fewer failed runs come before a better mean: that mean is of the runs that happened to end
    well, and whoever uses the configuration may meet the others. Equal ones are in the order of
    the search; those without a COMPLETE run come last, with None.
    """
    sign = -1 if runs.objective.goal == "maximize" else 1
    all_runs = candidate_runs(runs)
    means: list[tuple[int, float | None]] = []
    for trial, repeated in all_runs.items():
        values = run_values(runs, repeated)
        means.append((trial, fmean(values) if values else None))

    def place(entry: tuple[int, float | None]) -> tuple[bool, int, float]:
        trial, mean = entry
        return mean is None, num_failed(all_runs[trial]), sign * (mean or 0.0)

    return sorted(means, key=place)  # the sort is stable


def chosen_run(runs: StudyRecord) -> TrialRecord | None:
    """The run whose network is to be used: the winner's with the best validation metric.

    None while runs of the confirmation are missing, or if none of them is COMPLETE.
    """
    if not have_all_ended(runs):
        return None
    winner, _ = rank_candidates(runs)[0]
    numbers = {run.number for run in candidate_runs(runs)[winner]}
    return next((run for run in runs.ranked() if run.number in numbers), None)
