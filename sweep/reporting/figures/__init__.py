"""Frozen series → Matplotlib figures → SVG and PNG. The only room that draws.

It computes nothing but layout. Every function takes plain values and returns a figure of its own.
The chosen trial, COMPLETE and PRUNED ones look the same in every figure.
"""

from sweep.reporting.figures.canvas import drawing, image_png, to_png, to_svg
from sweep.reporting.figures.course import (
    draw_best_so_far,
    draw_history,
    draw_learning_curves,
    draw_loss_curves,
)
from sweep.reporting.figures.hyperparameters import (
    draw_importances,
    draw_parallel_coordinates,
    draw_slices,
)
from sweep.reporting.figures.matrices import (
    draw_test_confusion_matrix,
    draw_validation_confusion_matrices,
)

__all__ = [
    "draw_best_so_far",
    "draw_history",
    "draw_importances",
    "draw_learning_curves",
    "draw_loss_curves",
    "draw_parallel_coordinates",
    "draw_slices",
    "draw_test_confusion_matrix",
    "draw_validation_confusion_matrices",
    "drawing",
    "image_png",
    "to_png",
    "to_svg",
]
