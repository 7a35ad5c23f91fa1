"""The reference network."""

from sweep.models.mlp import ACTIVATIONS, MLP

__all__ = ["ACTIVATIONS", "MLP"]
