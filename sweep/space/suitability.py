"""Whether a search space suits its data set, and whether anything in it meets its constraints."""

from __future__ import annotations

from collections import Counter

from sweep.definitions import definition_of
from sweep.errors import InputError
from sweep.records import DataSpec
from sweep.space.domains import Choices
from sweep.space.random_configurations import acceptance, can_be_completed, random_configurations
from sweep.space.search_space import SearchSpace
from sweep.words import params_words

__all__ = ["require_suited"]


def require_suited(space: SearchSpace, spec: DataSpec) -> None:
    """Raise `InputError` if a search space asks for what its data set, of this spec, cannot do."""
    if spec.kind != "image":
        _require_no_images(space)
    if space.constraints:
        _require_possible(space.on_data(spec))


def _require_no_images(space: SearchSpace) -> None:
    where = f"data set {space.dataset.title} has none"
    definition = definition_of(space.model)
    if definition.needs == "image":
        raise InputError(f"model {definition.name} needs images; {where}: choose another model")
    for name in ("augmentation", "flip"):
        domain = space.domains[name]
        values = domain.choices if isinstance(domain, Choices) else [domain]
        if values != ["none"]:
            raise InputError(f"{name} changes images; {where}: leave it out")


def _require_possible(space: SearchSpace) -> None:
    """Raise `InputError` if no configuration of many, or none like an enqueued one, can be run."""
    if not random_configurations(space, 1):
        found = acceptance(space)
        kind = "the grid's" if space.sampler.type == "grid" else "random"
        counts = "".join(f"\n  {text}: met by {number:,}" for text, number in found.met.items())
        raise InputError(
            f"none of {found.num_drawn:,} {kind} configurations meets all constraints:{counts}\n"
            "loosen the constraints that few meet, or search other values of what they name"
        )
    tried = {f"enqueue.{index}": each for index, each in enumerate(space.enqueue)}
    if space.prior:
        tried["the priors"] = space.prior
    for where, configuration in tried.items():
        refused: Counter[str] = Counter()
        if not can_be_completed(space, configuration, refused):
            [(text, _)] = refused.most_common(1)
            raise InputError(
                f"{where}: {params_words(configuration)} does not meet the constraint "
                f"{text!r}, whatever is drawn beside it: change it, or leave it out"
            )
