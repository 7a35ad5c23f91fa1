"""What `auto` comes to: precision, lanes, threads and times that follow from a calibration.

Nothing is measured here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from sweep.execution.capacity import interpolated
from sweep.records import Calibration, Timing

__all__ = ["Course", "choose_precision", "choose_threads", "course"]

# A choice that is not the plainest must save at least this share of the time.
_WORTHWHILE = 0.03


@dataclass(frozen=True, slots=True)
class _Network:
    """The seconds that a step costs each of so many lanes, by their number, ascending."""

    step_flops: int
    by_lanes: tuple[tuple[int, float], ...]
    epoch_seconds: float  # of each lane in the largest stack

    @property
    def full(self) -> int:
        """The least number of lanes beyond which no other saves a worthwhile share."""
        least = min(seconds for _, seconds in self.by_lanes)
        close = [n for n, seconds in self.by_lanes if seconds * (1 - _WORTHWHILE) <= least]
        return close[0]

    def lane_seconds(self, lanes: int) -> float:
        """Of each lane in a stack of so many, but of no more than fill it."""
        return interpolated(self.by_lanes, min(lanes, self.full))


@dataclass(frozen=True, slots=True)
class Course:
    """How time and lanes depend on the work of a network, in one precision.

    Between the networks that were measured, and beyond them, logarithms are interpolated.
    """

    networks: tuple[_Network, ...]

    @property
    def full_stacks(self) -> tuple[tuple[int, float], ...]:
        """Pairs of a lane's floating-point operations per step and the lanes that fill a stack."""
        return tuple((each.step_flops, each.full) for each in self.networks)

    def lane_seconds(self, step_flops: int, lanes: int) -> float:
        """Seconds of a step of one lane, in a stack of at most so many."""
        times = [(each.step_flops, each.lane_seconds(lanes)) for each in self.networks]
        return interpolated(times, step_flops)

    def epoch_seconds(self, step_flops: int) -> float:
        """Seconds of an epoch of one lane besides its steps."""
        return interpolated(
            [(each.step_flops, each.epoch_seconds) for each in self.networks], step_flops
        )


def choose_precision(calibration: Calibration) -> str:
    """The precision in which the networks take least time; float32 unless another saves some."""
    plain = _lane_seconds(calibration.timings, "float32")
    best, least = "float32", 1 - _WORTHWHILE
    for name in dict.fromkeys(timing.precision for timing in calibration.timings):
        other = _lane_seconds(calibration.timings, name)
        common = plain.keys() & other.keys()
        if common:
            ratio = sum(other[each] for each in common) / sum(plain[each] for each in common)
            if ratio < least:
                best, least = name, ratio
    return best


def choose_threads(calibration: Calibration, precision: str) -> int:
    """2 if one process with two threads trains faster than two with one each, otherwise 1."""
    of_one = _by_stack(calibration.timings, precision, threads=1)
    of_two = _by_stack(calibration.timings, precision, threads=2)
    common = of_one.keys() & of_two.keys()
    if not common:
        return 1
    ratio = fmean(of_two[key] / (of_one[key] / 2) for key in common)
    return 2 if ratio < 1 - _WORTHWHILE else 1


def course(calibration: Calibration, precision: str) -> Course | None:
    """What is known of one precision; None if it was not measured."""
    measured: dict[int, list[Timing]] = {}
    for timing in calibration.timings:
        if (timing.precision, timing.threads) == (precision, 1):
            measured.setdefault(timing.step_flops, []).append(timing)
    networks = []
    for flops, timings in sorted(measured.items()):
        timings.sort(key=lambda timing: timing.lanes)
        last = timings[-1]
        by_lanes = tuple((each.lanes, each.seconds / each.lanes) for each in timings)
        networks.append(_Network(flops, by_lanes, last.epoch_seconds / last.lanes))
    return Course(tuple(networks)) if networks else None


def _lane_seconds(timings: Sequence[Timing], precision: str) -> dict[int, float]:
    """Seconds of a lane's step by network, each in its better stack."""
    best: dict[int, float] = {}
    for timing in timings:
        if (timing.precision, timing.threads) == (precision, 1):
            lane = timing.seconds / timing.lanes
            best[timing.step_flops] = min(best.get(timing.step_flops, math.inf), lane)
    return best


def _by_stack(
    timings: Sequence[Timing], precision: str, *, threads: int
) -> dict[tuple[int, int], float]:
    return {
        (each.step_flops, each.lanes): each.seconds
        for each in timings
        if (each.precision, each.threads) == (precision, threads)
    }
