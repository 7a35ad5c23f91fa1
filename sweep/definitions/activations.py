"""Names of the functions between layers, which every family offers."""

from __future__ import annotations

__all__ = ["ACTIVATIONS"]

ACTIVATIONS = ("relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "elu", "mish")
