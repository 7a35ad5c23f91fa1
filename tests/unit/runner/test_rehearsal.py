"""A sweep without training: the stacks it forms, and their time."""

from __future__ import annotations

from collections import Counter

import pytest
from helpers import make_config

from sweep.definitions import DATASETS, Recipe, view
from sweep.execution import Capacity
from sweep.runner.rehearsal import rehearse
from sweep.runner.representatives import Representative


def make_trial(epochs: int, batch_size: int = 32) -> Representative:
    params = make_config(epochs=epochs, batch_size=batch_size).params
    return Representative(params, view(Recipe, params), num_parameters=1, example_flops=1)


def capacity(lanes: int, *full_stacks: tuple[int, float]) -> Capacity:
    return Capacity(lanes, full_stacks, "mlp", DATASETS["digits"])


class Clock:
    """An epoch takes a second and a tenth for each lane."""

    def __init__(self) -> None:
        self.stacks: list[int] = []

    def __call__(self, stack: list[Representative]) -> float:
        self.stacks.append(len(stack))
        return 1 + len(stack) / 10


@pytest.mark.parametrize(
    ("epochs", "lanes", "stacks"),
    [
        ([2], 4, [1, 1]),
        ([1, 1, 1, 1], 4, [4]),
        ([1, 2, 3, 3], 4, [4, 3, 2]),
        # Two of four have ended: two more start, in a stack of their own.
        ([1, 1, 3, 3, 1, 2], 4, [4, 2, 2, 2, 1]),
        # One of four has ended: it is not replaced before another one ends.
        ([1, 2, 3, 3, 1, 1], 4, [4, 3, 2, 2]),
        ([1, 1, 1], 1, [1, 1, 1]),
        ([], 4, []),
    ],
    ids=str,
)
def test_a_worker_is_filled_again_when_it_is_half_empty(epochs, lanes, stacks):
    clock = Clock()
    seconds = rehearse([make_trial(each) for each in epochs], 1, capacity(lanes), clock)
    assert clock.stacks == stacks
    assert seconds == pytest.approx(sum(1 + each / 10 for each in stacks))


def test_workers_share_the_trials_and_the_last_one_counts():
    clock = Clock()
    trials = [make_trial(each) for each in (1, 5, 1, 5, 1)]
    assert rehearse(trials, 2, capacity(4), clock) == pytest.approx(5 * 1.2)
    assert Counter(clock.stacks) == {3: 1, 2: 5}


def test_stacks_share_their_batches():
    clock = Clock()
    rehearse([make_trial(1, 32), make_trial(1, 64), make_trial(1, 32)], 1, capacity(4), clock)
    assert sorted(clock.stacks) == [1, 2]


def test_large_networks_fill_a_stack_sooner():
    clock = Clock()
    few = capacity(4, (10**4, 2.0), (10**6, 2.0))
    rehearse([make_trial(1) for _ in range(4)], 1, few, clock)
    assert clock.stacks == [2, 2]
