"""What an engine reports when a trial ends, failures included."""

from __future__ import annotations

import traceback

import safetensors.torch
import torch

from sweep.codec import pack_labels
from sweep.provenance import package_versions
from sweep.records import Failure, FailureKind, TrainingSettings, TrialOutcome, TrialState
from sweep.training.batches import Batches
from sweep.training.checkpoints import plain_copies
from sweep.training.hardware import describe_device, is_out_of_memory
from sweep.training.lane import Lane

__all__ = ["Outcomes", "failure_of", "one_line"]


class Outcomes:
    """Makes the outcomes of an engine's trials; `hardware` names the device."""

    def __init__(self, settings: TrainingSettings, batches: Batches) -> None:
        self._engine = settings.engine
        self._batches = batches
        self._environment = package_versions()
        self.hardware = describe_device(batches.device)

    def outcome(
        self, lane: Lane, state: TrialState, failure: Failure | None = None
    ) -> TrialOutcome:
        """How a trial ended. Its best weights go along if it is COMPLETE."""
        best, batches = lane.best, self._batches
        predictions = losses = weights = None
        if best is not None:
            predictions = pack_labels(best.predictions.cpu().numpy(), batches.spec.num_classes)
        if best is not None and best.losses is not None:
            losses = best.losses.to("cpu", torch.float32).numpy().tobytes()
        if best is not None and state is TrialState.COMPLETE:
            weights = safetensors.torch.save(plain_copies(best.weights))
        return TrialOutcome(
            trial=lane.config.number,
            state=state,
            history=tuple(lane.history),
            seconds=lane.seconds,
            num_parameters=lane.num_parameters,
            device=self.hardware,
            precision=batches.precision.name,
            engine=self._engine,
            num_threads=torch.get_num_threads(),
            num_lanes=lane.num_lanes,
            environment=self._environment,
            data_fingerprint=batches.fingerprint,
            best_epoch=best.epoch if best else None,
            validation_predictions=predictions,
            validation_losses=losses,
            failure=failure,
            weights=weights,
        )


def failure_of(error: Exception) -> Failure:
    """An exception as a failure."""
    kind = FailureKind.OUT_OF_MEMORY if is_out_of_memory(error) else FailureKind.EXCEPTION
    text = "".join(traceback.format_exception(error))
    return Failure(kind, f"{type(error).__name__}: {one_line(error)}", text)


def one_line(error: Exception) -> str:
    """The first line of an exception's message, or its type."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
