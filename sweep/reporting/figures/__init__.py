"""Series → Matplotlib figures → SVG and PNG. The only room that draws.

It computes nothing but layout. The chosen, COMPLETE and PRUNED trials look alike in every figure.
"""

from sweep.reporting.figures.canvas import drawing, image_png, to_png, to_svg
from sweep.reporting.figures.palette import FIGURE_CSS

__all__ = ["FIGURE_CSS", "drawing", "image_png", "to_png", "to_svg"]
