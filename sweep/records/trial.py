"""The data of a study; the configuration, metrics and outcome of a trial."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from sweep.records.network_source import Model

ConfusionMatrix = tuple[tuple[int, ...], ...]
"""Counts, true classes in rows, predicted classes in columns."""

Rank = tuple[float, float, int, int]
"""What a trial is ranked by, the best first: see `Objective.rank`."""


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
    """Which data set to use, where it lies, and how to split it.

    A number of examples below 1 is a share.

    Attributes:
        kind: How it is read: `builtin`, `folder`, `arrays` or `table`.
        name: Of a built-in data set; of own data, what the search space names.
        path: The folder of local data sets, or own data's own folder or file.
        validation: Examples of the training pool to hold out; a sixth if None.
        split_seed: Of the split.
        test: Examples of own data without a test part to seal; a fifth if None.
        image_size: (height, width) to which images of a folder are brought; None for as they are.
        channels: `grey` or `colour`; None for what a folder's images have.
        target: A table's column of classes.
        test_path: A table's test part; empty if it has none.
        group: A table's column whose rows of one value stay in one split; empty for none.
        sha256: Of the arrays that Python gave, which the file must hold; empty for other data.
    """

    kind: str
    name: str
    path: str
    validation: int | float | None = None
    split_seed: int = 0
    test: int | float | None = None
    image_size: tuple[int, int] | None = None
    channels: str | None = None
    target: str = ""
    test_path: str = ""
    group: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class DataSpec:
    """The form and size of a data set; of a built-in one, known without reading it.

    Attributes:
        kind: `image` (bytes) or `table` (float32 columns).
        input_shape: Of one example: (channels, height, width), or (columns,).
        class_names: In the order of the labels.
        num_pool: Examples of the training pool, those for validation included.
    """

    kind: str
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    num_pool: int
    num_test: int

    @property
    def num_inputs(self) -> int:
        """How many numbers describe one example."""
        return math.prod(self.input_shape)

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @property
    def dtype(self) -> str:
        """NumPy's name of the type of the examples."""
        return "uint8" if self.kind == "image" else "float32"


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What a study remembers of its data, so that a report needs only the store.

    Attributes:
        fingerprint: SHA-256 of the training pool and its split; of own data, of the test part, too.
        validation_labels: True class of each validation example (see `sweep.codec.pack_labels`).
        notes: What was left out or converted when own data were read, a sentence each.
    """

    spec: DataSpec
    fingerprint: str
    validation_labels: bytes = field(repr=False)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric of `sweep.definitions.OBJECTIVES`, and whether to `maximize` or `minimize` it.

    It is measured after `every` so many epochs, and after a trial's last one.
    """

    metric: str
    goal: str
    every: int = 1

    def value(self, metrics: EpochMetrics) -> float:
        """The objective after one epoch."""
        return metrics.values[self.metric]

    def is_better(self, value: float, than: float) -> bool:
        """Whether `value` is strictly better than `than`."""
        return value > than if self.goal == "maximize" else value < than

    def rank(self, outcome: TrialOutcome) -> Rank | None:
        """What all trials are ranked by, ascending; None for a trial without a value.

        The better value comes first. Of equal values the lower validation loss does, of equal
        losses the network with fewer parameters, and of equal networks the lower number.
        """
        best = outcome.best
        if best is None:
            return None
        value = self.value(best)
        return (
            -value if self.goal == "maximize" else value,
            best.values.get("validation_loss", math.inf),
            outcome.num_parameters,
            outcome.trial,
        )


@dataclass(frozen=True, slots=True)
class TrialConfig:
    """One configuration, sampled whole before training.

    Attributes:
        seed: Of the initial weights and of dropout.
        params: A value for every hyperparameter of the model family and of the recipe.
        order: Which order of the training examples: trials with the same number share it. It is
            the same for all trials of a search, and the seed's index in a confirmation.
    """

    number: int
    seed: int
    params: Mapping[str, int | float | str]
    order: int = 0


@dataclass(frozen=True, slots=True)
class Slot:
    """A place where one worker can run.

    Attributes:
        name: No other slot of a launcher has it.
        device: A torch device, such as `cpu` or `cuda:0`.
        num_threads: CPU threads for its worker.
        num_sharing: Workers that share the device's memory, its own included.
        node: Name of the machine; empty for the driver's own.
    """

    name: str
    device: str
    num_threads: int
    num_sharing: int = 1
    node: str = ""


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """What a worker needs to know and all trials of a study share.

    Attributes:
        order_seed: Of the orders of the training examples.
        device: A torch device, such as `cpu` or `cuda:0`.
        num_sharing: Workers that share the device's memory.
        num_threads: CPU threads of one worker.
        precision: Of matrix products: `float32`, `bfloat16` or `float16`.
        lanes: The most trials that one worker trains at once.
        full_stacks: How many lanes fill a stack, by the floating-point operations of one lane's
            step, ascending; only `lanes` limits a stack if empty.
        rungs: Shares of a trial's epochs (see `rung_epochs`) after which the engine waits for the
            decision before it trains on, so that trials paused there can be trained together again.
    """

    model: Model
    spec: DataSpec
    order_seed: int
    objective: Objective
    device: str
    num_sharing: int
    num_threads: int
    engine: str
    precision: str
    lanes: int
    full_stacks: tuple[tuple[int, float], ...] = ()
    rungs: tuple[float, ...] = ()

    def validates_after(self, epoch: int, num_epochs: int) -> bool:
        """Whether a trial of `num_epochs` is validated, and reports, after this epoch."""
        is_due = epoch >= num_epochs or epoch % self.objective.every == 0
        return is_due or epoch in rung_epochs(self.rungs, num_epochs)


@lru_cache(4096)
def rung_epochs(shares: tuple[float, ...], num_epochs: int) -> tuple[int, ...]:
    """The epochs of a trial's rungs, which lie at these shares of its epochs, ascending.

    Shares are rounded up; no two rungs share an epoch, and none is at the trial's end.
    """
    found: list[int] = []
    for share in shares:
        epoch = math.ceil(round(share * num_epochs, 9))
        found.append(max(epoch, found[-1] + 1 if found else 1))
    return tuple(epoch for epoch in found if epoch < num_epochs)


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """What one trial measured in one epoch, and reported.

    Epochs that are not validated are not reported.

    Attributes:
        epoch: From 1.
        values: By name. `train_loss` (the mean of what the epoch's steps minimised, in nats, with
            the recipe's label smoothing and class weights) and `train_accuracy` are measured during
            training, by the weights as they move, on inputs with augmentation, noise and dropout;
            each name of `sweep.definitions.OBJECTIVES` on the validation split after the epoch, by
            the averages of weights that are averaged.
        learning_rate: At the epoch's last step.
        seconds: Wall time of all epochs since the last report, validation included; trials that are
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
        history: Every epoch that was reported.
        seconds: Wall time of the whole trial.
        num_parameters: Trainable ones; 0 if the network was never built.
        device: With the hardware's name.
        precision: Of matrix products: `float32`, `bfloat16`, `float16`, or, on a GPU, `tf32`.
        num_threads: CPU threads of its worker.
        num_lanes: The most trials that were trained together with it, itself included.
        environment: Versions by package name, and the project's commit if known.
        data_fingerprint: SHA-256 of the training pool and its split.
        best_epoch: The epoch whose weights, or their averages, were kept.
        validation_predictions: Predicted class of each validation example at the best epoch (see
            `sweep.codec.pack_labels`).
        validation_losses: Cross-entropy of each validation example at the best epoch, in nats,
            float32; only if the study ranks by the loss.
        failure: Set if and only if the state is FAIL.
        weights: Of the best epoch, as a safetensors file.
        worker: Which of the command's workers trained it, from 0.
        node: Name of that worker's machine; empty for the driver's own.
    """

    trial: int
    state: TrialState
    history: tuple[EpochMetrics, ...] = field(default=(), repr=False)
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
    validation_predictions: bytes | None = field(default=None, repr=False)
    validation_losses: bytes | None = field(default=None, repr=False)
    failure: Failure | None = None
    weights: bytes | None = field(default=None, repr=False)
    worker: int | None = None
    node: str = ""

    @property
    def epochs_run(self) -> int:
        """Epochs up to the last report."""
        return last_epoch(self.history)

    @property
    def best(self) -> EpochMetrics | None:
        """Metrics of the best epoch; None without one, or if a store names one that never ran."""
        return None if self.best_epoch is None else reported(self.history, self.best_epoch)


def last_epoch(history: Sequence[EpochMetrics]) -> int:
    """The last epoch that was reported, or 0."""
    return history[-1].epoch if history else 0


def reported(history: Sequence[EpochMetrics], epoch: int) -> EpochMetrics | None:
    """What was reported after this epoch, or None."""
    position = bisect_left(history, epoch, key=lambda metrics: metrics.epoch)
    found = history[position : position + 1]
    return found[0] if found and found[0].epoch == epoch else None
