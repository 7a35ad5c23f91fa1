"""Every hyperparameter, metric and built-in data set, defined once and without torch.

A released default never changes: a study that does not name a parameter has its default.
"""

from __future__ import annotations

from sweep.definitions.built_in import DATASETS
from sweep.definitions.cnn import CNN, CnnParameters
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

__all__ = [
    "DATASETS",
    "FAMILIES",
    "METRICS",
    "OBJECTIVES",
    "CategoricalParameter",
    "CnnParameters",
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
    "declared",
    "idle_parameters",
    "is_share",
    "parameters_of",
    "require_valid",
    "view",
    "with_defaults",
]

FAMILIES: dict[str, FamilyDefinition] = {family.name: family for family in (MLP, CNN)}
"""Model families by name."""


def parameters_of(model: str) -> dict[str, Parameter]:
    """The hyperparameters of a model family (a name of `FAMILIES`) and of the recipe, by name."""
    return {**FAMILIES[model].parameters, **declared(Recipe)}


def idle_parameters(model: str, params: Params) -> frozenset[str]:
    """Names of the hyperparameters that have no effect in a configuration."""
    return FAMILIES[model].idle(params) | idle_in_recipe(params)
