"""Several studies side by side. Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.records import StudyRecord, TrialState
from sweep.reporting.reported import Reported
from sweep.reporting.series.measure import Measure, finite_value
from sweep.reporting.statistics import Interval, wilson_interval

__all__ = ["BestSoFar", "StudyAccuracy", "best_so_far", "study_accuracy"]


@dataclass(frozen=True, slots=True)
class BestSoFar:
    """A study's progress.

    Attributes:
        study: Its name.
        epochs: Epochs spent on all trials up to a COMPLETE trial.
        errors: Validation error in percent of the best trial so far.
        accuracies: Validation accuracy of the best trial so far.
    """

    study: str
    epochs: tuple[int, ...]
    errors: tuple[float, ...]
    accuracies: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class StudyAccuracy:
    """What a study reached on the test split.

    Attributes:
        study: Its name.
        accuracy: Mean over the confirmed runs, or that of the one trial that was tested; 0 to 1.
        interval: Its 95 % interval: Student's over the runs, or Wilson's over the images; None
            for a single run that was confirmed, or if all runs are alike.
        confirmed: Whether it is a mean over fresh seeds.
        num_runs: How many networks it is the accuracy of.
    """

    study: str
    accuracy: float
    interval: Interval | None
    confirmed: bool
    num_runs: int


def best_so_far(record: StudyRecord) -> BestSoFar:
    """The validation accuracy of the best trial so far against the epochs spent.

    Accuracy even where the study ranks by loss, so that studies can be drawn together.
    """
    measure = Measure.of_errors(record)
    spent = 0
    best_value, best_accuracy = None, 0.0
    epochs: list[int] = []
    accuracies: list[float] = []
    for trial in record.trials:
        spent += trial.epochs_run
        value = finite_value(record, trial)
        metrics = trial.outcome.best if trial.outcome else None
        if trial.state is not TrialState.COMPLETE or value is None or metrics is None:
            continue
        if best_value is None or record.objective.is_better(value, best_value):
            best_value, best_accuracy = value, metrics.validation_accuracy
        epochs.append(spent)
        accuracies.append(best_accuracy)
    errors = tuple(measure.shown(accuracy) for accuracy in accuracies)
    return BestSoFar(record.name, tuple(epochs), errors, tuple(accuracies))


def study_accuracy(study: Reported) -> StudyAccuracy | None:
    """Test accuracy of a study: over its confirmed runs, otherwise of its network; None if unread.

    Never of another trial than the study's own page tells of: a search's best that was tested
    before its confirmation chose another is not what is to be used.
    """
    name, mean = study.record.name, study.confirmation.test_mean if study.confirmation else None
    if mean is not None:
        return StudyAccuracy(name, mean.value, mean.interval, True, mean.num_runs)
    reading = study.network.reading if study.network else None
    if reading is None or reading.num_images < 1:
        return None
    return StudyAccuracy(
        name,
        reading.num_correct / reading.num_images,
        wilson_interval(reading.num_correct, reading.num_images),
        False,
        1,
    )
