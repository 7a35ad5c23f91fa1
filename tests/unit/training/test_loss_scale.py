"""Training in float16: the scale of a trial's loss, and what a skipped step leaves alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from driving import continued, interrupted, make_engine, make_group, train
from helpers import make_config, timeless

from sweep.data import TrainingData
from sweep.definitions import Recipe, view
from sweep.training import loss_scale
from sweep.training.groups import Group
from sweep.training.loss_scale import LossScale
from sweep.training.optimizers import OPTIMIZERS
from sweep.training.updates import Update

ENGINES = ("sequential", "stacked")
CONFIGS = [
    make_config(number=number, seed=number, epochs=3, batch_size=16, **changes)
    for number, changes in enumerate(
        [
            {"normalization": "batch", "weight_averaging": 0.6, "activation": "mish"},
            {"optimizer": "muon", "normalization": "layer", "num_layers": 4, "dropout": 0.2},
            {"optimizer": "nadam", "gradient_clip": 0.5, "max_norm": 0.7, "weight_averaging": 0.9},
            {"optimizer": "sgd", "learning_rate": 0.05, "class_weights": "balanced"},
            {"optimizer": "rmsprop", "activation": "gelu", "label_smoothing": 0.1},
        ]
    )
]  # fmt: skip
ALL = {"gradient_clip": 0.5, "max_norm": 0.6, "weight_averaging": 0.9, "weight_decay": 0.1}
OVERFLOWS = 2.0**40  # times the gradient of a logit is more than float16 can hold


@pytest.fixture(scope="module")
def tiny(digits: TrainingData) -> TrainingData:
    """49 images to train on, a single one more than three batches of 16, and 20 to validate."""
    return replace(
        digits,
        train=digits.train.take(np.arange(49)),
        validation=digits.validation.take(np.arange(20)),
    )


def copies(group: Group, position: int = 0) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in group.tensors(position).items()}


def scale_of(group: Group, position: int = 0) -> torch.Tensor:
    return group.tensors(position)["optimizer.loss_scale"]


# ---------------------------------------------------------------- the scale


def test_the_scale_is_that_of_torch(monkeypatch):
    """Step by step, through overflows and growth."""
    monkeypatch.setattr(loss_scale, "_GROWTH_INTERVAL", 3)
    ours = LossScale(torch.device("cpu"))
    known = torch.amp.GradScaler("cpu", growth_interval=3)
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scales = []
    for slope in (1.0, torch.inf, 1.0, 1.0, torch.nan, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0):
        gradient = torch.tensor([1.0, slope]) * ours.factor
        before = weight.detach().clone()
        known.scale((weight * torch.tensor([1.0, slope])).sum()).backward()
        known.step(optimizer)
        known.update()
        optimizer.zero_grad()
        skipped = ours.unscale([gradient])
        assert skipped.item() == (0.0 if slope == 1 else 1.0)
        assert torch.equal(weight, before) == bool(skipped)
        if not skipped:
            assert gradient.tolist() == [1.0, 1.0]
        assert ours.factor.item() == known.get_scale()
        scales.append(ours.factor.item())
    assert scales == [2.0**n for n in (16, 15, 15, 15, 14, 14, 14, 15, 15, 15, 16, 16)]


@pytest.mark.parametrize("name", ENGINES)
def test_the_scale_grows_in_training(tiny, monkeypatch, name):
    monkeypatch.setattr(loss_scale, "_GROWTH_INTERVAL", 2)
    group = make_group(name, CONFIGS[3:4], tiny, "float16")
    group.begin_epoch()
    scales = []
    for _ in range(3):
        group.step(0)
        scales.append(scale_of(group).item())
    assert scales == [2.0**16, 2.0**17, 2.0**17]


# ---------------------------------------------------------------- steps that are skipped


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_skipped_step_changes_nothing_but_the_scale(optimizer):
    """Neither weights, moments and counters, nor averages; and the next step is as without it."""
    dice = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=dice) for shape in ((5, 4), (5,), (6, 5), (6,), (3, 6))]
    slopes = [[torch.randn(w.shape, generator=dice) for w in start] for _ in range(2)]
    recipe, rate = (
        view(Recipe, {"optimizer": optimizer, **ALL}),
        torch.tensor(0.01, dtype=torch.float64),
    )

    def after(*steps: list[torch.Tensor]) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
        weights = [weight.clone() for weight in start]
        update = Update(recipe, weights, scales_loss=True)
        for step in steps:
            update.step(weights, [slope * update.loss_scale.factor for slope in step], rate)
        return weights, update.tensors()

    broken = [slope.clone() for slope in slopes[0]]
    broken[2][1, 1] = torch.inf
    for given, usual in (([broken], []), ([slopes[0], broken, slopes[1]], slopes)):
        (ours, our_state), (theirs, their_state) = after(*given), after(*usual)
        assert our_state.pop("loss_scale") == their_state.pop("loss_scale") / 2
        our_state.pop("loss_scale_steps"), their_state.pop("loss_scale_steps")
        assert all(map(torch.equal, ours, theirs))
        assert our_state.keys() == their_state.keys()
        for name, tensor in our_state.items():
            assert torch.equal(tensor, their_state[name]), name


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_clipping_sees_gradients_without_the_scale(optimizer):
    """So that a step is what it is without a scale, which is a power of two."""
    dice = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=dice) for shape in ((5, 4), (6, 5), (3, 6))]
    slopes = [torch.randn(weight.shape, generator=dice) for weight in start]
    rate = torch.tensor(0.01, dtype=torch.float64)
    results = []
    for scales_loss in (False, True):
        weights = [weight.clone() for weight in start]
        update = Update(
            view(Recipe, {"optimizer": optimizer, **ALL}), weights, scales_loss=scales_loss
        )
        factor = update.loss_scale.factor if scales_loss else 1
        update.step(weights, [slope * factor for slope in slopes], rate)
        results.append(weights)
    assert all(map(torch.equal, *results))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.params["optimizer"])
@pytest.mark.parametrize("name", ENGINES)
def test_a_step_that_overflows_is_skipped(tiny, name, config):
    group = make_group(name, [config], tiny, "float16")
    group.begin_epoch()
    group.step(0)
    scale_of(group).fill_(OVERFLOWS)
    before, averages = copies(group), group.copy_weights(0)
    group.step(1)
    after = copies(group)
    assert scale_of(group).item() == OVERFLOWS / 2
    for each in (before, after):
        for counted in ("loss_scale", "loss_scale_steps"):
            del each[f"optimizer.{counted}"]
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    # What the forward pass does: losses, hits and what batch normalisation counts.
    assert {"train_loss"} <= changed
    assert all(name.startswith("train_") or "running" in name or "batches" in name
               for name in changed)  # fmt: skip
    scale_of(group).fill_(2.0**10)
    group.step(2)
    assert any(not torch.equal(w, averages[n]) for n, w in group.copy_weights(0).items())


@pytest.mark.parametrize("overflowing", range(len(CONFIGS)))
def test_a_lane_skips_alone(tiny, overflowing):
    """The other lanes are, to the last bit, what they are beside one that does not overflow."""
    usual, disturbed = (make_group("stacked", CONFIGS, tiny, "float16") for _ in range(2))
    scale_of(disturbed, overflowing).fill_(OVERFLOWS)
    for group in (usual, disturbed):
        group.begin_epoch()
        group.step(0)
    for position in range(len(CONFIGS)):
        ours, theirs = disturbed.tensors(position), usual.tensors(position)
        same = all(torch.equal(ours[name], theirs[name]) for name in ours)
        assert same == (position != overflowing)
    assert scale_of(disturbed, overflowing).item() == OVERFLOWS / 2


# ---------------------------------------------------------------- trials


def test_the_engines_agree(tiny, monkeypatch):
    """Within 1 %, for the order of sums of 11 bits; steps are skipped until the scale fell."""
    monkeypatch.setattr(loss_scale, "_INITIAL", 2.0**23)
    results = [train(tiny, *CONFIGS, name=name, precision="float16") for name in ENGINES]
    for one, other in zip(*results, strict=True):
        assert one.precision == other.precision == "float16"
        for mine, yours in zip(one.history, other.history, strict=True):
            for loss in ("train_loss", "validation_loss"):
                assert mine.values[loss] == pytest.approx(yours.values[loss], rel=0.01)
        weights = safetensors.torch.load(one.weights)
        assert {w.dtype for w in weights.values() if w.is_floating_point()} == {torch.float32}


def test_float16_is_near_float32(tiny):
    exact, rounded = (train(tiny, *CONFIGS, precision=name) for name in ("float32", "float16"))
    for one, other in zip(exact, rounded, strict=True):
        ours, theirs = (outcome.history[-1].values["train_loss"] for outcome in (one, other))
        assert ours != theirs
        assert ours == pytest.approx(theirs, rel=0.02)


@pytest.mark.parametrize("name", ENGINES)
def test_a_trial_goes_on_to_the_last_bit(tiny, monkeypatch, name):
    """While its scale falls, and where it is to double."""
    monkeypatch.setattr(loss_scale, "_INITIAL", 2.0**22)
    monkeypatch.setattr(loss_scale, "_GROWTH_INTERVAL", 3)
    for config in CONFIGS[:3]:
        (undisturbed,) = train(tiny, config, name=name, precision="float16")
        states = interrupted(make_engine(tiny, name, precision="float16"), 5, config)
        driver = continued(make_engine(tiny, name, precision="float16"), states, config)
        assert driver.refused == {}
        assert timeless(driver.outcomes[config.number]) == timeless(undisturbed), config


@pytest.mark.parametrize("first", ENGINES)
def test_either_engine_goes_on_with_the_others_scale(tiny, first):
    (second,) = set(ENGINES) - {first}
    config = CONFIGS[3]
    (undisturbed,) = train(tiny, config, name=second, precision="float16")
    states = interrupted(make_engine(tiny, first, precision="float16"), 5, config)
    driver = continued(make_engine(tiny, second, precision="float16"), states, config)
    assert driver.refused == {}
    ours, theirs = (o.history[-1].values for o in (driver.outcomes[3], undisturbed))
    assert ours["train_loss"] == pytest.approx(theirs["train_loss"], rel=0.01)


def test_lanes_that_stay_keep_their_scales(tiny):
    group = make_group("stacked", CONFIGS, tiny, "float16")
    for position, lane in enumerate(group.lanes):
        scale_of(group, position).fill_(2.0 ** (4 + lane.config.number))
    group.begin_epoch()
    group.keep([1, 3])
    group.step(0)
    for position, lane in enumerate(group.lanes):
        assert scale_of(group, position).item() == 2.0 ** (4 + lane.config.number)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("precision", ["float64", "float32", "bfloat16"])
def test_other_precisions_have_no_scale(tiny, name, precision):
    tensors = make_group(name, CONFIGS[:1], tiny, precision).tensors(0)
    assert not any("scale" in tensor for tensor in tensors)
