"""The answer: which configuration to use, how good it is, and how certain that is."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.records import ConfusionMatrix, TestReading
from sweep.reporting.reported import Reported
from sweep.reporting.statistics import (
    Baseline,
    Interval,
    baseline,
    num_validation_images,
    optimism_interval,
    reading_interval,
    reading_value,
    unsplit_metric,
    validated_as_tested,
    validation_intervals,
    wilson_interval,
)
from sweep.reporting.tables import TrialRow, trial_row
from sweep.words import metric_words, percent_or_number

__all__ = ["Answer", "ClassAverage", "Promise", "answer"]


@dataclass(frozen=True, slots=True)
class Promise:
    """Optimism: how much worse a result is than the search or validation promised.

    `promised` and `kept` are the two values in words. `difference` is above 0 if the promise was
    too optimistic, whether more or less of the metric is better; `interval` is its 95% interval.
    """

    metric: str
    promised: str
    kept: str
    difference: float
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class ClassAverage:
    """A metric of the test split that counts all classes alike, with its 95% interval."""

    metric: str
    value: float
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Answer:
    """The configuration to use, and the network that was trained with it.

    The `test_…` fields are None if the test split was not read.

    Attributes:
        trial: The search's trial that has the configuration.
        confirmed: Whether it won a confirmation on fresh seeds.
        network_study: Name of the study that holds the network: the search or its confirmation.
        network: The network's own trial there.
        validation_value: The network's value of the study's objective.
        validation_value_interval: 95% (see `validation_intervals`).
        test_value: The same metric on the test split.
        test_value_interval: 95% (see `reading_interval`).
        test_errors: Number of misclassified test examples.
        test_accuracy_interval: 95%, Wilson.
        test_loss: Mean cross-entropy in nats.
        baseline: What always saying the commonest class gets; None if the classes are unknown.
        is_above_baseline: Whether the interval of the network's value lies above the baseline's;
            None if the test split was not read.
        class_averages: Balanced accuracy and macro F1 on the test split, without the metric that
            the study ranks by; empty unless the classes are unbalanced.
        promises: The optimism of the search, then of validation, as far as each is known.
    """

    trial: TrialRow
    confirmed: bool
    network_study: str
    network: TrialRow
    num_validation_images: int | None
    validation_value: float | None
    validation_value_interval: Interval | None
    test_value: float | None
    test_value_interval: Interval | None
    num_test_images: int | None
    test_errors: int | None
    test_accuracy: float | None
    test_accuracy_interval: Interval | None
    test_loss: float | None
    test_confusion_matrix: ConfusionMatrix | None
    baseline: Baseline | None
    is_above_baseline: bool | None
    class_averages: tuple[ClassAverage, ...]
    promises: tuple[Promise, ...]

    @property
    def network_words(self) -> str:
        """Which network it is, never to be confused with a trial of the search."""
        kind = "run" if self.confirmed else "trial"
        return f"{kind} {self.network.number} of {self.network_study}"


def answer(study: Reported) -> Answer | None:
    """The answer of a study, or None while no trial is COMPLETE."""
    record, space, reading = study.record, study.space, study.reading
    if study.chosen is None or study.network is None:
        return None
    trial = study.network.trial
    network = trial_row(record, space, trial)
    metric = unsplit_metric(record)
    tested = reading if reading is not None and reading.num_images else None
    lowest = baseline(record, tested)
    correct, total = (tested.num_correct, tested.num_images) if tested else (0, 0)
    return Answer(
        trial=trial_row(record, space, study.chosen),
        confirmed=study.is_confirmed,
        network_study=study.network.study,
        network=network,
        num_validation_images=num_validation_images(record),
        validation_value=network.value,
        validation_value_interval=validation_intervals(record, [trial]).get(trial.number),
        test_value=reading_value(tested, metric) if tested else None,
        test_value_interval=reading_interval(tested, metric) if tested else None,
        num_test_images=total if tested else None,
        test_errors=total - correct if tested else None,
        test_accuracy=correct / total if tested else None,
        test_accuracy_interval=wilson_interval(correct, total) if tested else None,
        test_loss=tested.loss if tested else None,
        test_confusion_matrix=tested.confusion_matrix if tested else None,
        baseline=lowest,
        is_above_baseline=_is_above(lowest, tested),
        class_averages=_class_averages(tested, metric) if lowest and lowest.is_unbalanced else (),
        promises=(*_optimism_of_search(study), *_optimism_of_validation(study)),
    )


def _is_above(lowest: Baseline | None, reading: TestReading | None) -> bool | None:
    if lowest is None or lowest.test_value is None or reading is None:
        return None
    interval = reading_interval(reading, lowest.metric)
    return None if interval is None else interval.low > lowest.test_value


def _class_averages(reading: TestReading | None, shown: str) -> tuple[ClassAverage, ...]:
    if reading is None:
        return ()
    return tuple(
        ClassAverage(f"test_{metric}", value, reading_interval(reading, metric))
        for metric in ("balanced_accuracy", "f1_macro")
        if metric != shown and (value := reading_value(reading, metric)) is not None
    )


def _sign(study: Reported) -> int:
    """The sign that makes a difference positive if the second value is worse."""
    return 1 if study.record.objective.goal == "maximize" else -1


def _optimism_of_search(study: Reported) -> list[Promise]:
    """What the best trial that the search had by then loses on fresh seeds.

    Not the confirmation's winner: its runs were chosen for being good, which would hide some of
    the optimism.
    """
    confirmation = study.confirmation
    if confirmation is None or not study.is_confirmed:
        return []
    (best,) = (c for c in confirmation.candidates if c.search_rank == 1)
    if best.mean is None:
        return []
    sign, interval = _sign(study), None
    if best.mean.interval is not None:
        interval = Interval(*sorted(sign * (best.search_value - end) for end in best.mean.interval))
    return [
        Promise(
            confirmation.metric,
            f"the value of the best of {confirmation.chosen_from} (trial {best.trial})",
            "its mean over fresh seeds" if best.mean.num_runs > 1 else "its run on a fresh seed",
            sign * (best.search_value - best.mean.value),
            interval,
        )
    ]


def _optimism_of_validation(study: Reported) -> list[Promise]:
    """What the network loses on the test split, both measured in one precision."""
    network, reading = study.network, study.reading
    if network is None or reading is None or not reading.num_images:
        return []
    objective, metric = study.record.objective.metric, unsplit_metric(study.record)
    trial = validated_as_tested(study.record, network.trial, reading)
    validated, tested = study.record.value(trial), reading_value(reading, metric)
    if validated is None or tested is None:
        return []
    again = ""
    if trial is not network.trial:
        value = percent_or_number(objective, validated)
        again = f" (in float32, like the test split, {value})"
    return [
        Promise(
            objective,
            f"the {metric_words(objective)} of the network to use{again}",
            f"its test {metric_words(metric)}",
            _sign(study) * (validated - tested),
            optimism_interval(study.record, trial, reading),
        )
    ]
