"""YAML file → validated `SearchSpace`; its fingerprint; how it asks for values.

Knows neither Optuna nor torch.
"""

from sweep.space.loading import load_space
from sweep.space.parameters import PARAMETERS
from sweep.space.schema import search_space_schema
from sweep.space.search_space import STUDY_NAME_PATTERN, SearchSpace, Suggester

__all__ = [
    "PARAMETERS",
    "STUDY_NAME_PATTERN",
    "SearchSpace",
    "Suggester",
    "load_space",
    "search_space_schema",
]
