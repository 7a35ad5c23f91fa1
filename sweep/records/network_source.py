"""A user's own network: its source, and the hyperparameters that its function takes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

LARGEST_INT = 2**53  # beyond it a float skips whole numbers, and JSON's readers do
LARGEST_FLOAT = 1e300
"""Of the arguments of a user's network."""


@dataclass(frozen=True, slots=True)
class NetworkSource:
    """The file of a user's network.

    Attributes:
        file: Its name, without its folder; `notebook` for a function that has none.
        function: Which of its functions builds the network.
        code: The whole file.
    """

    file: str
    function: str
    code: str = field(repr=False)

    def __post_init__(self) -> None:
        """Raise ValueError for names that no message could show: a store may be forged."""
        if not (self.file.isprintable() and self.function.isidentifier()):
            raise ValueError(f"cannot be a file and its function; found {self.words!r}")

    @property
    def sha256(self) -> str:
        """The digest of the whole file."""
        return hashlib.sha256(self.code.encode()).hexdigest()

    @property
    def words(self) -> str:
        """File and function, as `--model` takes them."""
        return f"{self.file}:{self.function}"


@dataclass(frozen=True, slots=True)
class NetworkArgument:
    """A hyperparameter of a user's network: a keyword argument of its function.

    Attributes:
        kind: Its annotation: `int`, `float` or `choice`, which is a `Literal` of texts.
        choices: Of a `choice`; empty otherwise.
    """

    name: str
    kind: Literal["int", "float", "choice"]
    default: int | float | str
    choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError, whose text follows the argument's name, if it breaks a rule."""
        default = self.default
        if self.kind == "choice":
            fits, usual = default in self.choices, f"one of {', '.join(self.choices)}"
        elif self.kind == "int":
            fits = type(default) is int and abs(default) <= LARGEST_INT
            usual = "a whole number of at most 2^53"
        else:
            fits = isinstance(default, float) and abs(default) <= LARGEST_FLOAT
            usual = "a number of at most 1e300"
        if not fits:
            raise ValueError(f"has the default {default!r}, which is not {usual}")


@dataclass(frozen=True, slots=True)
class OwnNetwork:
    """A user's network as a model of a study. The code that a store holds is never run.

    It is there to say what another source has changed.
    """

    source: NetworkSource
    arguments: tuple[NetworkArgument, ...]


@dataclass(frozen=True, slots=True)
class Probed:
    """What one configuration of a user's network costs, or why it does not work.

    Attributes:
        num_parameters: Those that are trained.
        example_flops: Floating-point operations of one training example's products, forward and
            backward.
        problem: One line; empty if it works.
    """

    num_parameters: int = 0
    example_flops: int = 0
    problem: str = ""


Model = str | OwnNetwork
"""A name of `sweep.definitions.FAMILIES`, or a user's own network."""
