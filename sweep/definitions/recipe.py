"""The recipe: the hyperparameters of training, which every family shares."""

from __future__ import annotations

from dataclasses import dataclass

from sweep.definitions.parameters import DefaultBy, Params, choice, integer, real

__all__ = ["Recipe", "idle_in_recipe"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained."""

    weight_decay: float = real(
        "Decoupled decay for adamw; an L2 penalty added to the gradient for adam and sgd.",
        0.01,
        minimum=0.0,
        maximum=10.0,
    )
    epochs: int = integer("Passes over the training split.", 20, minimum=1, maximum=100_000)
    batch_size: int = integer("Examples in one step.", 128, minimum=1, maximum=65536)
    optimizer: str = choice(
        "adamw decouples weight decay from the gradient; adam and sgd couple it.",
        "adamw",
        ("adamw", "adam", "sgd"),
    )
    learning_rate: float = real(
        "Step size at the schedule's peak.",
        DefaultBy("optimizer", {"adamw": 1e-3, "adam": 1e-3, "sgd": 0.05}),
        minimum=1e-8,
        maximum=10.0,
    )
    momentum: float = real(
        "Momentum of sgd; without effect for the other optimizers.",
        0.9,
        minimum=0.0,
        maximum=0.9999,
    )
    learning_rate_schedule: str = choice(
        "How the learning rate moves over a trial's steps: it stays, falls to 0 along a "
        "half cosine, or rises for the first 30% and then falls.",
        "cosine",
        ("constant", "cosine", "one_cycle"),
    )
    label_smoothing: float = real(
        "Share of each label that the loss spreads over all classes (Szegedy et al. 2016).",
        0.0,
        minimum=0.0,
        maximum=0.9,
    )
    class_weights: str = choice(
        "balanced weights each training example by N / (C n): N examples, C classes, n examples of "
        "its class. Validation is not weighted.",
        "none",
        ("none", "balanced"),
    )


def idle_in_recipe(params: Params) -> frozenset[str]:
    """Names of the recipe's parameters without effect in a configuration."""
    return frozenset() if params.get("optimizer") == "sgd" else frozenset({"momentum"})
