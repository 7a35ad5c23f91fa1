"""Several studies side by side. Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.records import StudyRecord, TrialState
from sweep.reporting.reported import Reported
from sweep.reporting.series.measure import Measure, finite_value
from sweep.reporting.statistics import Interval, reading_interval, reading_value

__all__ = ["BestSoFar", "StudyTest", "best_so_far", "study_test"]


@dataclass(frozen=True, slots=True)
class BestSoFar:
    """A study's progress.

    Attributes:
        study: Its name.
        epochs: Epochs spent on all trials up to a COMPLETE trial.
        values: What the study ranks by, of the best trial so far.
        label: What the heights mean.
        shown: The heights.
    """

    study: str
    epochs: tuple[int, ...]
    values: tuple[float, ...]
    label: str
    shown: tuple[float, ...]


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


def best_so_far(record: StudyRecord) -> BestSoFar:
    """What the study ranks by, of the best trial so far, against the epochs spent."""
    measure = Measure.of(record)
    spent = 0
    best: float | None = None
    epochs: list[int] = []
    values: list[float] = []
    for trial in record.trials:
        spent += trial.epochs_run
        value = finite_value(record, trial)
        if trial.state is not TrialState.COMPLETE or value is None:
            continue
        if best is None or record.objective.is_better(value, best):
            best = value
        epochs.append(spent)
        values.append(best)
    shown = tuple(measure.shown(value) for value in values)
    return BestSoFar(record.name, tuple(epochs), tuple(values), measure.label, shown)


def study_test(study: Reported) -> StudyTest | None:
    """What a study reached on the test split: over its confirmed runs, otherwise by its network.

    None if that is unknown. Never of another trial than the study's own page tells of: a search's
    best that was tested before its confirmation chose another is not what is to be used.
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
