"""Matplotlib figures → SVG text for a page and PNG bytes for a folder; and what all figures share.

No pyplot: a figure belongs to whoever made it, and nothing global changes.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from sweep.reporting.figures.colours import GRID, INK, MUTED, PALETTE, PAPER

__all__ = ["drawing", "image_png", "to_png", "to_svg"]

# Text in an SVG is text: it can be selected, searched and read in any script. The figures are laid
# out with DejaVu Sans, which comes with Matplotlib and is wider than any of these, Verdana apart,
# so that what fits here fits there.
_SVG_STYLE = (
    "stroke-linejoin:round;stroke-linecap:butt;"
    "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
)

_RASTER_DPI = 110  # of what is too much for shapes; a pixel on a screen

_STYLE: Any = {
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "svg.fonttype": "none",
    "hatch.linewidth": 0.8,
}


@contextmanager
def drawing() -> Iterator[None]:
    """The style of all figures; needed both to make and to save one."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes, which is no reason to stop.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def to_png(figure: Figure) -> bytes:
    """A figure as a PNG file, the same bytes every time."""
    with drawing():
        _lay_out(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=160, metadata={"Software": None})
        return buffer.getvalue()


def _lay_out(figure: Figure) -> None:
    """Lay a figure out once: it takes as long as drawing, and both pictures are to be the same."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine(None)


def to_svg(figure: Figure, *, name: str, description: str) -> str:
    """A figure as an SVG element for an HTML page, in the page's own colours and fonts.

    Its background is transparent; a page sets the colours by CSS variables (see `colours`).

    Args:
        figure: The figure.
        name: Makes the identifiers of this figure differ from those of all others of a page.
        description: What the figure shows, for those who cannot see it.
    """
    with drawing(), mpl.rc_context({"svg.hashsalt": name}):
        _lay_out(figure)
        buffer = io.StringIO()
        # Nothing but the picture: no date, no creator, no licence vocabulary.
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(buffer, format="svg", metadata=nothing, dpi=_RASTER_DPI, transparent=True)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    # A style sheet in an SVG would hold for the whole page: what it says goes into `_SVG_STYLE`.
    unwanted = r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>|<defs>\s*</defs>"
    svg = re.sub(unwanted, "", svg, flags=re.DOTALL)
    svg = re.sub(r">\s+<", "><", svg)
    svg = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r"<[^>]+>", lambda tag: _mended(tag[0]), svg)
    svg = _shared_by_groups(_own_identifiers(svg, name))
    style = f"--width:{figure.get_figwidth() * 96:.0f}px;{_SVG_STYLE}"
    label = f'role="img" aria-label="{escape(description)}" style="{style}"'
    return svg.replace("<svg", f"<svg {label}", 1)


_VARIABLES = {colour.light: f"var(--figure-{colour.name}, {colour.light})" for colour in PALETTE}


def _mended(tag: str) -> str:
    """A tag with the palette's colours as variables, without a font, and with short numbers."""
    tag = re.sub(
        r"(fill|stroke): (#[0-9a-f]{6})",
        lambda match: f"{match[1]}: {_VARIABLES.get(match[2], match[2])}",
        tag,
    )
    # Matplotlib writes `font: bold 10px 'DejaVu Sans'` or each part by itself.
    tag = re.sub(
        r"font: ([^;\"]*?)([\d.]+px)[^;\"]*",
        lambda match: f"{'font-weight: bold; ' * ('bold' in match[1])}font-size: {match[2]}",
        tag,
    )
    tag = re.sub(r"font-family: [^;\"]*; |\stransform=\"rotate\(-?0 [^\"]*\"", "", tag)
    # An opacity would be that of a whole group once it stands there.
    tag = re.sub(r"(?<!-)opacity: ([\d.]+)", r"fill-opacity: \1; stroke-opacity: \1", tag)
    # Tenths of a point are enough to place a shape, hundredths for the shape of a marker.
    digits = 2 if " id=" in tag else 1
    tag = re.sub(
        r'\b(d|x|y|width|height)="[^"]*"',
        lambda match: re.sub(rf"(\.\d{{{digits}}})\d+", r"\1", match[0]),
        tag,
    )
    return re.sub(r"\s*\n\s*", " ", tag)


def _shared_by_groups(svg: str) -> str:
    """Say at a group what all its children have in common: they may be thousands."""

    def group(match: re.Match[str]) -> str:
        opening, content = match[1], match[2]
        children = re.findall(r"<[^>]+>", content)
        for attribute in re.findall(r' (?:style|clip-path)="[^"]*"', children[0]):
            name = attribute[: attribute.index("=") + 1]
            if name not in opening and all(attribute in child for child in children):
                opening = f"{opening[:-1]}{attribute}>"
                content = content.replace(attribute, "")
        return f"{opening}{content}</g>"

    return re.sub(r"(<g\b[^>]*>)((?:<(?:use|path)\b[^>]*/>){2,})</g>", group, svg)


def _own_identifiers(svg: str, name: str) -> str:
    """Drop identifiers that nothing refers to; begin the others with the figure's name."""
    used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg)
    own: dict[str, str] = {}
    for one, other in used:
        own.setdefault(one or other, f"{name}-{len(own)}")

    def identifier(match: re.Match[str]) -> str:
        return f' id="{own[match[1]]}"' if match[1] in own else ""

    svg = re.sub(r'\sid="([^"]*)"', identifier, svg)
    return re.sub(r'(href="#|url\(#)([^")]+)', lambda match: match[1] + own[match[2]], svg)


def image_png(image: bytes, shape: tuple[int, ...], *, brightest: int) -> bytes:
    """An image as a PNG file.

    Args:
        image: Pixels, one byte each, row by row and channel after channel.
        shape: Channels (1 or 3), height and width in pixels.
        brightest: The value that is drawn white.
    """
    pixels = np.frombuffer(image, np.uint8).reshape(shape).astype(np.uint16)
    scaled = np.minimum(pixels * 255 // max(brightest, 1), 255).astype(np.uint8)
    buffer = io.BytesIO()
    grey_or_colour = scaled[0] if len(scaled) == 1 else scaled.transpose(1, 2, 0)
    Image.fromarray(np.ascontiguousarray(grey_or_colour)).save(buffer, format="png")
    return buffer.getvalue()
