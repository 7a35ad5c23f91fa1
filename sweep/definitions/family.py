"""What is known of a model family without building a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sweep.definitions.parameters import Parameter, Params, Scalar
from sweep.records import DataSpec

__all__ = ["Cost", "FamilyDefinition"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one network of a family costs.

    Attributes:
        num_parameters: Its trainable numbers.
        example_flops: Floating-point operations of the matrix products that one training example
            needs, forward and backward.
        stacked_parameters: The most numbers that its parameters take in a stack, padding included.
        training_numbers: Numbers that one example leaves in memory while it is trained on.
        inference_numbers: The same while nothing is trained.
    """

    num_parameters: int
    example_flops: int
    stacked_parameters: int
    training_numbers: int
    inference_numbers: int


@dataclass(frozen=True, slots=True)
class FamilyDefinition:
    """A model family's hyperparameters, and what they mean for time and memory.

    Attributes:
        name: As the search space names it.
        parameters: The family's own hyperparameters by name.
        idle: Names of those that have no effect in a configuration.
        cost: What a network of this configuration costs on this kind of data.
        stack_key: Networks with similar keys waste least when they are trained as one stack; None
            for a family whose networks are trained one by one.
    """

    name: str
    parameters: Mapping[str, Parameter]
    idle: Callable[[Params], frozenset[str]]
    cost: Callable[[Params, DataSpec], Cost]
    stack_key: Callable[[Params], tuple[Scalar, ...]] | None
