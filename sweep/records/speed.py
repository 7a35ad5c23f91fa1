"""How fast a machine trains the networks of a study, as measured on that machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sweep.records.network_source import Model
from sweep.records.trial import DataSpec, TrialConfig

__all__ = ["WORTHWHILE", "Calibration", "CalibrationRequest", "Timing"]

WORTHWHILE = 0.03
"""A choice that is not the plainest must save at least this share of the time."""


@dataclass(frozen=True, slots=True)
class CalibrationRequest:
    """What to measure.

    Attributes:
        device: A torch device.
        precision: Of matrix products, or `auto`: whatever trains fastest.
        num_cores: CPU cores that training may keep busy.
        num_validation: Size of the validation split.
        configs: Networks of the study, the one with the least work first.
        step_flops: Floating-point operations of the matrix products of a training step of each; 0
            where unknown.
        lanes: How many of each are tried in one stack, ascending.
        mix: Configurations drawn at random, to be trained in one stack, as in the study; empty
            where trials are trained one by one.
        mix_flops: The mean of theirs, as in `step_flops`.
    """

    model: Model
    spec: DataSpec
    device: str
    engine: str
    precision: str
    num_cores: int
    num_validation: int
    configs: tuple[TrialConfig, ...]
    step_flops: tuple[int, ...]
    lanes: tuple[tuple[int, ...], ...]
    mix: tuple[TrialConfig, ...]
    mix_flops: int


@dataclass(frozen=True, slots=True)
class Timing:
    """The wall time of one training step of a stack.

    Attributes:
        step_flops: Floating-point operations of the matrix products of one lane, on average.
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
        precision: The one asked for, or the fastest; larger stacks were measured in it alone.
        timings: Of stacks of equal networks. With one thread a process, all cores are busy
            meanwhile, as in training.
        mixed: Of the study's mix, likewise.
        start_seconds: From the start of the first process until steps could be measured.
        seconds: That measuring took.
    """

    hardware: str
    torch: str
    products: Mapping[str, float]
    precision: str
    timings: tuple[Timing, ...]
    mixed: tuple[Timing, ...]
    start_seconds: float
    seconds: float
