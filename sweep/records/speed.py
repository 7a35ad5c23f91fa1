"""How fast a machine trains the networks of a study, as measured on that machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sweep.records.network_source import Model
from sweep.records.trial import DataSpec, TrialConfig

__all__ = ["Calibration", "CalibrationRequest", "Timing"]


@dataclass(frozen=True, slots=True)
class CalibrationRequest:
    """What to measure.

    Attributes:
        device: A torch device.
        num_cores: CPU cores that training may keep busy.
        num_validation: Size of the validation split.
        configs: Networks of the study, the one with the least work first.
        step_flops: Floating-point operations of the matrix products of a training step of each; 0
            where unknown.
        lanes: How many of each are tried in one stack, ascending.
    """

    model: Model
    spec: DataSpec
    device: str
    engine: str
    num_cores: int
    num_validation: int
    configs: tuple[TrialConfig, ...]
    step_flops: tuple[int, ...]
    lanes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Timing:
    """The wall time of one training step of a stack of equal networks.

    Attributes:
        step_flops: Floating-point operations of the matrix products of one lane.
        seconds: Of the whole stack.
        epoch_seconds: What an epoch of the stack takes besides its steps: to begin it, to validate,
            and to keep the weights, as if each lane had never been better.
    """

    step_flops: int
    precision: str
    lanes: int
    threads: int
    seconds: float
    epoch_seconds: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured.

    Attributes:
        hardware: Name of the processor or the GPU.
        torch: Version of PyTorch.
        products: Floating-point operations per second of bare matrix products of one thread, or
            of the GPU, by precision.
        timings: With one thread a process, all cores are busy meanwhile, as in training.
        start_seconds: From the start of the first process until steps could be measured.
        seconds: That measuring took.
    """

    hardware: str
    torch: str
    products: Mapping[str, float]
    timings: tuple[Timing, ...]
    start_seconds: float
    seconds: float
