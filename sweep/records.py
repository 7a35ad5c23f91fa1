"""The frozen values that travel between rooms. Imports the standard library only.

Everything here is plain (numbers, text, bytes, tuples), so that a value means the same in the
driver, in a worker and, one day, on another machine.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

__all__ = [
    "ConfusionMatrix",
    "DataFacts",
    "Decision",
    "EpochMetrics",
    "Failure",
    "FailureKind",
    "Mistake",
    "Objective",
    "StudyRecord",
    "StudyState",
    "TestReading",
    "TrainingSettings",
    "TrialConfig",
    "TrialOutcome",
    "TrialRecord",
    "TrialState",
    "best_epoch",
]

ConfusionMatrix = tuple[tuple[int, ...], ...]
"""Counts, true classes in rows, predicted classes in columns."""


class TrialState(StrEnum):
    """The state of a trial, in Optuna's words."""

    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    FAIL = "FAIL"
    RUNNING = "RUNNING"
    WAITING = "WAITING"


class StudyState(StrEnum):
    """What a study is doing: its budget is used up, a driver works on it, or neither."""

    FINISHED = "finished"
    RUNNING = "running"
    INTERRUPTED = "interrupted"


class Decision(StrEnum):
    """The answer to one epoch's metrics: the only thing that travels back to an engine."""

    CONTINUE = "continue"
    PRUNE = "prune"


class FailureKind(StrEnum):
    """Why a trial failed."""

    NAN = "nan"
    OUT_OF_MEMORY = "out_of_memory"
    EXCEPTION = "exception"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What a study remembers of its data, so that the store alone makes a report.

    Attributes:
        fingerprint: SHA-256 of the training pool and its split.
        class_names: Names of the classes in the order of their labels.
        validation_labels: True class of each validation image, one byte each.
    """

    fingerprint: str
    class_names: tuple[str, ...]
    validation_labels: bytes


@dataclass(frozen=True, slots=True)
class Objective:
    """The validation metric that a study ranks by.

    Attributes:
        metric: `validation_accuracy` or `validation_loss`: a field of `EpochMetrics`.
        goal: `maximize` or `minimize`.
    """

    metric: str
    goal: str

    def value(self, metrics: EpochMetrics) -> float:
        """The objective's value after one epoch."""
        return float(getattr(metrics, self.metric))

    def is_better(self, value: float, than: float) -> bool:
        """Whether `value` is strictly better than `than`."""
        return value > than if self.goal == "maximize" else value < than


@dataclass(frozen=True, slots=True)
class TrialConfig:
    """One configuration, sampled whole before training.

    Attributes:
        number: The trial's number in its study.
        seed: Seed of the initial weights and of dropout.
        num_layers: Linear layers, the output layer included.
        layer_size: Units of each hidden layer.
        activation: Name of the activation of the hidden layers.
        weight_decay: Decoupled for AdamW, coupled (L2) for Adam and SGD.
        epochs: Passes over the training split.
        learning_rate: The schedule's peak.
        batch_size: Images a step.
        optimizer: Name of the optimiser.
        momentum: Momentum of SGD; unused by the others.
        dropout: Probability of dropping a hidden unit.
        learning_rate_schedule: Name of the schedule.
    """

    number: int
    seed: int
    num_layers: int
    layer_size: int
    activation: str
    weight_decay: float
    epochs: int
    learning_rate: float
    batch_size: int
    optimizer: str
    momentum: float
    dropout: float
    learning_rate_schedule: str

    @property
    def params(self) -> dict[str, int | float | str]:
        """The hyperparameters by name."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in ("number", "seed")
        }


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """What all trials of a study share, and a worker needs to know.

    Attributes:
        dataset: Name of the data set.
        num_validation: Images held out for validation, a sixth of the training pool if None.
        split_seed: Seed of that split.
        data_dir: Folder of local data sets.
        order_seed: Seed of the order of the training images, the same for all trials.
        objective: What decides which epoch of a trial is its best.
        device: A torch device, such as `cpu` or `cuda:0`.
        num_threads: Threads of one worker on the CPU.
        engine: Name of the engine.
    """

    dataset: str
    num_validation: int | None
    split_seed: int
    data_dir: str
    order_seed: int
    objective: Objective
    device: str
    num_threads: int
    engine: str


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """What one trial measured in one epoch.

    Attributes:
        trial: The trial's number.
        epoch: 1 for the first epoch.
        train_loss: Mean cross-entropy of the steps of this epoch, in nats.
        validation_loss: Mean cross-entropy on the validation split, in nats.
        validation_accuracy: Share of the validation split that is right, 0 to 1.
        learning_rate: The rate at the epoch's last step.
        seconds: Wall time of the epoch, validation included.
    """

    trial: int
    epoch: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a trial failed.

    Attributes:
        kind: The class of the failure.
        reason: One line.
        traceback: Python's traceback, or empty.
    """

    kind: FailureKind
    reason: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """How a trial ended. A failed trial is data, too.

    Attributes:
        trial: The trial's number.
        state: COMPLETE, PRUNED or FAIL.
        history: Every epoch that was run.
        seconds: Wall time of the whole trial.
        num_parameters: Trainable numbers of the network; 0 if it was never built.
        device: Where it ran, with the hardware's name.
        precision: Of the matrix products.
        environment: Versions by package name, and the project's commit if known.
        data_fingerprint: SHA-256 of the training pool and its split.
        best_epoch: The epoch whose weights were kept, or None.
        validation_confusion_matrix: Of the best epoch, or None.
        validation_predictions: Predicted class of each validation image at the best epoch, one
            byte each, or None.
        failure: Set if and only if the state is FAIL.
        weights: The best epoch's weights as a safetensors file, or None.
    """

    trial: int
    state: TrialState
    history: tuple[EpochMetrics, ...] = ()
    seconds: float = 0.0
    num_parameters: int = 0
    device: str = ""
    precision: str = ""
    environment: dict[str, str] | None = None
    data_fingerprint: str = ""
    best_epoch: int | None = None
    validation_confusion_matrix: ConfusionMatrix | None = None
    validation_predictions: bytes | None = None
    failure: Failure | None = None
    weights: bytes | None = None

    @property
    def best(self) -> EpochMetrics | None:
        """The metrics of the best epoch."""
        return self.history[self.best_epoch - 1] if self.best_epoch is not None else None


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """A trial as the store knows it.

    Attributes:
        number: The trial's number.
        state: Its state.
        params: Every hyperparameter, fixed ones included; empty before it was asked for.
        reports: The objective after each reported epoch.
        outcome: How it ended (without the weights), or None if it has not.
    """

    number: int
    state: TrialState
    params: dict[str, int | float | str]
    reports: dict[int, float]
    outcome: TrialOutcome | None

    @property
    def epochs_run(self) -> int:
        """Epochs that were run to their end."""
        return len(self.outcome.history) if self.outcome else max(self.reports, default=0)

    @property
    def reason(self) -> str | None:
        """Why the trial was pruned or failed, in one line."""
        if self.outcome is None:
            return None
        if self.outcome.failure is not None:
            return f"{self.outcome.failure.kind}: {self.outcome.failure.reason}"
        if self.state is TrialState.PRUNED:
            return f"pruned after epoch {self.epochs_run} of {self.params['epochs']}"
        return None


@dataclass(frozen=True, slots=True)
class Mistake:
    """A test image that the chosen trial got wrong.

    Attributes:
        index: Position in the test split.
        true: Its label.
        predicted: What the network said.
        confidence: The probability that the network gave to its answer.
        image: Pixels, one byte each, row by row.
    """

    index: int
    true: int
    predicted: int
    confidence: float
    image: bytes


@dataclass(frozen=True, slots=True)
class TestReading:
    """One opening of the test split.

    Attributes:
        trial: The trial that validation had chosen.
        opened_at: Time of the opening, ISO 8601, UTC.
        num_images: Size of the test split; 0 if the reading was never finished.
        fingerprint: SHA-256 of the test split.
        confusion_matrix: Of the test split, or None if the reading was never finished.
        mistakes: The most confident mistakes.
        image_shape: Height and width of an image in pixels.
    """

    __test__ = False  # pytest would take the name for a test class

    trial: int
    opened_at: str
    num_images: int = 0
    fingerprint: str = ""
    confusion_matrix: ConfusionMatrix | None = None
    mistakes: tuple[Mistake, ...] = ()
    image_shape: tuple[int, int] = (0, 0)

    @property
    def num_correct(self) -> int:
        """Test images that were classified rightly."""
        matrix = self.confusion_matrix or ()
        return sum(row[label] for label, row in enumerate(matrix))


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study as the store knows it.

    Attributes:
        name: The study's name.
        state: What it is doing.
        space: The search space as plain data (see `sweep.space.SearchSpace`).
        objective: What the study ranks by.
        num_trials: The total number of trials of the budget, or None.
        timeout_seconds: The time limit of one command, or None.
        data: What the study remembers of its data.
        trials: All trials by number.
        test_readings: Every opening of the test split, in order.
    """

    name: str
    state: StudyState
    space: dict[str, Any]
    objective: Objective
    num_trials: int | None
    timeout_seconds: float | None
    data: DataFacts
    trials: tuple[TrialRecord, ...]
    test_readings: tuple[TestReading, ...]

    def value(self, trial: TrialRecord) -> float | None:
        """The trial's best validation metric, or None if it has none."""
        best = trial.outcome.best if trial.outcome else None
        return self.objective.value(best) if best else None

    def ranked(self) -> list[TrialRecord]:
        """COMPLETE trials with a value, best first; equal ones in the order of their numbers."""
        sign = -1 if self.objective.goal == "maximize" else 1
        valued = [
            (sign * value, trial.number, trial)
            for trial in self.trials
            if trial.state is TrialState.COMPLETE and (value := self.value(trial)) is not None
        ]
        return [trial for *_, trial in sorted(valued, key=lambda entry: entry[:2])]

    @property
    def best(self) -> TrialRecord | None:
        """The trial that validation chose, or None while no trial is COMPLETE."""
        ranked = self.ranked()
        return ranked[0] if ranked else None

    def count(self, *states: TrialState) -> int:
        """How many trials are in one of these states."""
        return sum(trial.state in states for trial in self.trials)

    def test_reading(self, trial: int) -> TestReading | None:
        """The finished reading of the test split for this trial, or None."""
        for reading in self.test_readings:
            if reading.trial == trial and reading.confusion_matrix is not None:
                return reading
        return None


def best_epoch(history: tuple[EpochMetrics, ...], objective: Objective) -> int | None:
    """The epoch with the best objective (the first of equals), or None without epochs."""
    best: EpochMetrics | None = None
    for metrics in history:
        if best is None or objective.is_better(objective.value(metrics), objective.value(best)):
            best = metrics
    return best.epoch if best else None
