"""What follows from a calibration, counted by hand."""

from __future__ import annotations

import pytest

from sweep.records import Calibration, Timing
from sweep.runner.automatic import choose_precision, choose_threads, course


def calibration(*timings: Timing) -> Calibration:
    return Calibration("a processor", "2.0", {"float32": 1e11}, timings, 2.0, 1.0)


def network(flops: int, **by_lanes: float) -> list[Timing]:
    """A network whose step takes each of so many lanes so many milliseconds."""
    counts = {int(name.removeprefix("of_")): seconds for name, seconds in by_lanes.items()}
    return [
        Timing(flops, "float32", n, 1, n * each / 1000, n * flops / 1e9)
        for n, each in counts.items()
    ]


SMALL = network(10**6, of_1=2, of_4=1.1, of_16=1)
LARGE = network(10**8, of_1=5.1, of_2=5)


@pytest.mark.parametrize(
    ("times", "full"),
    [
        ({"of_1": 2, "of_4": 1.1, "of_16": 1}, 16),
        ({"of_1": 2, "of_4": 1.02, "of_16": 1}, 4),  # further lanes save less than 3 %
        ({"of_1": 5.1, "of_2": 5}, 1),
        ({"of_1": 5, "of_2": 5.2, "of_8": 4.6}, 8),
        ({"of_1": 1}, 1),
    ],
    ids=str,
)
def test_a_stack_is_full_where_more_lanes_save_next_to_nothing(times, full):
    found = course(calibration(*network(10**6, **times)), "float32")
    assert found is not None
    assert found.full_stacks == ((10**6, full),)


@pytest.mark.parametrize(
    ("flops", "lanes", "milliseconds"),
    [
        (10**6, 1, 2),
        (10**6, 4, 1.1),
        (10**6, 8, 1.1**0.5),  # halfway in logarithms
        (10**6, 1000, 1),
        (10**8, 1, 5.1),
        (10**8, 2, 5.1),  # no more lanes than fill a stack
        (10**7, 4, (1.1 * 5.1) ** 0.5),
        (10**10, 4, 5.1**2 / 1.1),  # beyond
    ],
)
def test_the_time_of_a_lane_follows_from_work_and_lanes(flops, lanes, milliseconds):
    found = course(calibration(*SMALL, *LARGE), "float32")
    assert found is not None
    assert found.lane_seconds(flops, lanes) * 1000 == pytest.approx(milliseconds)


def test_an_epoch_costs_each_lane_its_share_besides_its_steps():
    found = course(calibration(*SMALL, *LARGE), "float32")
    assert found is not None
    assert [found.epoch_seconds(flops) for flops in (10**6, 10**7, 10**8)] == pytest.approx(
        [1e-3, 1e-2, 1e-1]
    )


def test_what_was_not_measured_is_not_known():
    assert course(calibration(*SMALL), "bfloat16") is None
    assert choose_precision(calibration()) == "float32"
    assert choose_threads(calibration(), "float32") == 1


def test_precisions_are_compared_in_their_better_stacks():
    """bfloat16 is slower for one lane, faster for sixteen."""
    half = [
        Timing(10**6, "bfloat16", 1, 1, 0.003, 0.0),
        Timing(10**6, "bfloat16", 16, 1, 0.012, 0.0),
    ]
    assert choose_precision(calibration(*SMALL, *half)) == "bfloat16"
    fast = network(10**6, of_1=1, of_16=0.7)
    assert choose_precision(calibration(*fast, *half)) == "float32"


def test_precisions_are_compared_on_the_networks_that_were_measured_in_both():
    """Time ran out before the small one was measured in bfloat16."""
    half = [Timing(10**8, "bfloat16", 1, 1, 0.0052, 0.0)]
    assert choose_precision(calibration(*SMALL, *LARGE, *half)) == "float32"
    half = [Timing(10**8, "bfloat16", 1, 1, 0.0042, 0.0)]
    assert choose_precision(calibration(*SMALL, *LARGE, *half)) == "bfloat16"


def test_threads_are_compared_where_both_were_measured():
    two = Timing(10**8, "float32", 2, 2, 0.0045, 0.0)
    assert choose_threads(calibration(*SMALL, *LARGE, two), "float32") == 2  # half of 10 ms
    two = Timing(10**8, "float32", 2, 2, 0.0055, 0.0)
    assert choose_threads(calibration(*SMALL, *LARGE, two), "float32") == 1
    assert choose_threads(calibration(*SMALL, *LARGE, two), "bfloat16") == 1
