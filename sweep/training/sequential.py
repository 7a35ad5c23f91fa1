"""The reference engine: one trial after the other.

Images stay on the device as bytes; a batch is gathered, converted and normalised there. All
trials of a study see the same order of images in an epoch; initial weights and dropout come from
the trial's own seed.

Shape legend: N images, B batch, D inputs, C classes.
"""

from __future__ import annotations

import platform
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch.nn import functional

from sweep.data import Part, TrainingData
from sweep.models import MLP, build_mlp
from sweep.provenance import package_versions
from sweep.records import (
    ConfusionMatrix,
    Decision,
    EpochMetrics,
    Failure,
    FailureKind,
    TrainingSettings,
    TrialConfig,
    TrialOutcome,
    TrialState,
)
from sweep.training.engine import Report
from sweep.training.optimizers import Optimizer, build_optimizer
from sweep.training.schedules import learning_rate

__all__ = ["SequentialEngine", "Trial"]

_VALIDATION_BATCH = 4096


@dataclass(frozen=True, slots=True)
class _DeviceSplit:
    """A split on the device: images uint8 (N, D), labels int64 (N,)."""

    images: torch.Tensor
    labels: torch.Tensor

    @classmethod
    def load(cls, part: Part, device: torch.device) -> _DeviceSplit:
        images = torch.tensor(part.images.reshape(len(part), -1), device=device)
        return cls(images, torch.tensor(part.labels, device=device))


@dataclass(slots=True)
class _Best:
    """The best epoch so far."""

    epoch: int
    value: float
    predictions: torch.Tensor
    weights: dict[str, torch.Tensor]


class _NotFiniteError(ArithmeticError):
    """A loss is NaN or infinite."""


class SequentialEngine:
    """Trains one configuration at a time (see `sweep.training.engine.Engine`)."""

    def __init__(self, settings: TrainingSettings, data: TrainingData) -> None:
        self._settings = settings
        self._device = torch.device(settings.device)
        self._data = data
        self._train = _DeviceSplit.load(data.train, self._device)
        self._validation = _DeviceSplit.load(data.validation, self._device)
        self._environment = package_versions()

    @property
    def hardware(self) -> str:
        """The device and the name of its hardware."""
        if self._device.type == "cuda":
            return f"{self._device} ({torch.cuda.get_device_name(self._device)})"
        threads = torch.get_num_threads()
        return f"{self._device} ({_cpu_name()}, {threads} thread{'s' if threads > 1 else ''})"

    def train(self, configs: Sequence[TrialConfig], report: Report) -> Iterator[TrialOutcome]:
        """Train each configuration; a failure is an outcome, not an exception."""
        for config in configs:
            yield self.trial(config).run(report)

    def trial(self, config: TrialConfig) -> Trial:
        """A trial that can be run."""
        return Trial(self, config)

    def batch(self, split: _DeviceSplit, indices: torch.Tensor | slice) -> torch.Tensor:
        """Normalised images, float32, shape (B, D)."""
        pixels = split.images[indices].to(torch.float32)
        return pixels.sub_(self._data.mean).mul_(1.0 / self._data.std)

    def epoch_order(self, epoch: int) -> torch.Tensor:
        """The order of the training images in an epoch, the same for all trials of a study."""
        seed = np.random.SeedSequence((self._settings.order_seed, epoch)).generate_state(1)[0]
        order = np.random.default_rng(seed).permutation(len(self._train.labels))
        return torch.from_numpy(order).to(self._device)


class Trial:
    """The state of one trial while it is trained."""

    def __init__(self, engine: SequentialEngine, config: TrialConfig) -> None:
        self._engine = engine
        self._config = config
        self._history: list[EpochMetrics] = []
        self._best: _Best | None = None
        self._num_parameters = 0
        self._started = time.perf_counter()

    def run(self, report: Report) -> TrialOutcome:
        """Train to the end, to a pruning, or to a failure."""
        state, failure = TrialState.COMPLETE, None
        try:
            for metrics in self._epochs():
                self._history.append(metrics)
                if report([metrics])[0] is Decision.PRUNE:
                    state = TrialState.PRUNED
                    break
        except (EOFError, BrokenPipeError):
            raise  # the driver has gone: there is no one left to report to
        except Exception as error:  # noqa: BLE001 - whatever went wrong in a trial is its outcome
            state, failure = TrialState.FAIL, _failure(error)
        return self._outcome(state, failure)

    def _epochs(self) -> Iterator[EpochMetrics]:
        engine, config, data = self._engine, self._config, self._engine._data
        torch.manual_seed(config.seed)
        model = build_mlp(config, num_inputs=data.num_inputs, num_classes=data.num_classes)
        model = model.to(engine._device)
        self._num_parameters = sum(p.numel() for p in model.parameters())
        optimizer = build_optimizer(model.parameters(), config)
        for epoch in range(1, config.epochs + 1):
            started = time.perf_counter()
            train_loss, rate = self.train_epoch(model, optimizer, epoch)
            validation_loss, accuracy, predictions = self._validate(model)
            if not np.isfinite([train_loss, validation_loss]).all():
                raise _NotFiniteError(
                    f"epoch {epoch}: training loss {train_loss}, validation loss {validation_loss}"
                )
            metrics = EpochMetrics(
                trial=config.number,
                epoch=epoch,
                train_loss=train_loss,
                validation_loss=validation_loss,
                validation_accuracy=accuracy,
                learning_rate=rate,
                seconds=time.perf_counter() - started,
            )
            self._keep_if_best(metrics, model, predictions)
            yield metrics

    def train_epoch(self, model: MLP, optimizer: Optimizer, epoch: int) -> tuple[float, float]:
        """One pass over the training split: mean loss and last learning rate."""
        engine, config = self._engine, self._config
        split = engine._train
        batches = engine.epoch_order(epoch).split(config.batch_size)
        num_steps = config.epochs * len(batches)
        loss_sum = torch.zeros((), device=engine._device)
        rate = config.learning_rate
        model.train()
        for index, indices in enumerate(batches):
            step = (epoch - 1) * len(batches) + index
            rate = learning_rate(
                config.learning_rate_schedule, config.learning_rate, step, num_steps
            )
            logits = model(engine.batch(split, indices))
            loss = functional.cross_entropy(logits, split.labels[indices])
            loss.backward()
            optimizer.step(rate)
            loss_sum += loss.detach() * len(indices)  # stays on the device: no waiting
        return float(loss_sum) / len(split.labels), rate

    @torch.no_grad()
    def _validate(self, model: MLP) -> tuple[float, float, torch.Tensor]:
        """Mean loss, accuracy and predicted classes (int64, shape (N,)) on validation data."""
        engine = self._engine
        split = engine._validation
        model.eval()
        loss_sum = torch.zeros((), device=engine._device)
        predictions = torch.empty_like(split.labels)
        for start in range(0, len(split.labels), _VALIDATION_BATCH):
            rows = slice(start, start + _VALIDATION_BATCH)
            logits = model(engine.batch(split, rows))
            loss_sum += functional.cross_entropy(logits, split.labels[rows], reduction="sum")
            predictions[rows] = logits.argmax(1)
        correct = int((predictions == split.labels).sum())
        return float(loss_sum) / len(split.labels), correct / len(split.labels), predictions

    def _keep_if_best(self, metrics: EpochMetrics, model: MLP, predictions: torch.Tensor) -> None:
        objective = self._engine._settings.objective
        value = objective.value(metrics)
        if self._best is None or objective.is_better(value, self._best.value):
            weights = {name: w.detach().clone() for name, w in model.state_dict().items()}
            self._best = _Best(metrics.epoch, value, predictions.clone(), weights)

    def _outcome(self, state: TrialState, failure: Failure | None) -> TrialOutcome:
        engine, best = self._engine, self._best
        matrix: ConfusionMatrix | None = None
        predictions: bytes | None = None
        weights: bytes | None = None
        if best is not None:
            labels, num_classes = engine._validation.labels, engine._data.num_classes
            cells = torch.bincount(
                labels * num_classes + best.predictions, minlength=num_classes**2
            )
            matrix = tuple(map(tuple, cells.reshape(num_classes, num_classes).tolist()))
            predictions = best.predictions.to(torch.uint8).cpu().numpy().tobytes()
        if best is not None and state is TrialState.COMPLETE:
            weights = safetensors.torch.save({k: w.cpu() for k, w in best.weights.items()})
        return TrialOutcome(
            trial=self._config.number,
            state=state,
            history=tuple(self._history),
            seconds=time.perf_counter() - self._started,
            num_parameters=self._num_parameters,
            device=engine.hardware,
            precision="float32",
            environment=engine._environment,
            data_fingerprint=engine._data.fingerprint,
            best_epoch=best.epoch if best else None,
            validation_confusion_matrix=matrix,
            validation_predictions=predictions,
            failure=failure,
            weights=weights,
        )


def _failure(error: Exception) -> Failure:
    """Sort an exception into the kinds of failure."""
    text = "".join(traceback.format_exception(error))
    lines = str(error).strip().splitlines()
    reason = lines[0] if lines else type(error).__name__
    if isinstance(error, _NotFiniteError):
        return Failure(FailureKind.NAN, reason)
    out_of_memory = isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )
    kind = FailureKind.OUT_OF_MEMORY if out_of_memory else FailureKind.EXCEPTION
    return Failure(kind, f"{type(error).__name__}: {reason}", text)


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
