"""How much one worker trains at a time, by lanes, work and memory. No torch here.

Lanes share the fixed time of a step's calls, not the time of its matrix products. Once these are
large, more lanes only leave the sampler and the pruner with less to go on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sweep.definitions import Cost, Recipe, definition_of, view
from sweep.records import DataSpec, Model, TrainingSettings, TrialConfig
from sweep.training import VALIDATION_BATCH

__all__ = ["MAX_LANES", "Capacity", "interpolated"]

MAX_LANES = {"cpu": 16, "cuda": 256}

# What an optimiser holds for each parameter besides its moments: another mean, or the steps of
# Newton-Schulz iterations.
_UPDATE_NUMBERS = {"nadam": 1, "muon": 6}


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much one worker trains at a time.

    `lanes` is the most trials at once; `full_stacks` says how many lanes fill a stack (see
    `TrainingSettings`).
    """

    lanes: int
    full_stacks: tuple[tuple[int, float], ...]
    model: Model
    spec: DataSpec

    @classmethod
    def of(cls, settings: TrainingSettings) -> Capacity:
        """The capacity of a worker with these settings."""
        return cls(settings.lanes, settings.full_stacks, settings.model, settings.spec)

    def fullness(self, configs: Sequence[TrialConfig]) -> float:
        """How full a worker is with these trials: 0 is empty, 1 is full.

        It is full with all lanes taken, or with enough work, but it always takes two trials, to
        train one while the other is replaced.
        """
        work = self._work(configs)
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
                if not stack or len(stack) >= self.lanes or self._work(stack) >= 1:
                    stack = []
                    stacks.append(stack)
                stack.append(config)
        return stacks

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

    def _work(self, configs: Sequence[TrialConfig]) -> float:
        """How full a stack of these trials is; rounded, so that six sixths are a whole."""
        return round(sum(map(self._share, configs)), 6)

    def _share(self, config: TrialConfig) -> float:
        if not self.full_stacks:
            return 1 / self.lanes
        flops = _batch_size(config) * self._cost(config).example_flops
        return 1 / min(max(1.0, interpolated(self.full_stacks, flops)), self.lanes)

    def _cost(self, config: TrialConfig) -> Cost:
        return definition_of(self.model).cost(config.params, self.spec)


def _batches(config: TrialConfig) -> tuple[int, int]:
    """What decides which examples are in a trial's batches."""
    return _batch_size(config), config.order


def _batch_size(config: TrialConfig) -> int:
    return view(Recipe, config.params).batch_size


def interpolated(points: Sequence[tuple[int, float]], at: float) -> float:
    """The value at `at` on the line through points of positive numbers, in logarithms.

    Points are sorted; beyond the first and the last the line goes on.
    """
    if len(points) == 1:
        return points[0][1]
    pairs = list(pairwise(points))
    left, right = next((pair for pair in pairs if at <= pair[1][0]), pairs[-1])
    share = math.log(at / left[0]) / math.log(right[0] / left[0])
    return math.exp(math.log(left[1]) + share * math.log(right[1] / left[1]))
