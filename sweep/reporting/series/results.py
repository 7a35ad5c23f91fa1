"""Test results of studies."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.reporting.reported import Reported
from sweep.reporting.statistics import Interval, reading_interval, reading_value, unsplit_metric

__all__ = ["StudyTest", "study_test"]


@dataclass(frozen=True, slots=True)
class StudyTest:
    """What a study reached on the test split, in the metric that it ranks by.

    If `confirmed`, the mean of `num_runs` fresh seeds with Student's 95% interval; otherwise the
    value of the one trial that was tested, with that of `reading_interval`.
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
    reading, metric = study.reading, unsplit_metric(study.record)
    value = reading_value(reading, metric) if reading and reading.num_images > 0 else None
    if reading is None or value is None:
        return None
    return StudyTest(name, value, reading_interval(reading, metric), False, 1)
