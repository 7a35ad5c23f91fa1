"""The one definition of each hyperparameter: type, bounds, default, meaning.

Validation, the JSON Schema, `sweep check` and the documentation are all made from here.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PARAMETERS", "CategoricalParameter", "FloatParameter", "IntParameter", "Parameter"]


@dataclass(frozen=True, slots=True)
class IntParameter:
    """A whole number between two bounds, both included."""

    name: str
    meaning: str
    default: int
    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True)
class FloatParameter:
    """A number between two bounds, both included."""

    name: str
    meaning: str
    default: float
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class CategoricalParameter:
    """One of a few names."""

    name: str
    meaning: str
    default: str
    choices: tuple[str, ...]


Parameter = IntParameter | FloatParameter | CategoricalParameter

PARAMETERS: dict[str, Parameter] = {
    parameter.name: parameter
    for parameter in (
        IntParameter(
            "num_layers",
            "Linear layers, the output layer included: 1 is softmax regression, "
            "4 is three hidden layers and the output.",
            default=3,
            minimum=1,
            maximum=64,
        ),
        IntParameter(
            "layer_size",
            "Units of each hidden layer; without effect when num_layers is 1.",
            default=256,
            minimum=1,
            maximum=16384,
        ),
        CategoricalParameter(
            "activation",
            "Function after each hidden layer.",
            default="relu",
            choices=("relu", "leaky_relu", "sigmoid", "tanh"),
        ),
        FloatParameter(
            "weight_decay",
            "Decoupled decay for adamw; an L2 penalty added to the gradient for adam and sgd.",
            default=0.01,
            minimum=0.0,
            maximum=10.0,
        ),
        IntParameter(
            "epochs",
            "Passes over the training split.",
            default=20,
            minimum=1,
            maximum=100_000,
        ),
        FloatParameter(
            "learning_rate",
            "Step size at the schedule's peak.",
            default=1e-3,
            minimum=1e-8,
            maximum=10.0,
        ),
        IntParameter(
            "batch_size",
            "Images in one step.",
            default=128,
            minimum=1,
            maximum=65536,
        ),
        CategoricalParameter(
            "optimizer",
            "adamw decouples weight decay from the gradient; adam and sgd couple it.",
            default="adamw",
            choices=("adamw", "adam", "sgd"),
        ),
        FloatParameter(
            "momentum",
            "Momentum of sgd; without effect for the other optimizers.",
            default=0.9,
            minimum=0.0,
            maximum=0.9999,
        ),
        FloatParameter(
            "dropout",
            "Probability of dropping each hidden unit in a training step.",
            default=0.0,
            minimum=0.0,
            maximum=0.99,
        ),
        CategoricalParameter(
            "learning_rate_schedule",
            "How the learning rate moves over a trial's steps: it stays, falls to 0 along a "
            "half cosine, or rises for the first 30 % and then falls.",
            default="cosine",
            choices=("constant", "cosine", "one_cycle"),
        ),
    )
}
