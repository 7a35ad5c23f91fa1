"""How much one worker trains at a time: a model of a step's work and memory. No torch here.

A step costs a fixed time for its calls and a time that grows with its matrix products. Stacking
shares the former, so a stack gains from another lane only while its products are small. Beyond
that, more lanes only mean that the sampler and the pruner know less when they decide.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sweep.data import DATASETS
from sweep.records import TrainingSettings, TrialConfig
from sweep.training import VALIDATION_BATCH

__all__ = ["MAX_LANES", "STACK_FLOPS", "Capacity", "image_flops"]

# Where the measured time of a lane stops falling: see bench/README.md.
STACK_FLOPS = {"cpu": 5e8, "cuda": 1e12}
MAX_LANES = {"cpu": 16, "cuda": 256}


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much one worker trains at a time.

    Attributes:
        lanes: The most trials at once.
        flops: Floating-point operations of a step from which on a stack gains nothing from
            another lane.
        num_inputs: Pixels of an image.
        num_classes: Number of classes.
    """

    lanes: int
    flops: float
    num_inputs: int
    num_classes: int

    @classmethod
    def of(cls, settings: TrainingSettings) -> Capacity:
        """What these settings say."""
        info = DATASETS[settings.dataset]
        return cls(
            lanes=settings.lanes,
            flops=math.inf if settings.stack_flops is None else settings.stack_flops,
            num_inputs=math.prod(info.image_shape),
            num_classes=len(info.class_names),
        )

    def fullness(self, configs: Sequence[TrialConfig]) -> float:
        """How full a worker is with these trials: 0 is empty, 1 is full.

        Full is: all lanes taken, or enough work. Two trials are welcome whatever their work, so
        that there is one to train while the other is replaced.
        """
        work = sum(self.step_flops(config) for config in configs) / self.flops
        return max(len(configs) / self.lanes, min(work, len(configs) / 2))

    def stacks(self, configs: Sequence[TrialConfig]) -> list[list[TrialConfig]]:
        """Divide trials into stacks.

        The trials of a stack have one batch size, because they share their batches. Trials of
        similar width come together, and a stack with enough work takes no further lane.
        """
        ordered = sorted(configs, key=lambda c: (c.batch_size, c.layer_size, c.number))
        stacks: list[list[TrialConfig]] = []
        for _, group in itertools.groupby(ordered, key=lambda c: c.batch_size):
            stack: list[TrialConfig] = []
            for config in group:
                work = sum(self.step_flops(member) for member in stack)
                if not stack or len(stack) >= self.lanes or work >= self.flops:
                    stack = []
                    stacks.append(stack)
                stack.append(config)
        return stacks

    def step_flops(self, config: TrialConfig) -> int:
        """Floating-point operations of the matrix products of one step."""
        return config.batch_size * image_flops(self._layer_sizes(config))

    def lane_bytes(self, config: TrialConfig) -> int:
        """Memory that a lane needs in a stack, roughly and rather too much.

        Weights, gradients, two moments, the best weights so far and, while a stack closes its
        gaps, a copy of the weights, all float32; weights and gradients again in bfloat16; what a
        batch passes through, in training and in validation, each for a full and a last batch.
        """
        # Padding adds at most an eighth to a layer; see `sweep.models.layout`.
        padded = replace(config, layer_size=math.ceil(config.layer_size * 9 / 8))
        sizes = self._layer_sizes(padded)
        weights = sum((a + 1) * b for a, b in itertools.pairwise(sizes))
        hidden, classes = sum(sizes[1:-1]), sizes[-1]
        # Outputs and their gradients; with dropout, masks and what is left after them as well.
        training = hidden * (4 if config.dropout else 2) + classes * 8
        validation = hidden + classes * 6
        images = 2 * (config.batch_size * training + VALIDATION_BATCH * validation)
        return weights * (6 * 4 + 2 * 2) + images * 4

    def _layer_sizes(self, config: TrialConfig) -> list[int]:
        """Units of each layer, from the inputs to the classes."""
        return [self.num_inputs, *[config.layer_size] * (config.num_layers - 1), self.num_classes]


def image_flops(layer_sizes: Sequence[int]) -> int:
    """Floating-point operations of the matrix products that one training image needs.

    Two for each weight forward and four backward, but nothing flows back into the images.

    Args:
        layer_sizes: Units of each layer, from the inputs to the classes.
    """
    weights = sum(a * b for a, b in itertools.pairwise(layer_sizes))
    return 6 * weights - 2 * layer_sizes[0] * layer_sizes[1]
