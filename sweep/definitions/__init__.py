"""Every hyperparameter, metric and built-in data set: defined once, and free of torch.

Validation, the JSON Schema, `sweep check`, the driver, the report and the documentation are all
made from here. A default never changes once it was released, because a study that does not name a
parameter reads as having its default.
"""

from __future__ import annotations

from sweep.definitions.datasets import DATASETS
from sweep.definitions.family import Cost, FamilyDefinition
from sweep.definitions.metrics import METRICS, OBJECTIVES, Metric, class_metrics, is_share
from sweep.definitions.mlp import MLP, MlpParameters
from sweep.definitions.parameters import (
    CategoricalParameter,
    DefaultBy,
    FloatParameter,
    IntParameter,
    Parameter,
    Params,
    Scalar,
    complete,
    declared,
    require_valid,
    view,
)
from sweep.definitions.recipe import Recipe, idle_in_recipe

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
    "complete",
    "idle_parameters",
    "is_share",
    "parameters_of",
    "require_valid",
    "view",
]

FAMILIES: dict[str, FamilyDefinition] = {family.name: family for family in (MLP,)}
"""Model families by name."""


def parameters_of(model: str) -> dict[str, Parameter]:
    """Every hyperparameter of a model: the family's own and the recipe's, by name.

    Args:
        model: A name of `FAMILIES`.
    """
    return {**FAMILIES[model].parameters, **declared(Recipe)}


def idle_parameters(model: str, params: Params) -> frozenset[str]:
    """Names of the hyperparameters that have no effect in a configuration."""
    return FAMILIES[model].idle(params) | idle_in_recipe(params)
