"""The configurations of a finite space by number, and the order in which a grid runs them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

from sweep.definitions import Params, Scalar
from sweep.space.conditions import condition, narrowed, sampling_order
from sweep.space.domains import Choices, Domain, Range, size, values

__all__ = ["Configurations", "GridOrder", "count"]

_Names = frozenset[str]


class Configurations:
    """The distinct configurations of a finite space: their active sampled parameters, by number.

    Values that fulfil the same conditions are counted together, and so are the ways to the same
    set of inactive parameters: large spaces are counted quickly, and nothing is listed.

    Attributes:
        count: How many there are.
    """

    def __init__(self, domains: Mapping[str, Domain]) -> None:
        self._domains = domains
        self._order = sampling_order(domains)
        # The values under which each child is sampled: as a set, but in the order of the file.
        self._children: dict[str, dict[str, dict[Scalar, None]]] = {n: {} for n in self._order}
        for name in self._order:
            for parent, wanted in condition(domains[name]).items():
                self._children[parent][name] = dict.fromkeys(wanted)
        self._alike = {name: self._count_alike(name) for name in self._order}
        self._later = [_Names(self._order[index + 1 :]) for index in range(len(self._order))]
        self._count_from = cache(self._count)
        self._members = cache(self._list_alike)
        self.count = self._count_from(0, _Names())

    def __getitem__(self, number: int) -> dict[str, Scalar]:
        """Configuration `number`, from 0; the order is the same in every process."""
        if not 0 <= number < self.count:
            raise IndexError(number)
        configuration: dict[str, Scalar] = {}
        inactive = fulfilled = _Names()
        for index, name in enumerate(self._order):
            if name in inactive:
                fulfilled = _Names()
            else:
                for fulfilled, many in self._alike[name].items():
                    each = self._count_from(index + 1, self._inactive(index, inactive, fulfilled))
                    if number < many * each:
                        break
                    number -= many * each
                place, number = divmod(number, each)
                if isinstance(self._domains[name], Range | Choices):
                    configuration[name] = self._members(name)[fulfilled][place]
            inactive = self._inactive(index, inactive, fulfilled)
        return configuration

    def _count(self, index: int, inactive: _Names) -> int:
        """The number of ways to go on from a parameter, given which later ones are inactive."""
        if index == len(self._order):
            return 1
        name = self._order[index]
        groups = {_Names(): 1} if name in inactive else self._alike[name]
        return sum(
            many * self._count_from(index + 1, self._inactive(index, inactive, fulfilled))
            for fulfilled, many in groups.items()
        )

    def _inactive(self, index: int, before: _Names, fulfilled: _Names) -> _Names:
        """The inactive ones of the later parameters, if a parameter fulfils these conditions."""
        return (before | (self._children[self._order[index]].keys() - fulfilled)) & self._later[
            index
        ]

    def _count_alike(self, name: str) -> Counter[_Names]:
        """The number of a domain's values that fulfil the conditions of each set of children."""
        num_values, known = size(self._domains[name]) or 0, self._in_conditions(name)
        groups = Counter(known.values())
        if num_values > len(known):
            groups[_Names()] += num_values - len(known)
        return groups

    def _list_alike(self, name: str) -> dict[_Names, list[Any]]:
        """These values themselves."""
        known, groups = self._in_conditions(name), dict[_Names, list[Any]]()
        for value, fulfilled in known.items():
            groups.setdefault(fulfilled, []).append(value)
        others = [value for value in values(self._domains[name]) if value not in known]
        groups.setdefault(_Names(), []).extend(others)
        return groups

    def _in_conditions(self, name: str) -> dict[Scalar, _Names]:
        """The values that children ask for, with these children; the same order everywhere."""
        children = self._children[name]
        asked_for = dict.fromkeys(value for wanted in children.values() for value in wanted)
        return {
            value: _Names(child for child, wanted in children.items() if value in wanted)
            for value in asked_for
        }


def count(domains: Mapping[str, Domain]) -> int | None:
    """The number of distinct configurations, or None if they are uncountable."""
    if any(size(domain) is None for domain in domains.values()):
        return None
    return Configurations(domains).count


class GridOrder:
    """Gives out every configuration of a space once, in an order shuffled by the seed.

    It depends on nothing but what was run before, so that an interrupted study goes on in the same
    order. `fits` tells which configurations are given out; without it, all of them are.
    """

    def __init__(
        self,
        domains: Mapping[str, Domain],
        seed: int,
        fits: Callable[[Params], bool] | None = None,
    ) -> None:
        self._domains = domains
        self._fits = fits
        self._conditions = {
            name: condition(domains[name])
            for name in sampling_order(domains)
            if isinstance(domains[name], Range | Choices)
        }
        self._fixed = {n: d for n, d in domains.items() if isinstance(d, int | float | str)}
        self._seed = seed
        self._times: Counter[frozenset[tuple[str, Scalar]]] = Counter()
        self._orders: dict[frozenset[tuple[str, Scalar]], Iterator[dict[str, Scalar]]] = {}

    @property
    def count(self) -> int:
        """How many configurations there are to give out."""
        found = Configurations(self._domains)
        if self._fits is None:
            return found.count
        return sum(self._fits(found[number]) for number in range(found.count))

    @property
    def num_taken(self) -> int:
        """How many different configurations were given out or added."""
        return len(self._times)

    def add(self, configuration: Params) -> None:
        """Count the active sampled parameters of a trial as run."""
        self._times[frozenset(configuration.items())] += 1

    def take(self, wanted: Params) -> dict[str, Scalar]:
        """The next configuration with the values that are wanted, all of them active.

        If all of these were run, they are given out once more. Empty if there is none.
        """
        configuration = self._completed(wanted)
        if configuration is None:
            given = {name: wanted[name] for name in self._conditions if name in wanted}
            key = frozenset(given.items())
            if key not in self._orders:
                self._orders[key] = self._shuffled(narrowed(self._domains, given))
            configuration = next(self._orders[key], {})
        self.add(configuration)
        return configuration

    def _completed(self, given: Params) -> dict[str, Scalar] | None:
        """The sampled parameters that are active with the given values; None if one is missing."""
        active, configuration = {**self._fixed}, dict[str, Scalar]()
        for name, conditions in self._conditions.items():
            if all(active.get(parent) in wanted for parent, wanted in conditions.items()):
                if name not in given:
                    return None
                active[name] = configuration[name] = given[name]
        return configuration

    def _shuffled(self, domains: Mapping[str, Domain]) -> Iterator[dict[str, Scalar]]:
        configurations = Configurations(domains)
        order = np.random.default_rng(self._seed).permutation(configurations.count)
        for times in itertools.count():
            is_empty = True
            for number in order:
                configuration = configurations[int(number)]
                if self._fits is None or self._fits(configuration):
                    is_empty = False
                    if self._times[frozenset(configuration.items())] <= times:
                        yield configuration
            if is_empty:
                return
