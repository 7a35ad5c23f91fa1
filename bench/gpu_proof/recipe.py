"""Every hyperparameter of the recipe and of each family, on the device against the CPU.

The list is that of `sweep.definitions`: one without a value to try here is a failure. Where random
numbers are drawn, a GPU draws others than a CPU; there the losses must be finite, and the same when
they are trained again on the device. Float32 everywhere. A value that changes losses by less than
the tolerance would prove nothing, and is a failure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from gpu_proof.findings import Found, Setting, verdict_of
from gpu_proof.training import CPU, Losses, apart, config, losses_of, plain_float32
from sweep.definitions import (
    FAMILIES,
    STRENGTHS,
    CategoricalParameter,
    Parameter,
    Recipe,
    Scalar,
    declared,
    idle_parameters,
    view,
)
from sweep.records import TrialConfig
from sweep.training.hardware import Precision

TOLERANCE = 5e-4  # on a CPU, the engines are 1e-5 apart at most

# One value of each number, far from its default; of names, all are tried.
TRIED: Mapping[str, Scalar] = {
    "weight_decay": 1.0, "epochs": 5, "batch_size": 50, "learning_rate": 1e-3, "momentum": 0.5,
    "warmup": 0.3, "gradient_clip": 0.3, "max_norm": 0.3, "weight_averaging": 0.9,
    "input_dropout": 0.2, "input_noise": 0.2, "label_smoothing": 0.1, "max_shift": 0.3,
    "max_rotation": 30.0, "max_scaling": 0.3, "max_shear": 0.3, "elastic_strength": 0.1,
    "num_layers": 1, "layer_size": 40, "dropout": 0.3,
    "num_blocks": 2, "channels": 5, "kernel_size": 4, "head_size": 33,
}  # fmt: skip

_SGD: Mapping[str, Scalar] = {"optimizer": "sgd", "learning_rate": 0.05}
# Without these, the parameter would do nothing; or what it does could not be compared (see
# `gpu_proof.engines` for batch normalisation).
_NEEDS: Mapping[str, Mapping[str, Scalar]] = {
    "momentum": _SGD,
    "normalization": _SGD,
    "gradient_clip": _SGD,  # the others do not mind the gradient's length
    **{name: {"augmentation": "elastic"} for name in STRENGTHS["elastic"]},
}
_BASE: Mapping[str, Scalar] = {"batch_size": 64, "learning_rate": 3e-3}
_EPOCHS = 4  # at the fourth, the last batch of an epoch is captured
_SIZES: Mapping[str, tuple[Mapping[str, Scalar], ...]] = {
    "mlp": ({"num_layers": 4, "layer_size": 32}, {"num_layers": 3, "layer_size": 19}),
    "cnn": ({"channels": 4},),
}


class MissingValueError(Exception):
    """A parameter that this proof does not know."""


@dataclass(frozen=True, slots=True)
class Case:
    """Networks of one family that all have one value of a parameter.

    Attributes:
        name: For readers.
        model: Their family.
        configs: Of the networks.
        plain: The same without the value; None if that is the default.
    """

    name: str
    model: str
    configs: Sequence[TrialConfig]
    plain: Sequence[TrialConfig] | None

    @property
    def draws(self) -> bool:
        """Whether training draws random numbers."""
        recipes = [view(Recipe, each.params) for each in self.configs]
        return any(
            recipe.input_noise
            or recipe.input_dropout
            or recipe.augmentation != "none"
            or recipe.flip != "none"
            for recipe in recipes
        ) or any(each.params["dropout"] for each in self.configs)


def values_of(parameter: Parameter) -> Sequence[Scalar]:
    """The values to try."""
    if isinstance(parameter, CategoricalParameter):
        return parameter.choices
    if parameter.name not in TRIED:
        raise MissingValueError(
            f"{parameter.name} is a parameter, but bench/gpu_proof/recipe.py has no value of it to "
            "try; add one to TRIED"
        )
    return [TRIED[parameter.name]]


def all_cases(epochs: int = _EPOCHS) -> Iterator[Case]:
    """Each family's own parameters with it, the recipe's with the first, which is the fastest."""
    for position, (model, family) in enumerate(FAMILIES.items()):
        parameters = dict(family.parameters) | (dict(declared(Recipe)) if position == 0 else {})
        for name, parameter in parameters.items():
            for value in values_of(parameter):
                yield _case(model, name, value, epochs)


def _case(model: str, name: str, value: Scalar, epochs: int) -> Case:
    base = {**_BASE, "epochs": epochs, **_NEEDS.get(name, {})}
    plain = [config(number, model, **base | sizes) for number, sizes in enumerate(_SIZES[model])]
    configs = [
        config(number, model, **base | sizes | {name: value})
        for number, sizes in enumerate(_SIZES[model])
    ]
    if all(name in idle_parameters(model, each.params) for each in configs):
        raise MissingValueError(f"{name} does nothing in its case; say in recipe.py what it needs")
    return Case(f"{model}: {name} {value}", model, configs, None if plain == configs else plain)


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far losses are apart.

    Attributes:
        reference: From those on the CPU; for a case that draws, from those trained again.
        others: From those of the other engine on the device; None for a case that does not draw.
        effect: From those without the value; None for a default.
    """

    reference: float
    others: float | None
    effect: float | None


def compare(case: Case, device: torch.device, precision: Precision) -> Comparison:
    """Train the case in every way that says something."""
    fast = "stacked" if FAMILIES[case.model].stack_key else "sequential"

    def train(engine: str, device: torch.device, configs: Sequence[TrialConfig]) -> Losses:
        return losses_of(engine, configs, device, precision, model=case.model)

    ours = train(fast, device, case.configs)
    plain = case.plain and train("sequential", CPU, case.plain)
    effect = apart(ours, plain) if plain else None
    if not case.draws:
        return Comparison(apart(ours, train("sequential", CPU, case.configs)), None, effect)
    alone = train("sequential", device, case.configs) if fast == "stacked" else None
    others = apart(ours, alone) if alone else None
    return Comparison(apart(train(fast, device, case.configs), ours), others, effect)


def prove(setting: Setting) -> Found:
    """Compare every case."""
    gaps: dict[str, float] = {}
    drawn: dict[str, float] = {}
    wrong = []
    with plain_float32() as precision:
        for case in all_cases(2 if setting.small else _EPOCHS):
            found = compare(case, torch.device(setting.device), precision)
            gaps[case.name] = found.reference
            if found.others is not None:
                drawn[case.name] = found.others
            if not found.reference <= TOLERANCE:
                how = "not repeatable or not finite" if case.draws else "not as on the CPU"
                wrong.append(f"{case.name}: {how}, losses {found.reference:.2g} apart")
            elif found.effect is not None and found.effect <= TOLERANCE:
                wrong.append(f"{case.name}: has next to no effect, {found.effect:.2g} on losses")
    alike = sum(each <= TOLERANCE for each in drawn.values())
    worst = max(filter(math.isfinite, gaps.values()), default=math.nan)
    words = f"{len(gaps)} values, at most {worst:.1g} apart; of {len(drawn)} that draw in a stack, "
    words += f"{alike} draw as alone"
    return verdict_of(wrong, words, gaps=gaps, drawn_as_alone=drawn, tolerance=TOLERANCE)
