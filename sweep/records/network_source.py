"""A user's own network: its source, and the hyperparameters that its function takes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


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
    kind: str
    default: int | float | str
    choices: tuple[str, ...] = ()


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
