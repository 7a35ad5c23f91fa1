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
from sweep.definitions.recipe import STRENGTHS, Recipe, idle_in_recipe
from sweep.definitions.signature import own_definition, read_model
from sweep.records import Model

__all__ = [
    "DATASETS",
    "FAMILIES",
    "METRICS",
    "OBJECTIVES",
    "STRENGTHS",
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
    "definition_of",
    "idle_parameters",
    "is_share",
    "parameters_of",
    "read_model",
    "require_valid",
    "view",
    "with_defaults",
]

FAMILIES: dict[str, FamilyDefinition] = {family.name: family for family in (MLP, CNN)}
"""Model families by name."""


def definition_of(model: Model) -> FamilyDefinition:
    """The definition of a model family, or of a user's network; KeyError for an unknown name."""
    return FAMILIES[model] if isinstance(model, str) else own_definition(model)


def parameters_of(model: Model) -> dict[str, Parameter]:
    """The hyperparameters of a model and of the recipe, by name."""
    return {**definition_of(model).parameters, **declared(Recipe)}


def idle_parameters(model: Model, params: Params) -> frozenset[str]:
    """Names of the hyperparameters that have no effect in a configuration."""
    return definition_of(model).idle(params) | idle_in_recipe(params)
