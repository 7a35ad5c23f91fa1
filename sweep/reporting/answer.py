"""The answer: which configuration to use, how good it is, how certainly. Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.records import ConfusionMatrix, Objective
from sweep.reporting.confirmation import Confirmation
from sweep.reporting.reported import Reported
from sweep.reporting.statistics import (
    Interval,
    optimism_interval,
    reading_interval,
    reading_value,
    validation_intervals,
    wilson_interval,
)
from sweep.reporting.tables import TrialRow, metric_words, num_validation_images, trial_row

__all__ = ["Answer", "Promise", "answer"]


@dataclass(frozen=True, slots=True)
class Promise:
    """What validation promised beyond what came true.

    Attributes:
        metric: The metric that the study ranks by, a name of `sweep.definitions.OBJECTIVES`.
        promised: What was promised, and for whom, in words.
        kept: What it is compared with, in words.
        difference: By how much `kept` is worse than `promised`: above 0, too much was promised,
            whether more or less of the metric is better.
        interval: 95 % interval of the difference, or None if it cannot be told.
    """

    metric: str
    promised: str
    kept: str
    difference: float
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Answer:
    """The configuration to use, and the network that was trained with it.

    Attributes:
        trial: The search's trial that has the configuration.
        confirmed: Whether it won a confirmation on fresh seeds.
        network_study: Name of the study that holds the network: the search or its confirmation.
        network: The network's own trial there.
        num_validation_images: Size of the validation split, or None if unknown.
        validation_value: The metric that the study ranks by, of the network.
        validation_value_interval: 95 % (see `validation_intervals`).
        test_value: The same metric on the test split, or None if it was not read.
        test_value_interval: 95 % (see `reading_interval`), or None if unknown.
        num_test_images: Size of the test split, or None if it was not read.
        test_errors: Test images that the network got wrong.
        test_accuracy: Share of the test split that the network got right.
        test_accuracy_interval: 95 %, Wilson.
        test_loss: Mean cross-entropy on the test split in nats, or None if unknown.
        test_confusion_matrix: Of the test split.
        promises: What the search promised too much, from the first promise to the last.
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
    promises: tuple[Promise, ...]


def answer(study: Reported) -> Answer | None:
    """The answer of a study, or None while no trial is COMPLETE."""
    if study.chosen is None or study.network is None:
        return None
    network = trial_row(study.record, study.space, study.network.trial)
    reading = study.network.reading
    metric = study.record.objective.metric.removeprefix("validation_")
    trial = study.network.trial
    tested = reading if reading is not None and reading.num_images else None
    return Answer(
        trial=trial_row(study.record, study.space, study.chosen),
        confirmed=study.is_confirmed,
        network_study=study.network.study,
        network=network,
        num_validation_images=num_validation_images(study.record),
        validation_value=network.value,
        validation_value_interval=validation_intervals(study.record, [trial]).get(trial.number),
        test_value=reading_value(tested, metric) if tested else None,
        test_value_interval=reading_interval(tested, metric) if tested else None,
        num_test_images=tested.num_images if tested else None,
        test_errors=tested.num_images - tested.num_correct if tested else None,
        test_accuracy=tested.num_correct / tested.num_images if tested else None,
        test_accuracy_interval=(
            wilson_interval(tested.num_correct, tested.num_images) if tested else None
        ),
        test_loss=tested.loss if tested else None,
        test_confusion_matrix=tested.confusion_matrix if tested else None,
        promises=_promises(study),
    )


def _promises(study: Reported) -> tuple[Promise, ...]:
    """Search against fresh seeds, then validation against test, as far as each is known."""
    found = []
    objective = study.record.objective
    if study.confirmation is not None and study.is_confirmed:
        found += _of_confirmation(study.confirmation, objective)
    network = study.network
    reading = network.reading if network else None
    if network is None or reading is None or not reading.num_images:
        return tuple(found)
    metric = objective.metric.removeprefix("validation_")
    validated = study.record.value(network.trial)
    tested = reading_value(reading, metric)
    if validated is None or tested is None:
        return tuple(found)
    promise = Promise(
        objective.metric,
        f"the {metric_words(objective.metric)} of the network to use",
        f"its test {metric_words(metric)}",
        _sign(objective) * (validated - tested),
        optimism_interval(study.record, network.trial, reading),
    )
    return (*found, promise)


def _sign(objective: Objective) -> int:
    """Of a difference that is above 0 if the second value is worse than the first."""
    return 1 if objective.goal == "maximize" else -1


def _of_confirmation(confirmation: Confirmation, objective: Objective) -> list[Promise]:
    """What the best trial that the search had by then loses on fresh seeds.

    Not the confirmation's winner: its runs were chosen for being good, and would hide a part of
    what the search promised too much.
    """
    (best,) = (c for c in confirmation.candidates if c.search_rank == 1)
    if best.mean is None:
        return []
    sign = _sign(objective)
    interval = None
    if best.mean.interval is not None:
        low, high = best.mean.interval.low, best.mean.interval.high
        low, high = sorted(sign * (best.search_value - end) for end in (low, high))
        interval = Interval(low, high)
    return [
        Promise(
            confirmation.metric,
            f"the value of the best of {confirmation.chosen_from} (trial {best.trial})",
            "its mean over fresh seeds" if best.mean.num_runs > 1 else "its run on a fresh seed",
            sign * (best.search_value - best.mean.value),
            interval,
        )
    ]
