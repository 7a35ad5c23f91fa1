"""What follows from a calibration: threads, lanes and times.

Nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from sweep.execution.capacity import interpolated
from sweep.records import WORTHWHILE, Calibration, Timing, WorkerChoices

__all__ = [
    "Course",
    "choose_threads",
    "course",
    "full_stacks",
    "mixing",
]


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
        close = [n for n, seconds in self.by_lanes if seconds * (1 - WORTHWHILE) <= least]
        return close[0]

    def lane_seconds(self, lanes: int) -> float:
        """Of each lane in a stack of so many, but of no more than fill it."""
        return interpolated(self.by_lanes, min(lanes, self.full))


@dataclass(frozen=True, slots=True)
class Course:
    """How time and lanes depend on the work of a network.

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


def choose_threads(calibration: Calibration) -> int:
    """2 if one process with two threads trains faster than two with one each, otherwise 1."""
    of_one, of_two = (
        {
            (timing.step_flops, timing.lanes): timing.seconds
            for timing in (*calibration.mixed, *calibration.timings)
            if (timing.precision, timing.threads) == (calibration.precision, threads)
        }
        for threads in (1, 2)
    )
    ratios = [of_two[key] / (of_one[key] / 2) for key in of_one.keys() & of_two.keys()]
    return 2 if ratios and fmean(ratios) < 1 - WORTHWHILE else 1


def course(calibration: Calibration) -> Course | None:
    """What is known of the calibration's precision; None if nothing was measured."""
    measured: dict[int, list[Timing]] = {}
    for timing in calibration.timings:
        if (timing.precision, timing.threads) == (calibration.precision, 1):
            measured.setdefault(timing.step_flops, []).append(timing)
    # If time ran out before a network was stacked, other networks say how many lanes pay.
    most = max(map(len, measured.values()), default=0)
    networks = []
    for flops, timings in sorted(measured.items()):
        if len(timings) == 1 < most:
            continue
        timings.sort(key=lambda timing: timing.lanes)
        last = timings[-1]
        by_lanes = tuple((each.lanes, each.seconds / each.lanes) for each in timings)
        networks.append(_Network(flops, by_lanes, last.epoch_seconds / last.lanes))
    return Course(tuple(networks)) if networks else None


def full_stacks(choices: WorkerChoices) -> tuple[tuple[int, float], ...]:
    """How many lanes fill a stack, where the user did not say it (see `TrainingSettings`)."""
    known = choices.calibration
    # One trial at a time fills nothing, and what a user's network costs, no worker knows.
    if "lanes" not in choices.automatic or choices.lanes == 1 or known is None:
        return ()
    times = course(known)
    return () if times is None else times.full_stacks


def mixing(calibration: Calibration, times: Course, mix_flops: Sequence[int]) -> float:
    """What a lane takes in a stack of different networks, over its time in one of equal networks.

    `mix_flops` are the floating-point operations of a step of each lane that was measured.
    """
    for timing in calibration.mixed:
        if (timing.precision, timing.threads) == (calibration.precision, 1):
            equal = fmean(times.lane_seconds(flops, timing.lanes) for flops in mix_flops)
            return timing.seconds / timing.lanes / equal
    return 1.0
