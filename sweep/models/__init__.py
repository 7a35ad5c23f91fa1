"""The reference network."""

from sweep.models.mlp import ACTIVATIONS, MLP, build_mlp

__all__ = ["ACTIVATIONS", "MLP", "build_mlp"]
