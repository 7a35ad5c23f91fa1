"""Test results of studies, and differences between two trials. Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sweep.records import ConfusionMatrix
from sweep.reporting.reported import Reported
from sweep.reporting.statistics import Interval, reading_interval, reading_value

__all__ = ["Difference", "StudyTest", "matrix_difference", "study_test"]


@dataclass(frozen=True, slots=True)
class StudyTest:
    """What a study reached on the test split, in the metric that it ranks by.

    Attributes:
        study: Its name.
        value: Mean over the confirmed runs, or that of the one trial that was tested.
        interval: Its 95 % interval: Student's over the runs, or that of `reading_interval`; None
            for a single run that was confirmed, if all runs are alike, or if it is unknown.
        confirmed: Whether it is a mean over fresh seeds.
        num_runs: How many networks it is the value of.
    """

    study: str
    value: float
    interval: Interval | None
    confirmed: bool
    num_runs: int


def study_test(study: Reported) -> StudyTest | None:
    """What a study reached on the test split: over its confirmed runs, otherwise by its network.

    None if unknown. Never of another trial than the one on the study's own page: a search's best
    that was tested before its confirmation chose another is not the network to use.
    """
    name, mean = study.record.name, study.confirmation.test_mean if study.confirmation else None
    if mean is not None:
        return StudyTest(name, mean.value, mean.interval, True, mean.num_runs)
    reading = study.network.reading if study.network else None
    if reading is None or reading.num_images < 1:
        return None
    metric = study.record.objective.metric.removeprefix("validation_")
    value = reading_value(reading, metric)
    if value is None:
        return None
    return StudyTest(name, value, reading_interval(reading, metric), False, 1)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two trials answer the same examples differently.

    Attributes:
        first: Number of one trial.
        second: Number of the other.
        cells: Examples of the second trial minus those of the first, true classes in rows,
            predicted classes in columns.
        num_mistakes: Mistakes of the second minus mistakes of the first.
    """

    first: int
    second: int
    cells: tuple[tuple[int, ...], ...]
    num_mistakes: int


def matrix_difference(
    first: tuple[int, ConfusionMatrix], second: tuple[int, ConfusionMatrix]
) -> Difference | None:
    """The confusion matrix of the second trial minus that of the first, with their numbers.

    None if the matrices are not of the same examples, class by class.
    """
    (first_number, before), (second_number, after) = first, second
    if [(len(row), sum(row)) for row in before] != [(len(row), sum(row)) for row in after]:
        return None
    cells = np.array(after, dtype=object) - np.array(before, dtype=object)
    return Difference(
        first_number, second_number, tuple(map(tuple, cells.tolist())), -int(np.trace(cells))
    )
