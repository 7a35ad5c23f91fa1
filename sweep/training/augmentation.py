"""Random changes of training images, on the device and a batch at a time.

What is drawn for a batch depends on the study, the trial's order, the epoch and the step alone.
Lanes of a stack share it, each scaled by strengths of its own, and there is nothing to checkpoint.

Images have raw values, and what comes in from outside is 0: black. Whole pixels are moved by a
shift alone; all else is one bilinear interpolation.

Shape legend: B batch, K lanes, H height, W width, F waves along each axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sweep.definitions import STRENGTHS, Recipe
from sweep.records import DataSpec

__all__ = ["Augmentation", "waves"]

# Elastic displacements are smoothed by a Gaussian of this share of the side: 4 of 28 pixels, as
# Simard et al. (2003) chose. Of what it lets through, the first seven waves have 99.99%.
_SMOOTHNESS = 1 / 7
_NUM_WAVES = 7


class _Change(NamedTuple):
    """How a lane's images are changed, and how much at most."""

    flip: bool
    max_shift: float = 0.0
    max_rotation: float = 0.0
    max_scaling: float = 0.0
    max_shear: float = 0.0
    elastic_strength: float = 0.0

    @classmethod
    def of(cls, recipe: Recipe) -> _Change:
        strengths = {name: getattr(recipe, name) for name in STRENGTHS[recipe.augmentation]}
        return cls(recipe.flip == "horizontal", **strengths)

    @property
    def interpolates(self) -> bool:
        """Whether it does more than move whole pixels."""
        return any(self[2:])


class Augmentation:
    """What is done to the training images of a stack.

    Args:
        recipes: Of each lane; `Recipe` says what the changes are.
        spec: Of the data set: images, or nothing may be changed.
        order_seed: The study's.
        device: Where it is done.
        dtype: In which images are changed.
    """

    def __init__(
        self,
        recipes: Sequence[Recipe],
        spec: DataSpec,
        order_seed: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        lanes = [_Change.of(recipe) for recipe in recipes]
        self._changes = list(dict.fromkeys(lanes))
        self._lanes = [self._changes.index(change) for change in lanes]
        self._order_seed = order_seed
        self._dtype = dtype
        self._generator = torch.Generator(device)
        self._changes_images = any(map(any, self._changes))
        if self._changes_images:
            _, height, width = spec.input_shape
            self._aspect = height / width
            self._places = [
                (2 * torch.arange(side, device=device, dtype=dtype) + 1) / side - 1
                for side in (width, height)
            ]
            self._waves = [waves(side).to(device, dtype) for side in (width, height)]

    def draw(self, order: int, epoch: int, step: int, num_images: int) -> list[Tensor]:
        """The random numbers for one batch, which `apply` needs; none if no lane changes images.

        Outside of `apply`, since a captured graph would always draw the same.
        """
        if not self._changes_images:
            return []
        entropy = (self._order_seed, epoch, order, step, *b"augmentation")
        seed = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
        generator = self._generator.manual_seed(int(seed) >> 1)
        like = self._places[0]
        draws = [like.new_empty(num_images, 6).uniform_(-1, 1, generator=generator)]
        if any(change.elastic_strength for change in self._changes):
            shape = (num_images, 2, _NUM_WAVES, _NUM_WAVES)
            draws.append(like.new_empty(shape).normal_(generator=generator))
        return draws

    def apply(self, draws: Sequence[Tensor], images: Tensor) -> Tensor:
        """The changed images, with raw values.

        Args:
            draws: From `draw`, for as many images.
            images: Shape (B, *input_shape).

        Returns:
            The images as they are if nothing was drawn. Otherwise in the given type: of shape
            (B, *input_shape) if all lanes change them alike, else (K, B, *input_shape).
        """
        if not draws:
            return images
        moves, *amplitudes = draws
        field = self._field(amplitudes[0]) if amplitudes else None
        images = images.to(self._dtype)
        changed = [self._change(change, images, moves, field) for change in self._changes]
        if len(changed) == 1:
            return changed[0]
        return torch.stack([changed[lane] for lane in self._lanes])

    def _field(self, amplitudes: Tensor) -> Tensor:
        """Smooth displacements with variance 1 everywhere, shape (B, 2, H, W), x before y.

        They are white noise smoothed by a Gaussian, as sums of the few waves that are left of it.
        """
        along_x, along_y = self._waves
        return along_y @ (amplitudes @ along_x.t())

    def _change(
        self, change: _Change, images: Tensor, moves: Tensor, field: Tensor | None
    ) -> Tensor:
        if change.flip:
            images = _mirror(images, moves[:, 5] < 0)
        if change.interpolates:
            grid = self._grid(change, moves, field)
            return functional.grid_sample(images, grid.permute(0, 2, 3, 1), align_corners=False)
        if change.max_shift:
            return _shift(images, moves, change.max_shift)
        return images

    def _grid(self, change: _Change, moves: Tensor, field: Tensor | None) -> Tensor:
        """From where in its image each pixel comes, shape (B, 2, H, W), x before y.

        An image spans -1 to 1 along each axis. It is scaled, sheared, rotated, then shifted; its
        pixels come from where the inverse leads, and from there the field displaces.
        """
        angle = math.radians(change.max_rotation) * moves[:, 2]
        scale = 1 + change.max_scaling * moves[:, 3]
        shear = change.max_shear * moves[:, 4]
        cos, sin = angle.cos() / scale, angle.sin() / scale
        # Turning is a matter of pixels, of which the two axes may have different numbers.
        by_x = torch.stack([cos + shear * sin, -sin / self._aspect], 1)
        by_y = torch.stack([(sin - shear * cos) * self._aspect, cos], 1)
        x, y = (
            places - 2 * change.max_shift * moves[:, axis, None]
            for axis, places in enumerate(self._places)
        )
        grid = (by_x[:, :, None] * x[:, None]).unsqueeze(2) + (
            by_y[:, :, None] * y[:, None]
        ).unsqueeze(3)
        if field is not None and change.elastic_strength:
            # The strength is that of vectors of two components, as a share of a side of length 2.
            grid.add_(field, alpha=math.sqrt(2) * change.elastic_strength)
        return grid


def waves(side: int) -> Tensor:
    """Cosine waves whose sums with standard normal amplitudes are smooth, float64, shape (side, F).

    The sums are white noise smoothed by a Gaussian, mirrored at the ends: cosines are this filter's
    eigenvectors. They are scaled to variance 1 at each place.
    """
    places = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    frequencies = math.pi * torch.arange(_NUM_WAVES, dtype=torch.float64)
    passed = (-((_SMOOTHNESS * frequencies) ** 2) / 2).exp()
    passed[0] /= math.sqrt(2)  # as in the orthonormal cosine transform
    return functional.normalize((places[:, None] * frequencies).cos() * passed, dim=1)


def _mirror(images: Tensor, chosen: Tensor) -> Tensor:
    """Images of which those that are chosen, bool, shape (B,), are mirrored left to right."""
    columns = torch.arange(images.shape[3], device=images.device)
    columns = torch.where(chosen[:, None], columns.flip(0), columns)
    return images.gather(3, columns[:, None, None].expand_as(images))


def _shift(images: Tensor, moves: Tensor, max_shift: float) -> Tensor:
    """Images moved by whole pixels; `moves` begin with shares of the largest move, x and y."""
    height, width = images.shape[2:]
    far_x, far_y = max_shift * width, max_shift * height
    x, y = (moves[:, 0] * far_x).round().long(), (moves[:, 1] * far_y).round().long()
    # As wide as the farthest move, which may be rounded up.
    edge_x, edge_y = math.ceil(far_x), math.ceil(far_y)
    padded = functional.pad(images, (edge_x, edge_x, edge_y, edge_y))
    windows: Tensor = padded.unfold(2, height, 1).unfold(3, width, 1)
    return windows[torch.arange(len(images), device=images.device), :, edge_y - y, edge_x - x]
