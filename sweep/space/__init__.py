"""YAML file → validated `SearchSpace`. Imports neither Optuna nor torch."""

from sweep.space.advice import advice, advice_lines
from sweep.space.baselines import baseline_parameters
from sweep.space.conditions import condition
from sweep.space.datasets import (
    DATASET_FORMS,
    KEPT,
    ArraysFile,
    BuiltIn,
    DatasetSpec,
    ImageFolder,
    TableFile,
)
from sweep.space.domains import (
    Choices,
    Range,
    are_all_same,
    are_same,
    default_words,
    domain_words,
    is_stepped,
    nearest_step,
)
from sweep.space.fitting import fitted
from sweep.space.loading import (
    load_space,
    load_space_for,
    override_space,
    reload_space,
    stored_space,
)
from sweep.space.portfolio import MOST_TRIED, allowed_configurations, portfolio
from sweep.space.random_configurations import (
    Acceptance,
    acceptance,
    can_be_completed,
    draw_fitting,
    random_configurations,
)
from sweep.space.schema import search_space_schema
from sweep.space.search_space import (
    SearchSpace,
    Suggester,
    effective_parameters,
    notable_parameters,
    used_parameters,
)
from sweep.space.sections import WarmStart
from sweep.space.steps import step_value
from sweep.space.suitability import require_suited

__all__ = [
    "DATASET_FORMS",
    "KEPT",
    "MOST_TRIED",
    "Acceptance",
    "ArraysFile",
    "BuiltIn",
    "Choices",
    "DatasetSpec",
    "ImageFolder",
    "Range",
    "SearchSpace",
    "Suggester",
    "TableFile",
    "WarmStart",
    "acceptance",
    "advice",
    "advice_lines",
    "allowed_configurations",
    "are_all_same",
    "are_same",
    "baseline_parameters",
    "can_be_completed",
    "condition",
    "default_words",
    "domain_words",
    "draw_fitting",
    "effective_parameters",
    "fitted",
    "is_stepped",
    "load_space",
    "load_space_for",
    "nearest_step",
    "notable_parameters",
    "override_space",
    "portfolio",
    "random_configurations",
    "reload_space",
    "require_suited",
    "search_space_schema",
    "step_value",
    "stored_space",
    "used_parameters",
]
