"""How much one worker trains at a time: a model of a step's work and memory. No torch here.

Lanes share the fixed time of a step's calls, not the time of its matrix products. Once these are
large, more lanes only leave the sampler and the pruner with less to go on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from sweep.definitions import Cost, Recipe, definition_of, view
from sweep.records import DataSpec, Model, TrainingSettings, TrialConfig
from sweep.training import VALIDATION_BATCH

__all__ = ["MAX_LANES", "STACK_FLOPS", "Capacity"]

# Where the measured time per lane stops falling: see bench/README.md.
STACK_FLOPS = {"cpu": 5e8, "cuda": 1e12}
MAX_LANES = {"cpu": 16, "cuda": 256}

# What an optimiser holds for each parameter besides its moments: another mean, or the steps of
# Newton-Schulz iterations.
_UPDATE_NUMBERS = {"nadam": 1, "muon": 6}


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much one worker trains at a time.

    `lanes` is the most trials at once; a stack with `flops` floating-point operations per step
    gains nothing from another lane.
    """

    lanes: int
    flops: float
    model: Model
    spec: DataSpec

    @classmethod
    def of(cls, settings: TrainingSettings) -> Capacity:
        """The capacity of a worker with these settings."""
        flops = math.inf if settings.stack_flops is None else settings.stack_flops
        return cls(settings.lanes, flops, settings.model, settings.spec)

    def fullness(self, configs: Sequence[TrialConfig]) -> float:
        """How full a worker is with these trials: 0 is empty, 1 is full.

        It is full with all lanes taken, or with enough work, but it always takes two trials, to
        train one while the other is replaced.
        """
        work = sum(self.step_flops(config) for config in configs) / self.flops
        return max(len(configs) / self.lanes, min(work, len(configs) / 2))

    def stacks(self, configs: Sequence[TrialConfig]) -> list[list[TrialConfig]]:
        """Divide trials into stacks that share each batch, similar networks together.

        A stack with enough work takes no further lane.
        """
        alike = definition_of(self.model).stack_key
        if alike is None:
            return [[config] for config in configs]
        ordered = sorted(configs, key=lambda c: (_batches(c), alike(c.params), c.number))
        stacks: list[list[TrialConfig]] = []
        for _, group in itertools.groupby(ordered, key=_batches):
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
        """Memory that a lane needs in a stack, an estimate on the high side.

        Weights, gradients, two moments, the best weights and, while lanes leave, a copy of the
        weights, what an update holds besides, all float32; weights and gradients again in bfloat16;
        inputs (of its own, if one lane of the stack disturbs them), their noise and their copy in
        bfloat16, and activations of a full and of a last batch, in training and in validation,
        whose memory a GPU keeps.
        """
        cost, recipe = self._cost(config), view(Recipe, config.params)
        numbers = 6 + _UPDATE_NUMBERS.get(recipe.optimizer, 0)
        numbers += recipe.weight_averaging > 0
        # A last single example joins a full batch.
        training = (recipe.batch_size + 1) * (cost.training_numbers + 3 * self.spec.num_inputs)
        validation = VALIDATION_BATCH * cost.inference_numbers
        return cost.stacked_parameters * (numbers * 4 + 2 * 2) + 2 * (training + validation) * 4

    def _cost(self, config: TrialConfig) -> Cost:
        return definition_of(self.model).cost(config.params, self.spec)


def _batches(config: TrialConfig) -> tuple[int, int]:
    """What decides which examples are in a trial's batches."""
    return _batch_size(config), config.order


def _batch_size(config: TrialConfig) -> int:
    return view(Recipe, config.params).batch_size
