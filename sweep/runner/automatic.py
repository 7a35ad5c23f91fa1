"""What `auto` comes to: precision, lanes, threads and times that follow from a calibration.

Nothing is measured here. The time of a step of K equal lanes is taken as a + bK seconds, fitted to
one lane and to several.
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
# A stack is full when further lanes could not save more than this share of a lane's time.
_FULL = 0.05


@dataclass(frozen=True, slots=True)
class _Line:
    """The seconds of a step of K lanes of one network: fixed + each * K."""

    step_flops: int
    fixed: float
    each: float
    max_lanes: int  # that were measured

    def full(self, most: int) -> float:
        """Lanes beyond which another saves next to nothing, from 1 to `most`."""
        return min(max(1.0, self.fixed / (self.each * _FULL)), most)

    def lane_seconds(self, lanes: float) -> float:
        """Seconds of a step for each of so many lanes."""
        return self.fixed / lanes + self.each


@dataclass(frozen=True, slots=True)
class Course:
    """How time and lanes depend on the work of a network, in one precision.

    Between the networks that were measured, and beyond them, logarithms are interpolated.
    """

    lines: tuple[_Line, ...]
    most_lanes: int

    @property
    def full_stacks(self) -> tuple[tuple[int, float], ...]:
        """Pairs of a lane's floating-point operations per step and the lanes that fill a stack."""
        return tuple((line.step_flops, line.full(self.most_lanes)) for line in self.lines)

    def lane_seconds(self, step_flops: float, lanes: int) -> float:
        """Seconds of a step of one lane, in a stack of at most so many."""
        times = [
            (line.step_flops, line.lane_seconds(min(lanes, line.full(self.most_lanes))))
            for line in self.lines
        ]
        return interpolated(times, step_flops)


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


def course(calibration: Calibration, precision: str, most_lanes: int) -> Course | None:
    """What is known of one precision; None if it was not measured."""
    measured = _by_stack(calibration.timings, precision, threads=1)
    lines = []
    for flops in sorted({flops for flops, _ in measured}):
        counts = sorted(lanes for other, lanes in measured if other == flops)
        few, many = counts[0], counts[-1]
        first, last = measured[flops, few], measured[flops, many]
        each = (last - first) / (many - few) if many > few else first / few
        each = max(each, last / many / 2)  # noise must not make further lanes free
        lines.append(_Line(flops, max(0.0, last - each * many), each, many))
    return Course(tuple(lines), most_lanes) if lines else None


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
