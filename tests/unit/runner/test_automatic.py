"""What follows from a calibration, counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sweep.records import Calibration, Timing, WorkerChoices
from sweep.runner.automatic import choose_threads, course, full_stacks, mixing


def calibration(*timings: Timing, mixed: Sequence[Timing] = ()) -> Calibration:
    products = {"float32": 1e11}
    return Calibration("a processor", "2.0", products, "float32", timings, tuple(mixed), 2.0, 1.0)


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
    found = course(calibration(*network(10**6, **times)))
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
    found = course(calibration(*SMALL, *LARGE))
    assert found is not None
    assert found.lane_seconds(flops, lanes) * 1000 == pytest.approx(milliseconds)


def test_an_epoch_costs_each_lane_its_share_besides_its_steps():
    found = course(calibration(*SMALL, *LARGE))
    assert found is not None
    assert [found.epoch_seconds(flops) for flops in (10**6, 10**7, 10**8)] == pytest.approx(
        [1e-3, 1e-2, 1e-1]
    )


def test_what_was_not_measured_is_not_known():
    assert course(calibration()) is None
    assert course(replace(calibration(*SMALL), precision="bfloat16")) is None
    assert choose_threads(calibration()) == 1


def test_how_many_lanes_pay_is_not_learnt_from_a_network_that_was_not_stacked():
    """Time ran out."""
    found = course(calibration(*SMALL, *network(10**8, of_1=5)))
    assert found is not None
    assert found.full_stacks == ((10**6, 16),)
    alone = course(calibration(*network(10**6, of_1=2), *network(10**8, of_1=5)))
    assert alone is not None
    assert alone.full_stacks == ((10**6, 1), (10**8, 1))


def test_threads_are_compared_where_both_were_measured():
    two = Timing(10**8, "float32", 2, 2, 0.0045, 0.0)
    assert choose_threads(calibration(*SMALL, *LARGE, two)) == 2  # half of 10 ms
    two = Timing(10**8, "float32", 2, 2, 0.0055, 0.0)
    assert choose_threads(calibration(*SMALL, *LARGE, two)) == 1
    assert choose_threads(replace(calibration(*SMALL, *LARGE, two), precision="bfloat16")) == 1


def test_how_many_lanes_fill_a_stack_is_for_stacks_whose_number_is_free():
    found = WorkerChoices(
        2, 1, "stacked", "float32", 16, ("lanes",), "cpu", calibration(*SMALL, *LARGE)
    )
    assert full_stacks(found) == ((10**6, 16), (10**8, 1))
    for changes in ({"lanes": 1}, {"automatic": ()}, {"calibration": None}):
        assert full_stacks(replace(found, **changes)) == ()


# ---------------------------------------------------------------- stacks as in the study


def mixed(precision: str, milliseconds: float, threads: int = 1) -> Timing:
    return Timing(5 * 10**6, precision, 8, threads, milliseconds / 1000, 0.0)


@pytest.mark.parametrize(("of_two", "threads"), [(4.8, 2), (4.9, 1), (9, 1)])
def test_the_stacks_of_the_study_decide_about_threads(of_two, threads):
    found = calibration(*SMALL, mixed=[mixed("float32", 10), mixed("float32", of_two, 2)])
    assert choose_threads(found) == threads


def test_different_networks_in_one_stack_take_longer_than_equal_ones():
    stacks = [mixed("bfloat16", 9), mixed("float32", 60), mixed("float32", 1, 2)]
    measured = calibration(*SMALL, *LARGE, mixed=stacks)
    times = course(measured)
    assert times is not None
    equal = [times.lane_seconds(flops, 8) * 1000 for flops in (10**6, 10**8)]
    expected = 60 / 8 / (sum(equal) / 2)
    assert mixing(measured, times, [10**6, 10**8]) == pytest.approx(expected)
    assert mixing(calibration(*SMALL), times, []) == 1.0
