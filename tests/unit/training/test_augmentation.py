"""Changed training images against SciPy, one image at a time, and what depends on what."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from driving import Driver, assert_same, logits_of, make_batches, make_engine, train
from helpers import make_config, make_settings, timeless
from linear_family import LinearFamily
from scipy import ndimage
from torch.nn import functional

from sweep.definitions import STRENGTHS, Recipe, view
from sweep.records import DataSpec
from sweep.training.augmentation import Augmentation, waves
from sweep.training.groups import Group
from sweep.training.lane import Lane
from sweep.training.sequential import SequentialGroup
from sweep.training.stacked import StackedGroup

SPEC = DataSpec("image", (2, 9, 12), ("a", "b"), 100, 10)  # neither grey nor square
STRONG = {
    "max_shift": 0.3,
    "max_rotation": 70.0,
    "max_scaling": 0.5,
    "max_shear": 0.4,
    "elastic_strength": 0.1,
}
STILL = dict.fromkeys(STRONG, 0.0)


def augmentation(*lanes: dict, spec: DataSpec = SPEC, seed: int = 3) -> Augmentation:
    recipes = [view(Recipe, lane) for lane in lanes]
    return Augmentation(recipes, spec, seed, torch.device("cpu"), torch.float64)


def images(count: int = 6, spec: DataSpec = SPEC) -> torch.Tensor:
    pixels = np.random.default_rng(0).integers(0, 256, (count, *spec.input_shape), np.uint8)
    return torch.from_numpy(pixels)


def changed(*lanes: dict, step: int = 0) -> torch.Tensor:
    ours = augmentation(*lanes)
    return ours.apply(ours.draw(0, 1, step, 6), images())


# ---------------------------------------------------------------- what is done to an image


def by_scipy(image: np.ndarray, recipe: Recipe, moves: np.ndarray, amplitudes: np.ndarray):
    """One channel, shape (H, W), changed by the definitions of the parameters."""
    strengths = {
        **STILL,
        **{name: getattr(recipe, name) for name in STRENGTHS[recipe.augmentation]},
    }
    height, width = image.shape
    x, y, turn, zoom, slant, side = moves
    if recipe.flip == "horizontal" and side < 0:
        image = image[:, ::-1]
    shift = strengths["max_shift"] * np.array([x * width, y * height])
    if recipe.augmentation == "shift":
        return ndimage.shift(image, np.round(shift[::-1]), order=0)
    angle = math.radians(strengths["max_rotation"] * turn)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    shear = np.array([[1, strengths["max_shear"] * slant], [0, 1]])
    inverse = np.linalg.inv(rotation @ shear * (1 + strengths["max_scaling"] * zoom))
    centre = np.array([width - 1, height - 1]) / 2
    places = np.stack(np.meshgrid(np.arange(width), np.arange(height))).reshape(2, -1)
    sources = inverse @ (places - (centre + shift)[:, None]) + centre[:, None]
    along_y, along_x = waves(height).numpy(), waves(width).numpy()
    fields = np.einsum("yk,ckl,xl->cyx", along_y, amplitudes, along_x).reshape(2, -1)
    each = strengths["elastic_strength"] / math.sqrt(2)
    sources += each * np.array([[width], [height]]) * fields
    found = ndimage.map_coordinates(image, sources[::-1], order=1, mode="grid-constant")
    return found.reshape(height, width)


@pytest.mark.parametrize("flip", ["none", "horizontal"])
@pytest.mark.parametrize("kind", ["none", "shift", "affine", "elastic"])
def test_an_image_is_changed_as_scipy_does_it(kind, flip):
    """To 1e-9 of 255, in float64."""
    ours = augmentation({"augmentation": kind, "flip": flip, **STRONG}, {"augmentation": "elastic"})
    moves, amplitudes = ours.draw(0, 1, 0, 6)
    found = ours.apply([moves, amplitudes], images())[0]
    recipe = view(Recipe, {"augmentation": kind, "flip": flip, **STRONG})
    for index, image in enumerate(images().double().numpy()):
        for channel, plane in enumerate(image):
            expected = by_scipy(plane, recipe, moves[index].numpy(), amplitudes[index].numpy())
            np.testing.assert_allclose(found[index, channel], expected, atol=255e-9)


def test_waves_are_white_noise_smoothed_by_a_gaussian():
    """As SciPy smooths, at most 0.1% off in correlation: beyond seven waves little is left."""
    smooth = ndimage.gaussian_filter1d(np.eye(28), 4.0, axis=0, mode="reflect", truncate=8)
    smooth /= np.linalg.norm(smooth, axis=1, keepdims=True)
    found = waves(28).numpy()
    np.testing.assert_allclose(found @ found.T, smooth @ smooth.T, atol=1e-3)


def test_elastic_displacements_have_the_declared_strength():
    """A ramp rises by what its pixels are displaced; 1000 draws, so to 2%."""
    spec = replace(SPEC, input_shape=(2, 10, 20))
    ours = augmentation({"augmentation": "elastic", **STILL, "elastic_strength": 0.02}, spec=spec)
    ramps = torch.stack(torch.meshgrid(torch.arange(10.0), torch.arange(20.0), indexing="ij"))
    moved = ours.apply(ours.draw(0, 1, 0, 1000), ramps.expand(1000, -1, -1, -1))
    inner = (moved - ramps)[:, :, 2:-2, 2:-2] / torch.tensor([10, 20]).view(2, 1, 1)
    assert inner.square().sum(1).mean().sqrt().item() == pytest.approx(0.02, rel=0.02)


def test_each_move_takes_all_values_up_to_the_largest():
    moves, _ = augmentation({"augmentation": "elastic"}).draw(0, 1, 0, 10_000)
    assert moves.abs().max() <= 1
    np.testing.assert_allclose(moves.mean(0), 0, atol=0.03)
    np.testing.assert_allclose(moves.std(0), 1 / math.sqrt(3), atol=0.01)
    np.testing.assert_allclose(np.corrcoef(moves.T), np.eye(6), atol=0.05)


@pytest.mark.parametrize("kind", ["shift", "affine", "elastic"])
def test_without_strength_images_stay_as_they_are(kind):
    assert torch.equal(changed({"augmentation": kind, **STILL}), images())


def test_half_of_the_images_are_exact_mirrors():
    ours = augmentation({"flip": "horizontal"})
    before = images(200)
    after = ours.apply(ours.draw(0, 1, 0, 200), before)
    mirrored = (after == before.flip(-1)).flatten(1).all(1)
    assert torch.equal(mirrored, (after != before).flatten(1).any(1))
    assert 80 < mirrored.sum() < 120


def test_what_comes_in_from_outside_is_black_before_normalisation(digits):
    batches = make_batches(digits, "float64")
    white = replace(batches.train, inputs=torch.full_like(batches.train.inputs, 255))
    ours = batches.augmentation([view(Recipe, {"augmentation": "shift", "max_shift": 0.5})])
    rows = torch.arange(50)
    change = partial(ours.apply, ours.draw(0, 1, 0, 50))
    found, _ = batches.read(white, rows, change)
    black, light = ((value - digits.mean[0]) / digits.std[0] for value in (0, 255))
    values = found.unique().tolist()
    assert values == pytest.approx([black, light])


# ---------------------------------------------------------------- what depends on what


def test_draws_belong_to_study_order_epoch_and_step():
    def drawn(seed: int, *place: int) -> list[torch.Tensor]:
        return augmentation({"augmentation": "elastic"}, seed=seed).draw(*place, 6)

    first = drawn(3, 0, 1, 0)
    assert all(map(torch.equal, first, drawn(3, 0, 1, 0)))
    for seed, *place in ((4, 0, 1, 0), (3, 1, 1, 0), (3, 0, 2, 0), (3, 0, 1, 1)):
        assert not any(map(torch.equal, first, drawn(seed, *place)))


def test_nothing_is_drawn_for_what_changes_nothing():
    ours = augmentation({}, {"augmentation": "affine", **STILL})
    assert ours.draw(0, 1, 0, 6) == []
    assert ours.apply([], images()) is not None
    assert torch.equal(ours.apply([], images()), images())


def test_lanes_share_what_is_drawn_and_scale_it_by_their_own_strengths():
    lanes = [
        {},
        {"augmentation": "shift", "max_shift": 0.2},
        {"augmentation": "elastic", "flip": "horizontal"},
        {"augmentation": "affine"},
        {"augmentation": "shift", "max_shift": 0.2, "elastic_strength": 0.2},
    ]
    together = changed(*lanes)
    assert together.shape == (5, 6, *SPEC.input_shape)
    for lane, found in zip(lanes, together, strict=True):
        assert torch.equal(found, changed(lane).double())
    assert changed(*[lanes[3]] * 3).shape == images().shape


# ---------------------------------------------------------------- in training

LANES = (
    {},
    {"augmentation": "shift", "max_shift": 0.2},
    {"augmentation": "elastic", "flip": "horizontal"},
    {"augmentation": "affine", "max_rotation": 30.0},
)
CONFIGS = [
    make_config(number=number, seed=number, batch_size=50, **lane)
    for number, lane in enumerate(LANES)
]


def weights_after_an_epoch(group: Group) -> list[dict[str, torch.Tensor]]:
    group.begin_epoch()
    for step in range(group.num_steps):
        group.step(step)
    return [group.copy_weights(position) for position in range(len(group.lanes))]


@pytest.mark.parametrize("chosen", [range(4), (2,), (2, 2), (0, 3), (3, 1)])
def test_lanes_of_a_stack_see_what_they_see_alone(small, chosen):
    """The last batch of the epoch is smaller than the others."""
    batches, objective = make_batches(small, "float64"), make_settings().objective

    def trained(kind: type, configs: list) -> list[dict[str, torch.Tensor]]:
        lanes = [Lane(config, objective) for config in configs]
        return weights_after_an_epoch(kind(lanes, batches, LinearFamily()))

    configs = [replace(CONFIGS[index], number=n) for n, index in enumerate(chosen)]
    for config, found in zip(configs, trained(StackedGroup, configs), strict=True):
        (expected,) = trained(SequentialGroup, [config])
        for name, weights in expected.items():
            torch.testing.assert_close(found[name], weights, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["sequential", "stacked"])
def test_a_trial_goes_on_in_the_middle_of_an_epoch_to_the_last_bit(small, name):
    config = CONFIGS[2]
    (undisturbed,) = train(small, config, name=name)
    driver = Driver(make_engine(small, name))
    driver.add(config)
    for _ in range(5):
        driver.turn()
    driver._take(list(driver.engine.save()))
    saved = driver.checkpoints[2][-1]
    assert (saved.epoch, saved.step) == (1, 2)
    again = Driver(make_engine(small, name))
    again.add(config, checkpoints={2: saved})
    while again.num_open:
        again.turn()
    assert timeless(again.outcomes[2]) == timeless(undisturbed)


def test_both_engines_agree_and_validation_is_not_augmented(small):
    (alone,), (stacked,) = (
        train(small, CONFIGS[2], name=name, precision="float64")
        for name in ("sequential", "stacked")
    )
    assert_same(stacked, alone)
    logits = torch.tensor(logits_of(alone, CONFIGS[2], small))
    loss = functional.cross_entropy(logits, torch.tensor(small.validation.labels)).item()
    best = alone.history[alone.best_epoch - 1]
    assert best.values["validation_loss"] == pytest.approx(loss)
    (plain,) = train(small, CONFIGS[0], name="sequential", precision="float64")
    assert plain.history[0].values["train_loss"] != alone.history[0].values["train_loss"]
