"""Model families: what builds a network, and the same network for many lanes at once.

A family `NAME` is the module `sweep.families.NAME` with the value `FAMILY`; what can be known of it
without torch is `sweep.definitions.FAMILIES[NAME]`.
"""

from __future__ import annotations

from importlib import import_module

from sweep.definitions import FAMILIES
from sweep.families.family import Family, StackedNetwork

__all__ = ["Family", "StackedNetwork", "load_family"]


def load_family(name: str) -> Family:
    """The family of this name.

    Raises:
        KeyError: there is none.
    """
    family: Family = import_module(f"{__name__}.{FAMILIES[name].name}").FAMILY
    return family
