"""What follows from a calibration, counted by hand."""

from __future__ import annotations

import pytest

from sweep.records import Calibration, Timing
from sweep.runner.automatic import choose_precision, choose_threads, course


def calibration(*timings: Timing) -> Calibration:
    return Calibration("a processor", "2.0", {"float32": 1e11}, timings, 2.0, 1.0)


def line(flops: int, fixed: float, each: float, lanes: int = 16) -> list[Timing]:
    """A network whose step takes `fixed` milliseconds, and `each` for every lane."""
    return [
        Timing(flops, "float32", count, 1, (fixed + each * count) / 1000)
        for count in sorted({1, lanes})
    ]


def test_a_stack_is_full_where_more_lanes_would_save_a_twentieth():
    found = course(calibration(*line(10**6, 1, 1), *line(10**8, 1, 4)), "float32", 16)
    assert found is not None
    assert dict(found.full_stacks) == pytest.approx({10**6: 16, 10**8: 5})  # 1 / (0.05 x 4)


def test_a_large_network_is_trained_alone_and_a_tiny_one_in_full_stacks():
    found = course(calibration(*line(10**6, 9, 0.1), *line(10**10, 0, 500, 2)), "float32", 16)
    assert found is not None
    assert dict(found.full_stacks) == pytest.approx({10**6: 16, 10**10: 1})


@pytest.mark.parametrize(
    ("flops", "lanes", "milliseconds"),
    [
        (10**6, 1, 2),
        (10**6, 10, 1.1),
        (10**6, 1000, 1 + 1 / 16),  # no more lanes than fill a stack
        (10**8, 10, 4 + 1 / 5),
        (10**7, 1, (2 * 5) ** 0.5),  # halfway in logarithms
        (10**10, 1, 5 * 2.5),  # beyond
    ],
)
def test_the_time_of_a_lane_follows_from_work_and_lanes(flops, lanes, milliseconds):
    found = course(calibration(*line(10**6, 1, 1), *line(10**8, 1, 4)), "float32", 16)
    assert found is not None
    assert found.lane_seconds(flops, lanes) * 1000 == pytest.approx(milliseconds)


def test_noise_makes_no_lane_free():
    """Sixteen lanes that seem to take less time than one."""
    noisy = [Timing(10**6, "float32", 1, 1, 0.010), Timing(10**6, "float32", 16, 1, 0.008)]
    found = course(calibration(*noisy), "float32", 16)
    assert found is not None
    assert 0 < found.lane_seconds(10**6, 16) <= 0.001


def test_what_was_not_measured_is_not_known():
    assert course(calibration(*line(10**6, 1, 1)), "bfloat16", 16) is None
    assert choose_precision(calibration()) == "float32"
    assert choose_threads(calibration(), "float32") == 1


def test_precisions_are_compared_in_their_better_stacks():
    """bfloat16 alone is slower for one lane, faster for sixteen."""
    half = [Timing(10**6, "bfloat16", 1, 1, 0.003), Timing(10**6, "bfloat16", 16, 1, 0.012)]
    assert choose_precision(calibration(*line(10**6, 1, 1), *half)) == "bfloat16"
    assert choose_precision(calibration(*line(10**6, 1, 0.1), *half)) == "float32"


def test_precisions_are_compared_on_the_networks_that_were_measured_in_both():
    """Time ran out before the large one was measured in bfloat16."""
    half = [Timing(10**6, "bfloat16", 1, 1, 0.003)]
    found = calibration(*line(10**6, 1, 1, 1), *line(10**9, 0, 100, 1), *half)
    assert choose_precision(found) == "float32"


def test_threads_are_compared_where_both_were_measured():
    two = Timing(10**8, "float32", 16, 2, 0.020)
    slow = calibration(*line(10**6, 1, 1), *line(10**8, 1, 2), two)
    assert choose_threads(slow, "float32") == 1  # 20 ms against half of 33
    fast = calibration(*line(10**6, 1, 1), *line(10**8, 1, 3), two)
    assert choose_threads(fast, "float32") == 2  # against half of 49
    assert choose_threads(fast, "bfloat16") == 1
