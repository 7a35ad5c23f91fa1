"""The section `constraints`: a small arithmetic over parameters and costs, read without `eval`.

    constraint = sum (comparison sum)+      sum    = product (("+" | "-") product)*
    product    = factor (("*" | "/") factor)*
    factor     = number | name | "-" factor | "(" sum ")"

A side becomes a list of steps for a stack, so that neither reading nor computing is recursive
without bounds. There are no powers: no number outgrows its text by much.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

from sweep.definitions import Cost, FamilyDefinition, Params
from sweep.records import DataSpec
from sweep.space.base import shorten, text_number

__all__ = ["COSTS", "Constraint", "Constraints", "read_constraint"]

COSTS: dict[str, Callable[[Cost], int]] = {
    "num_parameters": lambda cost: cost.num_parameters,
    "flops": lambda cost: cost.example_flops,
}
"""What a constraint may say of a network, by name, unless a parameter has that name."""

MAX_LENGTH = 500
_MAX_DEPTH = 20

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<name>[^\W\d]\w*)|(?P<text>\"[^\"]*\"|'[^']*')|(?P<sign><=|>=|==|!=|[-+*/()<>])|(?P<end>$)"
    r"|(?P<other>.))",
    re.DOTALL,
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
    "!=": operator.ne,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}

_Step = int | float | str
"""A number, a name, or the sign of what is done with the last two values."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint that was read.

    Attributes:
        text: As it is written.
        names: The parameters and costs in it.
        sides: What is compared, each as steps for a stack.
        comparisons: Between neighbouring sides; all of them must hold.
    """

    text: str
    names: frozenset[str]
    sides: tuple[tuple[_Step, ...], ...]
    comparisons: tuple[str, ...]

    def is_met(self, values: Params) -> bool:
        """Whether it holds for these values; never where they divide by zero or overflow."""
        try:
            results = [_compute(side, values) for side in self.sides]
        except ArithmeticError:
            return False
        pairs = zip(self.comparisons, pairwise(results), strict=True)
        return all(_COMPARISONS[sign](*pair) for sign, pair in pairs)


def _compute(steps: Sequence[_Step], values: Mapping[str, Any]) -> Any:
    stack: list[Any] = []
    for step in steps:
        if not isinstance(step, str):
            stack.append(step)
        elif step in _ARITHMETIC:
            second = stack.pop()
            stack.append(_ARITHMETIC[step](stack.pop(), second))
            if not math.isfinite(stack[-1]):  # which raises if a whole number is too large
                raise OverflowError
        else:
            stack.append(values[step])
    return stack.pop()


class Constraints:
    """The constraints of a search space.

    Args:
        texts: As they are written.
        definition: The model family, which knows the costs.
        spec: The form of the data, on which costs depend; None as long as it is not known.
    """

    def __init__(
        self, texts: Sequence[str], definition: FamilyDefinition, spec: DataSpec | None
    ) -> None:
        self._constraints = [read_constraint(text) for text in texts]
        named = {name for each in self._constraints for name in each.names}
        self._costs = named & COSTS.keys() - definition.parameters.keys()
        self._definition = definition
        self._spec = spec

    @property
    def are_known(self) -> bool:
        """Whether a whole configuration can be judged by all of them."""
        return self._spec is not None or not self._costs

    def broken(self, params: Params) -> list[str]:
        """The constraints that a configuration does not meet, even if it is not whole.

        One that names what the configuration leaves open is not among them.
        """
        values = params
        if self._costs and self._spec and self._definition.parameters.keys() <= params.keys():
            cost = self._definition.cost(params, self._spec)
            values = {**params, **{name: COSTS[name](cost) for name in self._costs}}
        return [
            each.text
            for each in self._constraints
            if each.names <= values.keys() and not each.is_met(values)
        ]


@lru_cache(1000)
def read_constraint(text: str) -> Constraint:
    """Read a constraint.

    Raises:
        ValueError: it is none; the text says what is wrong, and where.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"may have at most {MAX_LENGTH} characters; found {len(text):,}")
    return _Reader(text).read()


class _Reader:
    """Reads a constraint from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._end = 0
        self._steps: list[_Step] = []
        self._names: set[str] = set()
        self._depth = 0
        self._next()

    def read(self) -> Constraint:
        sides, comparisons = [self._side()], []
        while self._word in _COMPARISONS:
            comparisons.append(self._take())
            sides.append(self._side())
        if self._word or not comparisons:
            hint = "; write each condition as a constraint of its own"
            raise self._wrong(
                "an operator or a comparison (<=, <, >=, >, ==, !=)",
                hint if self._word in ("and", "or", "&") else "",
            )
        return Constraint(self._text, frozenset(self._names), tuple(sides), tuple(comparisons))

    def _side(self) -> tuple[_Step, ...]:
        self._steps = []
        self._sum()
        return tuple(self._steps)

    def _sum(self) -> None:
        self._chain(("+", "-"), lambda: self._chain(("*", "/"), self._factor))

    def _chain(self, signs: tuple[str, ...], operand: Callable[[], None]) -> None:
        operand()
        while self._word in signs:
            sign = self._take()
            operand()
            self._steps.append(sign)

    def _factor(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ValueError(f"is nested deeper than {_MAX_DEPTH} levels")
        if self._kind == "number":
            self._steps.append(self._number())
        elif self._kind == "name":
            self._names.add(self._word)
            self._steps.append(self._take())
        elif self._word == "-":
            self._take()
            self._steps.append(0)
            self._factor()
            self._steps.append("-")
        elif self._word == "(":
            self._take()
            self._sum()
            if self._word != ")":
                raise self._wrong("an operator or )")
            self._take()
        else:
            hint = "; only numbers are compared, and `when:` ties a parameter to names of another"
            raise self._wrong("a number, a name or (", hint if self._kind == "text" else "")
        self._depth -= 1

    def _number(self) -> int | float:
        text = self._take()
        number = text_number(text)
        try:
            is_finite = number is not None and math.isfinite(number)
        except OverflowError:
            is_finite = False
        if number is None or not is_finite:
            raise ValueError(f"the number {shorten(text)} is too large")
        return number

    def _take(self) -> str:
        token = self._word
        self._next()
        return token

    def _next(self) -> None:
        found = _TOKEN.match(self._text, self._end)
        assert found is not None  # noqa: S101 - for the type checker: anything is a token
        self._kind = str(found.lastgroup)
        self._word = found[self._kind]
        self._start, self._end = found.span(self._kind)

    def _wrong(self, expected: str, hint: str = "") -> ValueError:
        found = shorten(repr(self._word)) if self._word else "its end"
        return ValueError(
            f"expected {expected} at character {self._start + 1}; found {found}{hint}"
        )
