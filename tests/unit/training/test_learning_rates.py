"""Learning-rate schedules against PyTorch's, step by step."""

from __future__ import annotations

import pytest
import torch
from helpers import make_config
from torch.optim import lr_scheduler

from sweep.definitions import Recipe, parameters_of, view
from sweep.training.learning_rates import SCHEDULES, learning_rates

PEAK = 0.02


def reference(num_steps: int, scheduler: type, **options) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=PEAK)
    schedule = scheduler(optimizer, **options)
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(num_steps - 1):
        optimizer.step()
        schedule.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def make_recipe(**changes) -> Recipe:
    return view(Recipe, make_config(**changes).params)


def ours(schedule: str, num_steps: int) -> list[float]:
    return [PEAK * SCHEDULES[schedule](step, num_steps) for step in range(num_steps)]


@pytest.mark.parametrize("num_steps", [1, 2, 5, 100])
def test_cosine_is_pytorchs(num_steps):
    expected = reference(num_steps, lr_scheduler.CosineAnnealingLR, T_max=num_steps)
    assert ours("cosine", num_steps) == pytest.approx(expected)


@pytest.mark.parametrize("num_steps", [5, 10, 11, 97, 1000])
def test_one_cycle_is_pytorchs(num_steps):
    expected = reference(
        num_steps,
        lr_scheduler.OneCycleLR,
        max_lr=PEAK,
        total_steps=num_steps,
        cycle_momentum=False,
    )
    assert ours("one_cycle", num_steps) == pytest.approx(expected)


@pytest.mark.parametrize("num_steps", range(1, 8))
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_short_trials_have_sane_rates(schedule, num_steps):
    rates = ours(schedule, num_steps)
    assert all(0 < rate <= PEAK * (1 + 1e-12) for rate in rates)


def test_one_cycle_rises_for_three_tenths_and_then_falls():
    rates = ours("one_cycle", 100)
    assert rates.index(max(rates)) == 29
    assert max(rates) == pytest.approx(PEAK)
    assert rates[:30] == sorted(rates[:30])
    assert rates[29:] == sorted(rates[29:], reverse=True)
    assert rates[0] == pytest.approx(PEAK / 25)
    assert rates[-1] == pytest.approx(PEAK / 25 / 1e4)


def test_constant_stays():
    assert ours("constant", 5) == [PEAK] * 5


def test_every_schedule_of_the_search_space_is_known():
    assert set(SCHEDULES) == set(parameters_of("mlp")["learning_rate_schedule"].choices)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_epochs_of_a_trial_follow_on_from_each_other(schedule):
    recipe = make_recipe(learning_rate=PEAK, epochs=4, learning_rate_schedule=schedule)
    epochs = [learning_rates(recipe, epoch, 6, torch.device("cpu")) for epoch in range(4)]
    assert [len(rates) for rates in epochs] == [6] * 4
    assert torch.cat(epochs).tolist() == ours(schedule, 24)


@pytest.mark.parametrize("warmup", [0.1, 0.37, 0.9])
def test_warm_up_is_pytorchs(warmup):
    num_steps, num_rising = 30, int(warmup * 30)

    def warmed(
        optimizer: torch.optim.Optimizer, rest: type, **options
    ) -> lr_scheduler.SequentialLR:
        rise = lr_scheduler.LinearLR(optimizer, 1 / (num_rising + 1), total_iters=num_rising)
        schedules = [rise, rest(optimizer, **options)]
        return lr_scheduler.SequentialLR(optimizer, schedules, milestones=[num_rising])

    cosine = {"rest": lr_scheduler.CosineAnnealingLR, "T_max": num_steps - num_rising}
    constant = {"rest": lr_scheduler.ConstantLR, "factor": 1.0}
    for name, options in (("cosine", cosine), ("constant", constant)):
        recipe = make_recipe(
            learning_rate=PEAK, epochs=3, learning_rate_schedule=name, warmup=warmup
        )
        rates = torch.cat([learning_rates(recipe, n, 10, torch.device("cpu")) for n in range(3)])
        assert rates.tolist() == pytest.approx(reference(num_steps, warmed, **options))
        assert rates.argmax() == num_rising


def test_one_cycle_has_its_own_warm_up():
    rates = [
        learning_rates(
            make_recipe(learning_rate_schedule="one_cycle", warmup=warmup),
            0, 10, torch.device("cpu"),
        )
        for warmup in (0.0, 0.5)
    ]  # fmt: skip
    assert torch.equal(*rates)


@pytest.mark.parametrize("num_steps", [1, 2, 3])
def test_short_trials_warm_up_sanely(num_steps):
    recipe = make_recipe(learning_rate=PEAK, epochs=1, warmup=0.9)
    rates = learning_rates(recipe, 0, num_steps, torch.device("cpu"))
    assert all(0 < rate <= PEAK for rate in rates.tolist())


def test_rates_are_doubles_on_the_cpu():
    """As its optimiser kernels read them: nothing is lost to rounding."""
    rates = learning_rates(make_recipe(learning_rate=1e-3), 0, 3, torch.device("cpu"))
    assert rates.dtype is torch.float64
    assert rates[0].item() == 1e-3


def test_rates_are_floats_on_a_gpu():
    rates = learning_rates(make_recipe(), 0, 3, torch.device("meta"))
    assert (rates.dtype, rates.device.type) == (torch.float32, "meta")
