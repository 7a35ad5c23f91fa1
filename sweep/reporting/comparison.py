"""Several studies side by side: what each reached, what it cost, and whether they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from sweep.definitions import is_share
from sweep.records import Objective, StudyRecord
from sweep.reporting.series import StudyTest, best_so_far, study_test
from sweep.reporting.statistics import (
    Comparison,
    MeanDifference,
    PairedTest,
    compare_means,
    compare_readings,
    corrected,
    p_no_difference,
    unsplit_metric,
)
from sweep.reporting.tables import counts

if TYPE_CHECKING:
    from sweep.reporting.reported import Reported

__all__ = [
    "StudyComparison",
    "StudyPair",
    "StudySummary",
    "compare_studies",
    "epochs_to_reach",
    "sensible_values",
]

_MAX_VALUES = 4
_ROUND_SHARES = (
    0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.88, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98,
    0.985, 0.99, 0.995, 0.998, 0.999,
)  # fmt: skip
_ROUND_LOSSES = (
    2.0, 1.5, 1.0, 0.7, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.12, 0.1, 0.08, 0.07, 0.06, 0.05, 0.04,
    0.03, 0.02, 0.01, 0.005, 0.002, 0.001,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StudySummary:
    """What one study reached, and what it cost.

    Attributes:
        epochs: Epochs run by all trials, pruned and failed ones included.
        seconds: Workers' time for its trials.
        best: Number of the trial that validation chose, or None while none is COMPLETE.
        metric: What it ranks by, a name of `sweep.definitions.OBJECTIVES`.
        value: Of the best trial; the more trials it was chosen from, the more optimistic.
        test: None while the test split is sealed.
        epochs_to_reach: Epochs spent to reach each of the comparison's values, None if never.
    """

    name: str
    dataset: str
    sampler: str
    pruner: str
    num_trials: int
    epochs: int
    seconds: float
    best: int | None
    metric: str
    value: float | None
    test: StudyTest | None
    epochs_to_reach: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class StudyPair:
    """Two studies that rank by the same metric, on the same test examples.

    `networks` asks whether the two chosen networks are equally good (None if their predictions are
    unknown), `means` whether the configurations reach the same value on average over seeds (None
    if one of the studies has too few). P-values are corrected for all pairs of studies, and the
    interval of each test has the level that decided (see `Comparison`). The probabilities are those
    that the two differ by less than what matters (see `p_no_difference`).
    """

    first: str
    second: str
    metric: str
    networks: PairedTest | None
    networks_p_value_holm: float | None
    networks_tied: bool | None
    networks_p_no_difference: float | None
    means: MeanDifference | None
    means_p_value_holm: float | None
    means_tied: bool | None
    means_p_no_difference: float | None


@dataclass(frozen=True, slots=True)
class StudyComparison:
    """Several studies side by side.

    Attributes:
        metric: What all of them rank by, or None if they differ.
        values: Validation values whose cost is compared, the easiest first; empty without `metric`.
        pairs: Studies that rank by the same metric and were tested on the same examples.
    """

    metric: str | None
    values: tuple[float, ...]
    studies: tuple[StudySummary, ...]
    pairs: tuple[StudyPair, ...]


def compare_studies(studies: Sequence[Reported], rope: float | None = None) -> StudyComparison:
    """Compare what several studies reached, what it cost, and whether they differ.

    `rope` is the least difference that matters (see `p_no_difference`).
    """
    records = [study.record for study in studies]
    metrics = {record.objective.metric for record in records}
    values = sensible_values(records) if len(metrics) == 1 else ()
    return StudyComparison(
        metrics.pop() if len(metrics) == 1 else None,
        values,
        tuple(_summary(study, values) for study in studies),
        _pairs(studies, rope),
    )


def sensible_values(records: Sequence[StudyRecord]) -> tuple[float, ...]:
    """Up to four round values of the common metric that are worth a comparison, the easiest first.

    They are the best that a study reached: all studies reach the easy ones at once. Each data set
    has its share of the four, because what is easy on one is out of reach on another.
    """
    if not records:
        return ()
    objective = records[0].objective
    steps = _ROUND_SHARES if is_share(objective.metric) else _ROUND_LOSSES
    reached: dict[str, list[float]] = {}  # by data set
    for record in records:
        costs = zip(steps, epochs_to_reach(record, steps), strict=True)
        own = [step for step, epochs in costs if epochs is not None]
        data = record.data.fingerprint
        reached[data] = max(own, reached.get(data, []), key=len)
    share = max(1, _MAX_VALUES // len(reached))
    chosen = {step for own in reached.values() for step in own[-share:]}
    return tuple(step for step in steps if step in chosen)[-_MAX_VALUES:]


def epochs_to_reach(record: StudyRecord, values: Sequence[float]) -> tuple[int | None, ...]:
    """Epochs of all trials, by number, up to the first COMPLETE one that reached each value.

    None if none did.
    """
    progress = best_so_far(record)
    steps = list(zip(progress.epochs, progress.values, strict=True))
    return tuple(
        next((epochs for epochs, best in steps if _reaches(record.objective, best, value)), None)
        for value in values
    )


def _reaches(objective: Objective, value: float, wanted: float) -> bool:
    return not objective.is_better(wanted, than=value)


def _summary(study: Reported, values: Sequence[float]) -> StudySummary:
    record, space = study.record, study.space
    counted = counts(record)
    best = record.best
    return StudySummary(
        name=record.name,
        dataset=space.dataset.title,
        sampler=space.sampler.type,
        pruner=space.pruner.type,
        num_trials=counted.trials,
        epochs=counted.epochs,
        seconds=counted.seconds,
        best=best.number if best else None,
        metric=record.objective.metric,
        value=record.value(best) if best else None,
        test=study_test(study),
        epochs_to_reach=epochs_to_reach(record, values),
    )


def _pairs(studies: Sequence[Reported], rope: float | None) -> tuple[StudyPair, ...]:
    """Compare every two studies of one metric that were tested on the same examples."""
    pairs = [
        (first, second)
        for first, second in combinations(studies, 2)
        if first.record.objective.metric == second.record.objective.metric
        and _test_split(first)
        and _test_split(first) == _test_split(second)
    ]
    networks = corrected([_compare_networks(*pair) for pair in pairs])
    means = corrected([compare_means(_test_values(a), _test_values(b)) for a, b in pairs])
    return tuple(
        _pair(a.record, b.record, network, mean, rope)
        for (a, b), network, mean in zip(pairs, networks, means, strict=True)
    )


def _pair(
    first: StudyRecord,
    second: StudyRecord,
    networks: Comparison[PairedTest] | None,
    means: Comparison[MeanDifference] | None,
    rope: float | None,
) -> StudyPair:
    metric = unsplit_metric(first)
    return StudyPair(
        first=first.name,
        second=second.name,
        metric=first.objective.metric,
        networks=networks.test if networks else None,
        networks_p_value_holm=networks.p_value_holm if networks else None,
        networks_tied=networks.tied if networks else None,
        networks_p_no_difference=p_no_difference(networks.test if networks else None, metric, rope),
        means=means.test if means else None,
        means_p_value_holm=means.p_value_holm if means else None,
        means_tied=means.tied if means else None,
        means_p_no_difference=p_no_difference(means.test if means else None, metric, rope),
    )


def _test_split(study: Reported) -> str:
    """Fingerprint of the test split, or empty if it was not read."""
    return study.reading.fingerprint if study.reading else ""


def _compare_networks(first: Reported, second: Reported) -> PairedTest | None:
    if first.reading is None or second.reading is None:
        return None
    return compare_readings(first.reading, second.reading, unsplit_metric(first.record))


def _test_values(study: Reported) -> tuple[float, ...]:
    return study.confirmation.test_values if study.confirmation else ()
