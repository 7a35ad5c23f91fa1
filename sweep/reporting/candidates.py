"""Whether the best trials of a search, or of its front, stay the best on fresh seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sweep.definitions import Scalar, is_share, read_model
from sweep.errors import StoreError
from sweep.records import (
    BASELINES,
    StudyRecord,
    TrialState,
    baseline_runs,
    candidate_runs,
    have_all_ended,
    num_best_means,
    num_failed,
    rank_candidates,
    run_values,
)
from sweep.reporting.statistics import (
    Comparison,
    Interval,
    Mean,
    MeanDifference,
    compare_means,
    corrected,
    mean_interval,
    p_no_difference,
    reading_value,
    unsplit_metric,
)
from sweep.space import baseline_parameters

__all__ = ["BaselineMean", "Candidate", "Confirmation", "confirmation"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the best configurations of a search, trained again on fresh seeds.

    Attributes:
        rank: 1 for the best: fewer failed runs, then a better mean, then the order of the search.
        trial: Number of the trial in the search.
        search_rank: Its rank among the candidates in the search, 1 for the best.
        search_value: Its validation metric in the search.
        values: Validation metric of each COMPLETE run, in the order of the seeds.
        difference: Its mean minus the winner's. Like all that follows, None for the winner, with
            fewer than two runs of either, and if neither varies between its runs.
        difference_interval: Welch's, at the confidence level `difference_level`, that of the step
            of Holm's correction that decided: it excludes zero if and only if the two differ.
        p_value_holm: Of Welch's t-test, corrected for all pairs of candidates.
        tied: Whether the runs cannot tell it from the winner.
        p_no_difference: The probability that it differs from the winner by less than what the
            report was told matters; None if it was not told.
    """

    rank: int
    trial: int
    search_rank: int
    params: dict[str, Scalar]
    search_value: float
    values: tuple[float, ...]
    mean: Mean | None
    num_failed: int
    difference: float | None
    difference_interval: Interval | None
    difference_level: float | None
    p_value_holm: float | None
    tied: bool | None
    p_no_difference: float | None = None


@dataclass(frozen=True, slots=True)
class BaselineMean:
    """What took no search, trained on the same fresh seeds: what was the search worth?

    Attributes:
        name: In words: `the default configuration` or `softmax regression`.
        values: Validation metric of each COMPLETE run, in the order of the seeds.
        difference: The winner's mean minus its mean. Like all that follows, None until the
            confirmation is finished, with fewer than two runs of either, and if neither varies.
        difference_interval: Welch's, at `difference_level`, as a candidate's.
        p_value_holm: Of Welch's t-test, corrected for all pairs of a candidate and a baseline: any
            candidate could have been the winner.
        tied: Whether the runs cannot tell it from the winner.
        beaten: Whether they show that the winner is better.
        p_no_difference: As a candidate's.
    """

    name: str
    params: dict[str, Scalar]
    values: tuple[float, ...]
    mean: Mean | None
    num_failed: int
    difference: float | None
    difference_interval: Interval | None
    difference_level: float | None
    p_value_holm: float | None
    tied: bool | None
    beaten: bool | None
    p_no_difference: float | None = None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The best trials of a search on fresh seeds, and the test split for the winner.

    Attributes:
        study: Name of the study that holds the runs.
        metric: What ranks the candidates: a name of `sweep.definitions.OBJECTIVES`.
        finished: Whether all runs have ended, and not all of them failed.
        num_seeds: Runs of each candidate.
        candidates: Best first.
        winner: Number of the winner's trial in the search; like `survived`, None until finished.
        survived: Whether the winner was also the best candidate in the search.
        test_values: Test metric of each of the winner's runs; empty while the test split is sealed.
        num_later: Trials of the search that ended after the confirmation began.
        failed: Whether all runs have ended, and all of them failed: there will be no winner.
        chosen_from: What the candidates are the best of, in words: the search, or as many of its
            trials as it had then, or the front of these. A later trial may lead the search, but was
            no candidate.
        orders_differ: Whether the seeds of a candidate saw the examples in different orders.
        num_best: How many trials of the search share its best value.
        num_best_means: How many candidates share the best mean.
        front: Whether they are points of the front against the number of parameters.
        baselines: The default configuration and softmax regression on the same seeds, unless they
            are candidates; empty in confirmations from before there were any.
    """

    study: str
    metric: str
    finished: bool
    num_seeds: int
    candidates: tuple[Candidate, ...]
    winner: int | None
    survived: bool | None
    test_values: tuple[float, ...]
    test_mean: Mean | None
    num_later: int = 0
    failed: bool = False
    chosen_from: str = "the search"
    orders_differ: bool = True
    num_best: int = 1
    num_best_means: int = 1
    front: bool = False
    baselines: tuple[BaselineMean, ...] = ()


def confirmation(
    record: StudyRecord, runs: StudyRecord | None, rope: float | None = None
) -> Confirmation | None:
    """Compare the candidates of a confirmation over their runs.

    Each is tested against the winner with Welch's t-test (Welch 1947). The same runs chose the
    winner, and any candidate could have been it: so the p-values are corrected (Holm 1979) for all
    pairs of candidates, not only for those that are tested. None without a confirmation. `rope` is
    the least difference that matters (see `p_no_difference`).

    Raises:
        StoreError: the search (`record`) and its confirmation (`runs`) contradict each other.
    """
    if runs is None or runs.confirms is None:
        return None
    order = rank_candidates(runs)
    first, best_mean = order[0]
    ended = have_all_ended(runs)
    finished = ended and best_mean is not None
    tests = _tests_against_winner(runs, order) if finished else {}
    test_values = _test_values(runs, first) if finished else ()
    num_then = runs.confirms.num_trials
    num_later = max(0, record.num_ended - num_then)
    first_trials = "trial" if num_then == 1 else f"{num_then:,} trials"
    search = f"the search's first {first_trials}" if num_later else "the search"
    front = f"the front of {search}" if num_later else "the front"
    return Confirmation(
        study=runs.name,
        metric=runs.objective.metric,
        finished=finished,
        num_seeds=runs.confirms.num_seeds,
        candidates=tuple(
            _candidate(record, runs, trial, rank, tests.get(trial), rope)
            for rank, (trial, _) in enumerate(order, start=1)
        ),
        winner=first if finished else None,
        survived=first == runs.confirms.trials[0] if finished else None,
        test_values=test_values,
        test_mean=_mean(runs, test_values),
        orders_differ=len({run.order for run in runs.trials}) > 1,
        num_later=num_later,
        failed=ended and best_mean is None,
        chosen_from=front if runs.confirms.front else search,
        num_best=record.num_best,
        num_best_means=num_best_means(runs) if finished else 1,
        front=runs.confirms.front,
        baselines=_baselines(runs, order, rope, finished=finished),
    )


def _tests_against_winner(
    runs: StudyRecord, order: list[tuple[int, float | None]]
) -> dict[int, Comparison[MeanDifference] | None]:
    """By candidate, its corrected test against the winner, where possible."""
    values = {trial: run_values(runs, of) for trial, of in candidate_runs(runs).items()}
    winner = values[order[0][0]]
    others = [trial for trial, _ in order[1:]]
    num_pairs = math.comb(sum(mean is not None for _, mean in order), 2)
    tests = corrected([compare_means(values[trial], winner) for trial in others], num_pairs)
    return dict(zip(others, tests, strict=True))


def _candidate(
    record: StudyRecord,
    runs: StudyRecord,
    trial: int,
    rank: int,
    tested: Comparison[MeanDifference] | None,
    rope: float | None,
) -> Candidate:
    searched = next((each for each in record.trials if each.number == trial), None)
    search_value = record.value(searched) if searched is not None else None
    if searched is None or search_value is None or not math.isfinite(search_value):
        raise StoreError(
            f"study {runs.name!r} confirms trial {trial} of study {record.name!r}, which has no "
            "such trial with a value: one of the two is damaged"
        )
    all_runs = candidate_runs(runs)
    values = run_values(runs, all_runs[trial])
    return Candidate(
        rank=rank,
        trial=trial,
        search_rank=list(all_runs).index(trial) + 1,
        params=searched.params,
        search_value=search_value,
        values=values,
        mean=_mean(runs, values),
        num_failed=num_failed(all_runs[trial]),
        difference=tested.test.difference if tested else None,
        difference_interval=tested.test.interval if tested else None,
        difference_level=tested.test.level if tested else None,
        p_value_holm=tested.p_value_holm if tested else None,
        tied=tested.tied if tested else None,
        p_no_difference=_p_no_difference(runs, tested, rope),
    )


def _p_no_difference(
    runs: StudyRecord, tested: Comparison[MeanDifference] | None, rope: float | None
) -> float | None:
    return p_no_difference(tested.test if tested else None, unsplit_metric(runs), rope)


def _baselines(
    runs: StudyRecord,
    order: list[tuple[int, float | None]],
    rope: float | None,
    *,
    finished: bool,
) -> tuple[BaselineMean, ...]:
    """The baselines, and the winner, who is the first in `order`, against each of them."""
    values = {name: run_values(runs, of) for name, of in baseline_runs(runs).items()}
    winner = run_values(runs, candidate_runs(runs)[order[0][0]])
    num_candidates = sum(mean is not None for _, mean in order)
    num_pairs = num_candidates * sum(map(bool, values.values()))
    tests = corrected(
        [compare_means(winner, own) if finished else None for own in values.values()], num_pairs
    )
    return tuple(
        _baseline(runs, name, tested, rope) for name, tested in zip(values, tests, strict=True)
    )


def _baseline(
    runs: StudyRecord,
    name: str,
    tested: Comparison[MeanDifference] | None,
    rope: float | None,
) -> BaselineMean:
    repeated = baseline_runs(runs)[name]
    values = run_values(runs, repeated)
    is_better = tested is not None and runs.objective.is_better(tested.test.difference, than=0.0)
    return BaselineMean(
        name=BASELINES[name],
        params=baseline_parameters(read_model(runs.space["model"]))[name],
        values=values,
        mean=_mean(runs, values),
        num_failed=num_failed(repeated),
        difference=tested.test.difference if tested else None,
        difference_interval=tested.test.interval if tested else None,
        difference_level=tested.test.level if tested else None,
        p_value_holm=tested.p_value_holm if tested else None,
        tied=tested.tied if tested else None,
        beaten=is_better and not tested.tied if tested else None,
        p_no_difference=_p_no_difference(runs, tested, rope),
    )


def _mean(runs: StudyRecord, values: tuple[float, ...]) -> Mean | None:
    highest = 1.0 if is_share(runs.objective.metric) else math.inf
    return mean_interval(values, highest=highest) if values else None


def _test_values(runs: StudyRecord, winner: int) -> tuple[float, ...]:
    """Test metric of the winner's COMPLETE runs; empty unless all of them were read."""
    metric = unsplit_metric(runs)
    values: list[float] = []
    for run in candidate_runs(runs)[winner]:
        if run.state is TrialState.COMPLETE:
            reading = runs.test_reading(run.number)
            value = reading_value(reading, metric) if reading else None
            if value is None:
                return ()
            values.append(value)
    return tuple(values)
