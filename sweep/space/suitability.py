"""Whether a search space suits its data set."""

from __future__ import annotations

from sweep.definitions import definition_of
from sweep.errors import InputError
from sweep.records import DataSpec
from sweep.space.domains import Choices
from sweep.space.search_space import SearchSpace

__all__ = ["require_suited"]


def require_suited(space: SearchSpace, spec: DataSpec) -> None:
    """Raise `InputError` if a search space asks for what its data set, of this spec, cannot do."""
    if spec.kind == "image":
        return
    where = f"data set {space.dataset.title} has none"
    definition = definition_of(space.model)
    if definition.needs == "image":
        raise InputError(f"model {definition.name} needs images; {where}: choose another model")
    for name in ("augmentation", "flip"):
        domain = space.domains[name]
        values = domain.choices if isinstance(domain, Choices) else [domain]
        if values != ["none"]:
            raise InputError(f"{name} changes images; {where}: leave it out")
