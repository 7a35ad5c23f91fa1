"""Frozen series → Matplotlib figures → SVG and PNG. The only room that draws.

It computes nothing but layout. Every function takes plain values and returns a figure of its own.
The chosen trial, COMPLETE and PRUNED ones look the same in every figure.
"""

from sweep.reporting.figures.canvas import drawing, image_png, to_png, to_svg
from sweep.reporting.figures.colours import DARK_CSS
from sweep.reporting.figures.comparison import draw_best_so_far, draw_study_tests
from sweep.reporting.figures.course import (
    draw_chosen_curves,
    draw_history,
    draw_learning_curves,
)
from sweep.reporting.figures.hyperparameters import draw_parallel_coordinates, draw_slices
from sweep.reporting.figures.importance import draw_importances
from sweep.reporting.figures.matrices import (
    draw_difference,
    draw_test_confusion_matrix,
    draw_validation_confusion_matrices,
)
from sweep.reporting.figures.timeline import draw_timeline
from sweep.reporting.figures.trust import draw_confirmation, draw_reliability

__all__ = [
    "DARK_CSS",
    "draw_best_so_far",
    "draw_chosen_curves",
    "draw_confirmation",
    "draw_difference",
    "draw_history",
    "draw_importances",
    "draw_learning_curves",
    "draw_parallel_coordinates",
    "draw_reliability",
    "draw_slices",
    "draw_study_tests",
    "draw_test_confusion_matrix",
    "draw_timeline",
    "draw_validation_confusion_matrices",
    "drawing",
    "image_png",
    "to_png",
    "to_svg",
]
