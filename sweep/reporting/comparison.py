"""Several studies side by side: what each reached, what it cost, and whether they differ.

Draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from sweep.records import StudyRecord, TrialState
from sweep.reporting.series import StudyAccuracy, study_accuracy
from sweep.reporting.statistics import (
    SIGNIFICANCE,
    Interval,
    MeanDifference,
    ReadingComparison,
    compare_means,
    compare_readings,
    holm,
)
from sweep.reporting.tables import counts, num_validation_images, validation_interval

if TYPE_CHECKING:
    from sweep.reporting.reported import Reported

__all__ = [
    "StudyComparison",
    "StudyPair",
    "StudySummary",
    "compare_studies",
    "epochs_to_reach",
    "sensible_accuracies",
]

_MAX_ACCURACIES = 4
_ROUND_ACCURACIES = (
    0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.88, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98,
    0.985, 0.99, 0.995, 0.998, 0.999,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StudySummary:
    """What one study reached, and what it cost.

    Attributes:
        name: The study's name.
        dataset: Its data set.
        sampler: How configurations were chosen.
        pruner: How poor trials were ended early.
        num_trials: Trials of any state.
        epochs: Epochs run by all trials, pruned and failed ones included.
        seconds: What its trials took of the workers' time.
        best: Number of the trial that validation chose, or None while none is COMPLETE.
        validation_accuracy: Of that trial; the more trials it was chosen from, the more
            optimistic.
        validation_accuracy_interval: 95 %, Wilson; None if the number of images is unknown.
        test: On the test split: a mean over fresh seeds where the study was confirmed, otherwise
            that of the best trial; None while it is sealed.
        epochs_to_reach: For each of the comparison's accuracies the epochs that the study spent
            until it reached it, or None if it never did.
    """

    name: str
    dataset: str
    sampler: str
    pruner: str
    num_trials: int
    epochs: int
    seconds: float
    best: int | None
    validation_accuracy: float | None
    validation_accuracy_interval: Interval | None
    test: StudyAccuracy | None
    epochs_to_reach: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class StudyPair:
    """Two studies on the same test images.

    Two questions are asked. Do the two chosen networks err equally often? And, where both studies
    were confirmed, do their configurations reach the same accuracy on average over seeds?

    Attributes:
        first: Name of the first study.
        second: Name of the second study.
        networks: The two networks on the same images, or None if their predictions are unknown.
        networks_p_value_holm: Of that test, corrected for all pairs of studies.
        networks_tied: Whether the images cannot tell the two networks apart; None if untested.
        means: The configurations over their runs, or None if one of the studies has too few.
        means_p_value_holm: Of that test, corrected for all pairs of studies.
        means_tied: Whether the runs cannot tell the two configurations apart; None if untested.
    """

    first: str
    second: str
    networks: ReadingComparison | None
    networks_p_value_holm: float | None
    networks_tied: bool | None
    means: MeanDifference | None
    means_p_value_holm: float | None
    means_tied: bool | None


@dataclass(frozen=True, slots=True)
class StudyComparison:
    """Several studies side by side.

    Attributes:
        accuracies: Validation accuracies whose cost is compared, ascending, 0 to 1.
        studies: What each study reached, in the order asked for.
        pairs: Every two studies whose chosen networks were tested on the same images.
    """

    accuracies: tuple[float, ...]
    studies: tuple[StudySummary, ...]
    pairs: tuple[StudyPair, ...]


def compare_studies(studies: Sequence[Reported]) -> StudyComparison:
    """Put several studies side by side."""
    accuracies = sensible_accuracies([study.record for study in studies])
    return StudyComparison(
        accuracies,
        tuple(_summary(study, accuracies) for study in studies),
        _pairs(studies),
    )


def sensible_accuracies(records: Sequence[StudyRecord]) -> tuple[float, ...]:
    """Up to four round validation accuracies that are worth a comparison, ascending.

    The highest that a study reached: all studies reach the low ones at once. Where the studies
    use several data sets, each has its share of the four, because what is high on one is out of
    reach on another.
    """
    best: dict[str, float] = {}
    for record in records:
        data = record.data.fingerprint
        best[data] = max([best.get(data, 0.0), *(reached for _, reached in _progress(record))])
    share = max(1, _MAX_ACCURACIES // max(1, len(best)))
    chosen = {
        accuracy
        for highest in best.values()
        for accuracy in [one for one in _ROUND_ACCURACIES if one <= highest][-share:]
    }
    return tuple(sorted(chosen)[-_MAX_ACCURACIES:])


def epochs_to_reach(record: StudyRecord, accuracies: Sequence[float]) -> tuple[int | None, ...]:
    """What it cost a study to reach each validation accuracy.

    Args:
        record: The study.
        accuracies: From 0 to 1.

    Returns:
        For each the epochs of all trials, in the order of their numbers, up to the end of the
        first COMPLETE trial that reached it; None if none did.
    """
    progress = _progress(record)
    return tuple(
        next((epochs for epochs, reached in progress if reached >= accuracy), None)
        for accuracy in accuracies
    )


def _progress(record: StudyRecord) -> list[tuple[int, float]]:
    """Epochs spent up to each COMPLETE trial, and the trial's validation accuracy."""
    spent = 0
    found: list[tuple[int, float]] = []
    for trial in record.trials:
        spent += trial.epochs_run
        best = trial.outcome.best if trial.outcome else None
        if trial.state is TrialState.COMPLETE and best is not None:
            found.append((spent, best.validation_accuracy))
    return found


def _summary(study: Reported, accuracies: Sequence[float]) -> StudySummary:
    record, space = study.record, study.space
    counted = counts(record)
    best = record.best.outcome.best if record.best and record.best.outcome else None
    accuracy = best.validation_accuracy if best else None
    return StudySummary(
        name=record.name,
        dataset=space.dataset.name,
        sampler=space.sampler.type,
        pruner=space.pruner.type,
        num_trials=counted.trials,
        epochs=counted.epochs,
        seconds=counted.seconds,
        best=record.best.number if record.best else None,
        validation_accuracy=accuracy,
        validation_accuracy_interval=validation_interval(accuracy, num_validation_images(record)),
        test=study_accuracy(study),
        epochs_to_reach=epochs_to_reach(record, accuracies),
    )


def _pairs(studies: Sequence[Reported]) -> tuple[StudyPair, ...]:
    """Every two studies whose networks were tested on the same images."""
    pairs = [
        (first, second)
        for first, second in combinations(studies, 2)
        if _test_split(first) and _test_split(first) == _test_split(second)
    ]
    networks = [_compare_networks(*pair) for pair in pairs]
    means = [compare_means(_test_accuracies(a), _test_accuracies(b)) for a, b in pairs]
    networks_holm, means_holm = _corrected(networks), _corrected(means)
    return tuple(
        StudyPair(
            first=first.record.name,
            second=second.record.name,
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
    reading = study.network.reading if study.network else None
    return reading.fingerprint if reading else ""


def _compare_networks(first: Reported, second: Reported) -> ReadingComparison | None:
    readings = [study.network.reading if study.network else None for study in (first, second)]
    if readings[0] is None or readings[1] is None:
        return None
    return compare_readings(readings[0], readings[1])


def _test_accuracies(study: Reported) -> tuple[float, ...]:
    """Of the runs that confirmed the study; empty if it was not confirmed."""
    return study.confirmation.test_accuracies if study.confirmation else ()


def _corrected(
    tests: Sequence[ReadingComparison | None] | Sequence[MeanDifference | None],
) -> list[float | None]:
    """Holm's p-value of each test that could be made."""
    p_values = iter(holm([test.p_value for test in tests if test is not None]))
    return [None if test is None else next(p_values) for test in tests]


def _is_tied(p_value: float | None) -> bool | None:
    return None if p_value is None else p_value >= SIGNIFICANCE
