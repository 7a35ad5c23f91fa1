"""How much one worker trains at a time: a model of a step's work and memory. No torch here.

A step costs a fixed time for its calls and a time that grows with its matrix products. Stacking
shares the former, so a stack gains from another lane only while its products are small. Beyond
that, more lanes only mean that the sampler and the pruner know less when they decide.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from sweep.definitions import FAMILIES, Cost, Recipe, view
from sweep.records import DataSpec, TrainingSettings, TrialConfig
from sweep.training import VALIDATION_BATCH

__all__ = ["MAX_LANES", "STACK_FLOPS", "Capacity"]

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
    """

    lanes: int
    flops: float
    model: str
    spec: DataSpec

    @classmethod
    def of(cls, settings: TrainingSettings) -> Capacity:
        """The capacity of a worker with these settings."""
        flops = math.inf if settings.stack_flops is None else settings.stack_flops
        return cls(settings.lanes, flops, settings.model, settings.spec)

    def fullness(self, configs: Sequence[TrialConfig]) -> float:
        """How full a worker is with these trials: 0 is empty, 1 is full.

        Full is: all lanes taken, or enough work. Two trials are welcome whatever their work, so
        that there is one to train while the other is replaced.
        """
        work = sum(self.step_flops(config) for config in configs) / self.flops
        return max(len(configs) / self.lanes, min(work, len(configs) / 2))

    def stacks(self, configs: Sequence[TrialConfig]) -> list[list[TrialConfig]]:
        """Divide trials into stacks.

        The trials of a stack have one batch size, because they share their batches. Networks that
        are alike come together, and a stack with enough work takes no further lane.
        """
        alike = FAMILIES[self.model].stack_key
        if alike is None:
            return [[config] for config in configs]
        ordered = sorted(configs, key=lambda c: (_batch_size(c), alike(c.params), c.number))
        stacks: list[list[TrialConfig]] = []
        for _, group in itertools.groupby(ordered, key=_batch_size):
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
        return _batch_size(config) * self._cost(config).example_flops

    def lane_bytes(self, config: TrialConfig) -> int:
        """Memory that a lane needs in a stack, roughly and rather too much.

        Weights, gradients, two moments, the best weights so far and, while a stack closes its
        gaps, a copy of the weights, all float32; weights and gradients again in bfloat16; what a
        batch leaves, in training and in validation, each for a full and a last batch, which on a
        GPU keep their memory.
        """
        cost = self._cost(config)
        training = _batch_size(config) * cost.training_numbers
        validation = VALIDATION_BATCH * cost.inference_numbers
        return cost.stacked_parameters * (6 * 4 + 2 * 2) + 2 * (training + validation) * 4

    def _cost(self, config: TrialConfig) -> Cost:
        return FAMILIES[self.model].cost(config.params, self.spec)


def _batch_size(config: TrialConfig) -> int:
    return view(Recipe, config.params).batch_size
