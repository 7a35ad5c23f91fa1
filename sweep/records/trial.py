"""A trial: its configuration, what it measures, how it ends."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum

__all__ = [
    "ConfusionMatrix",
    "Decision",
    "EpochMetrics",
    "Failure",
    "FailureKind",
    "Objective",
    "TrainingSettings",
    "TrialConfig",
    "TrialOutcome",
    "TrialState",
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
    TIME_LIMIT = "time_limit"


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
        num_sharing: Workers that share the device's memory.
        num_threads: Threads of one worker on the CPU.
        engine: Name of the engine.
        precision: Number format of the matrix products: `auto`, `float32` or `bfloat16`.
        lanes: The most trials that one worker trains at once.
        stack_flops: Floating-point operations of a step from which on a stack takes no further
            lane, or None if only `lanes` limits it.
    """

    dataset: str
    num_validation: int | None
    split_seed: int
    data_dir: str
    order_seed: int
    objective: Objective
    device: str
    num_sharing: int
    num_threads: int
    engine: str
    precision: str
    lanes: int
    stack_flops: float | None


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
        seconds: Time that the worker spent on the epoch, validation included; trials that are
            trained together share it equally.
        train_accuracy: Share of the training images that were right when they were trained on, in
            this epoch, dropout included; None if it was not recorded.
    """

    trial: int
    epoch: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float
    seconds: float
    train_accuracy: float | None = None


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
        precision: Of the matrix products: `float32`, `bfloat16`, or, on a GPU, `tf32`.
        engine: Name of the engine.
        num_threads: Threads that it had on the CPU.
        num_lanes: The most trials that were trained together with it, itself included.
        environment: Versions by package name, and the project's commit if known.
        data_fingerprint: SHA-256 of the training pool and its split.
        best_epoch: The epoch whose weights were kept, or None.
        validation_confusion_matrix: Of the best epoch, or None.
        validation_predictions: Predicted class of each validation image at the best epoch, one
            byte each, or None.
        failure: Set if and only if the state is FAIL.
        weights: The best epoch's weights as a safetensors file, or None.
        worker: Which of the command's workers trained it, from 0, or None if unknown.
    """

    trial: int
    state: TrialState
    history: tuple[EpochMetrics, ...] = ()
    seconds: float = 0.0
    num_parameters: int = 0
    device: str = ""
    precision: str = ""
    engine: str = ""
    num_threads: int = 0
    num_lanes: int = 0
    environment: dict[str, str] | None = None
    data_fingerprint: str = ""
    best_epoch: int | None = None
    validation_confusion_matrix: ConfusionMatrix | None = None
    validation_predictions: bytes | None = None
    failure: Failure | None = None
    weights: bytes | None = None
    worker: int | None = None

    @property
    def best(self) -> EpochMetrics | None:
        """The metrics of the best epoch, or None; also where a store names one that never ran."""
        epoch = self.best_epoch
        return self.history[epoch - 1] if epoch and 1 <= epoch <= len(self.history) else None
