"""The data of a study, and a trial: its configuration, what it measures, how it ends."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

ConfusionMatrix = tuple[tuple[int, ...], ...]
"""Counts, true classes in rows, predicted classes in columns."""


class TrialState(StrEnum):
    """The state of a trial, in Optuna's words; PAUSED is ours, and RUNNING to Optuna."""

    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    FAIL = "FAIL"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    WAITING = "WAITING"


class Decision(StrEnum):
    """The answer to one epoch's metrics: the only thing that travels back to an engine."""

    CONTINUE = "continue"
    PAUSE = "pause"
    PRUNE = "prune"


class FailureKind(StrEnum):
    """Why a trial failed."""

    NAN = "nan"
    OUT_OF_MEMORY = "out_of_memory"
    EXCEPTION = "exception"
    KILLED = "killed"
    TIME_LIMIT = "time_limit"


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Which data set is meant, and how its training pool is split.

    Attributes:
        num_validation: Examples held out for validation, a sixth of the training pool if None.
        split_seed: Seed of that split.
        data_dir: Folder of local data sets; downloads go there.
    """

    name: str
    num_validation: int | None
    split_seed: int
    data_dir: str


@dataclass(frozen=True, slots=True)
class DataSpec:
    """What is known of a data set without reading its examples.

    Attributes:
        kind: `image` (bytes) or `table` (float32 columns).
        input_shape: Of one example: channels, height and width, or the number of columns.
        class_names: Names of the classes in the order of their labels.
        num_pool: Examples of the training pool, those for validation included.
        num_test: Examples of the test part.
    """

    kind: str
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    num_pool: int
    num_test: int

    @property
    def num_inputs(self) -> int:
        """Numbers of one example."""
        return math.prod(self.input_shape)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def dtype(self) -> str:
        """NumPy's name of the type in which examples are kept."""
        return "uint8" if self.kind == "image" else "float32"


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What a study remembers of its data, so that the store alone makes a report.

    Attributes:
        spec: What is known of the data set.
        fingerprint: SHA-256 of the training pool and its split.
        validation_labels: True class of each validation example (see `sweep.codec.pack_labels`).
    """

    spec: DataSpec
    fingerprint: str
    validation_labels: bytes


@dataclass(frozen=True, slots=True)
class Objective:
    """The validation metric that a study ranks by, and whether to `maximize` or `minimize` it.

    Metrics are those of `sweep.definitions.OBJECTIVES`, which are keys of `EpochMetrics.values`.
    """

    metric: str
    goal: str

    def value(self, metrics: EpochMetrics) -> float:
        """The objective's value after one epoch."""
        return metrics.values[self.metric]

    def is_better(self, value: float, than: float) -> bool:
        """Whether `value` is strictly better than `than`."""
        return value > than if self.goal == "maximize" else value < than


@dataclass(frozen=True, slots=True)
class TrialConfig:
    """One configuration, sampled whole before training.

    Attributes:
        seed: Seed of the initial weights and of dropout.
        params: A value for every hyperparameter of the model family and of the recipe, by name.
    """

    number: int
    seed: int
    params: Mapping[str, int | float | str]


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """What all trials of a study share, and a worker needs to know.

    Attributes:
        order_seed: Seed of the order of the training examples, the same for all trials.
        objective: What decides which epoch of a trial is its best.
        device: A torch device, such as `cpu` or `cuda:0`.
        num_sharing: Workers that share the device's memory.
        num_threads: Threads of one worker on the CPU.
        precision: Number format of the matrix products: `auto`, `float32` or `bfloat16`.
        lanes: The most trials that one worker trains at once.
        stack_flops: Floating-point operations of a step from which on a stack takes no further
            lane, or None if only `lanes` limits it.
        rungs: Epochs after which the engine waits for the decision before it trains on, so that
            all trials that are paused there are at the same step.
    """

    model: str
    data: DataSettings
    spec: DataSpec
    order_seed: int
    objective: Objective
    device: str
    num_sharing: int
    num_threads: int
    engine: str
    precision: str
    lanes: int
    stack_flops: float | None
    rungs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """What one trial measured in one epoch.

    Attributes:
        epoch: 1 for the first epoch.
        values: The metrics by name. `train_loss` (what is minimised, mean of the epoch's steps, in
            nats) and `train_accuracy` are of the training examples when they were trained on,
            dropout included; each name of `sweep.definitions.OBJECTIVES` is of the validation
            split at the end of the epoch.
        learning_rate: The rate at the epoch's last step.
        seconds: Time that the worker spent on the epoch, validation included; trials that are
            trained together share it equally.
    """

    trial: int
    epoch: int
    values: Mapping[str, float]
    learning_rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a trial failed: `reason` is one line, `traceback` is Python's or empty."""

    kind: FailureKind
    reason: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """How a trial ended. A failed trial is data, too.

    Attributes:
        state: COMPLETE, PRUNED or FAIL.
        history: Every epoch that was run.
        seconds: Wall time of the whole trial.
        num_parameters: Trainable parameters of the network; 0 if it was never built.
        device: Where it ran, with the hardware's name.
        precision: Of the matrix products: `float32`, `bfloat16`, or, on a GPU, `tf32`.
        num_threads: Threads that it had on the CPU.
        num_lanes: The most trials that were trained together with it, itself included.
        environment: Versions by package name, and the project's commit if known.
        data_fingerprint: SHA-256 of the training pool and its split.
        best_epoch: The epoch whose weights were kept, or None.
        validation_predictions: Predicted class of each validation example at the best epoch (see
            `sweep.codec.pack_labels`), or None.
        validation_losses: Cross-entropy of each validation example at the best epoch, in nats,
            float32, if the study ranks by the loss; otherwise None.
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
    validation_predictions: bytes | None = None
    validation_losses: bytes | None = None
    failure: Failure | None = None
    weights: bytes | None = None
    worker: int | None = None

    @property
    def best(self) -> EpochMetrics | None:
        """The metrics of the best epoch, or None; also where a store names one that never ran."""
        epoch = self.best_epoch
        return self.history[epoch - 1] if epoch and 1 <= epoch <= len(self.history) else None
