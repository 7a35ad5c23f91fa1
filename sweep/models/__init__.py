"""The reference network, and the same network for many lanes at once."""

from sweep.models.layout import stack_order
from sweep.models.mlp import ACTIVATIONS, MLP, build_mlp
from sweep.models.stacked_mlp import Program, StackedMLP, Workspace

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "Program",
    "StackedMLP",
    "Workspace",
    "build_mlp",
    "stack_order",
]
