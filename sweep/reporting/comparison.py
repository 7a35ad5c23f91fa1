"""Several studies side by side: what each reached, what it cost, and whether they differ.

Draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from sweep.definitions import is_share
from sweep.records import Objective, StudyRecord, TrialState
from sweep.reporting.series import StudyTest, study_test
from sweep.reporting.statistics import (
    SIGNIFICANCE,
    MeanDifference,
    PairedTest,
    compare_means,
    compare_readings,
    holm,
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
        num_trials: Trials of any state.
        epochs: Epochs run by all trials, pruned and failed ones included.
        seconds: What its trials took of the workers' time.
        best: Number of the trial that validation chose, or None while none is COMPLETE.
        metric: What it ranks by, a name of `sweep.definitions.OBJECTIVES`.
        value: The metric of the best trial; the more trials it was chosen from, the more
            optimistic.
        test: On the test split: a mean over fresh seeds where the study was confirmed, otherwise
            that of the best trial; None while it is sealed.
        epochs_to_reach: For each of the comparison's values the epochs that the study spent until
            it reached it, or None if it never did.
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

    Two questions are asked. Are the two chosen networks equally good? And, where both studies were
    confirmed, do their configurations reach the same value on average over seeds?

    Attributes:
        first: Name of the first study.
        second: Name of the second study.
        metric: What both rank by, a name of `sweep.definitions.OBJECTIVES`.
        networks: The two networks on the same examples, or None if their predictions are unknown.
        networks_p_value_holm: Of that test, corrected for all pairs of studies.
        networks_tied: Whether the examples cannot tell the two networks apart.
        means: The configurations over their runs, or None if one of the studies has too few.
        means_p_value_holm: Of that test, corrected likewise.
        means_tied: Whether the runs cannot tell the two configurations apart.
    """

    first: str
    second: str
    metric: str
    networks: PairedTest | None
    networks_p_value_holm: float | None
    networks_tied: bool | None
    means: MeanDifference | None
    means_p_value_holm: float | None
    means_tied: bool | None


@dataclass(frozen=True, slots=True)
class StudyComparison:
    """Several studies side by side.

    Attributes:
        metric: What all of them rank by, or None if they do not rank by the same metric.
        values: Values of that metric on the validation split whose cost is compared, the easiest
            first; empty without a common metric.
        pairs: Every two studies that rank by the same metric and whose chosen networks were
            tested on the same examples.
    """

    metric: str | None
    values: tuple[float, ...]
    studies: tuple[StudySummary, ...]
    pairs: tuple[StudyPair, ...]


def compare_studies(studies: Sequence[Reported]) -> StudyComparison:
    """Put several studies side by side."""
    records = [study.record for study in studies]
    metrics = {record.objective.metric for record in records}
    values = sensible_values(records) if len(metrics) == 1 else ()
    return StudyComparison(
        metrics.pop() if len(metrics) == 1 else None,
        values,
        tuple(_summary(study, values) for study in studies),
        _pairs(studies),
    )


def sensible_values(records: Sequence[StudyRecord]) -> tuple[float, ...]:
    """Up to four round values that are worth a comparison, the easiest first.

    The best that a study reached: all studies reach the easy ones at once. Where the studies use
    several data sets, each has its share of the four, because what is easy on one is out of reach
    on another.

    The studies rank by the same metric.
    """
    reached: dict[str, list[float]] = {}
    for record in records:
        own = reached.setdefault(record.data.fingerprint, [])
        own += [value for _, value in _progress(record)]
    if not records:
        return ()
    objective = records[0].objective
    share = max(1, _MAX_VALUES // len(reached))
    steps = _ROUND_SHARES if is_share(objective.metric) else _ROUND_LOSSES
    chosen = {
        step
        for values in reached.values()
        for step in [one for one in steps if any(_reaches(objective, v, one) for v in values)][
            -share:
        ]
    }
    return tuple(step for step in steps if step in chosen)[-_MAX_VALUES:]


def epochs_to_reach(record: StudyRecord, values: Sequence[float]) -> tuple[int | None, ...]:
    """What it cost a study to reach each value of what it ranks by.

    Returns:
        For each the epochs of all trials, in the order of their numbers, up to the end of the
        first COMPLETE trial that reached it; None if none did.
    """
    progress = _progress(record)
    return tuple(
        next((epochs for epochs, own in progress if _reaches(record.objective, own, value)), None)
        for value in values
    )


def _reaches(objective: Objective, value: float, wanted: float) -> bool:
    return not objective.is_better(wanted, than=value)


def _progress(record: StudyRecord) -> list[tuple[int, float]]:
    """Epochs spent up to each COMPLETE trial, and the trial's value."""
    spent = 0
    found: list[tuple[int, float]] = []
    for trial in record.trials:
        spent += trial.epochs_run
        value = record.value(trial)
        if trial.state is TrialState.COMPLETE and value is not None:
            found.append((spent, value))
    return found


def _summary(study: Reported, values: Sequence[float]) -> StudySummary:
    record, space = study.record, study.space
    counted = counts(record)
    best = record.best
    return StudySummary(
        name=record.name,
        dataset=space.dataset.name,
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


def _pairs(studies: Sequence[Reported]) -> tuple[StudyPair, ...]:
    """Every two studies of one metric whose networks were tested on the same examples."""
    pairs = [
        (first, second)
        for first, second in combinations(studies, 2)
        if first.record.objective == second.record.objective
        and _test_split(first)
        and _test_split(first) == _test_split(second)
    ]
    networks = [_compare_networks(*pair) for pair in pairs]
    means = [compare_means(_test_values(a), _test_values(b)) for a, b in pairs]
    networks_holm, means_holm = _corrected(networks), _corrected(means)
    return tuple(
        StudyPair(
            first=first.record.name,
            second=second.record.name,
            metric=first.record.objective.metric,
            networks=networks[index],
            networks_p_value_holm=networks_holm[index],
            networks_tied=_is_tied(networks_holm[index]),
            means=means[index],
            means_p_value_holm=means_holm[index],
            means_tied=_is_tied(means_holm[index]),
        )
        for index, (first, second) in enumerate(pairs)
    )


def _test_split(study: Reported) -> str:
    """Fingerprint of the test split that the study's network was tested on, or empty."""
    return study.reading.fingerprint if study.reading else ""


def _compare_networks(first: Reported, second: Reported) -> PairedTest | None:
    if first.reading is None or second.reading is None:
        return None
    return compare_readings(first.reading, second.reading, unsplit_metric(first.record))


def _test_values(study: Reported) -> tuple[float, ...]:
    """Of the runs that confirmed the study; empty if it was not confirmed."""
    return study.confirmation.test_values if study.confirmation else ()


def _corrected(
    tests: Sequence[PairedTest | None] | Sequence[MeanDifference | None],
) -> list[float | None]:
    """Holm's p-value of each test that could be made."""
    p_values = iter(holm([test.p_value for test in tests if test is not None]))
    return [None if test is None else next(p_values) for test in tests]


def _is_tied(p_value: float | None) -> bool | None:
    return None if p_value is None else p_value >= SIGNIFICANCE
