"""Frozen series → seaborn and Matplotlib figures → SVG and PNG. The only room that draws.

It computes nothing but layout. Every function takes plain values and returns a figure of its own.
The chosen trial, COMPLETE and PRUNED ones look the same in every figure.
"""

from sweep.reporting.figures.canvas import drawing, image_png, to_png, to_svg
from sweep.reporting.figures.palette import DARK_CSS

__all__ = ["DARK_CSS", "drawing", "image_png", "to_png", "to_svg"]
