"""Every hyperparameter, metric and built-in data set, defined once and without torch.

A released default never changes: a study that does not name a parameter has its default.
"""

from __future__ import annotations

from sweep.definitions.metrics import METRICS, OBJECTIVES, Metric, class_metrics, is_share
from sweep.definitions.mlp import MLP, MlpParameters
from sweep.definitions.parameters import (
    CategoricalParameter,
    Cost,
    DefaultBy,
    FamilyDefinition,
    FloatParameter,
    IntParameter,
    Parameter,
    Params,
    Scalar,
    declared,
    require_valid,
    view,
    with_defaults,
)
from sweep.definitions.recipe import Recipe, idle_in_recipe
from sweep.records import DataSpec

__all__ = [
    "DATASETS",
    "FAMILIES",
    "METRICS",
    "OBJECTIVES",
    "CategoricalParameter",
    "Cost",
    "DefaultBy",
    "FamilyDefinition",
    "FloatParameter",
    "IntParameter",
    "Metric",
    "MlpParameters",
    "Parameter",
    "Params",
    "Recipe",
    "Scalar",
    "class_metrics",
    "idle_parameters",
    "is_share",
    "parameters_of",
    "require_valid",
    "view",
    "with_defaults",
]

FAMILIES: dict[str, FamilyDefinition] = {family.name: family for family in (MLP,)}
"""Model families by name."""


def parameters_of(model: str) -> dict[str, Parameter]:
    """The hyperparameters of a model family (a name of `FAMILIES`) and of the recipe, by name."""
    return {**FAMILIES[model].parameters, **declared(Recipe)}


def idle_parameters(model: str, params: Params) -> frozenset[str]:
    """Names of the hyperparameters that have no effect in a configuration."""
    return FAMILIES[model].idle(params) | idle_in_recipe(params)


_TEN = tuple("0123456789")
_FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
_KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_BALANCED = tuple("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt")


def _images(class_names: tuple[str, ...], num_pool: int, num_test: int, size: int = 28) -> DataSpec:
    return DataSpec("image", (1, size, size), class_names, num_pool, num_test)


DATASETS: dict[str, DataSpec] = {
    "mnist": _images(_TEN, 60_000, 10_000),
    "fashion-mnist": _images(_FASHION, 60_000, 10_000),
    "kmnist": _images(_KUZUSHIJI, 60_000, 10_000),
    "emnist-balanced": _images(_BALANCED, 112_800, 18_800),
    "digits": _images(_TEN, 1437, 360, size=8),
}
"""The specs of the built-in data sets, known without reading them."""
