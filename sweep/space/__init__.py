"""YAML file → validated `SearchSpace`; its fingerprint; how it asks for values.

Knows neither Optuna nor torch.
"""

from sweep.space.domains import Choices, Range
from sweep.space.loading import load_space
from sweep.space.parameters import PARAMETERS
from sweep.space.schema import search_space_schema
from sweep.space.search_space import SearchSpace, Suggester
from sweep.space.sections import Dataset, parse_duration
from sweep.space.usage import effective_parameters, used_parameters

__all__ = [
    "PARAMETERS",
    "Choices",
    "Dataset",
    "Range",
    "SearchSpace",
    "Suggester",
    "effective_parameters",
    "load_space",
    "parse_duration",
    "search_space_schema",
    "used_parameters",
]
