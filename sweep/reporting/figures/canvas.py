"""Matplotlib figures → SVG text for a page and PNG bytes for a folder, without pyplot's globals."""

from __future__ import annotations

import io
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from sweep.reporting.figures.compact import compact
from sweep.reporting.figures.hovering import HoverFigure
from sweep.reporting.figures.palette import LIGHT, variable

__all__ = ["drawing", "image_png", "to_png", "to_svg"]

# Text in an SVG stays text, to select and search. The figures are laid out with DejaVu Sans, which
# comes with Matplotlib and is wider than a page's font.
_LAYOUT_FONT = "DejaVu Sans"
_PAGE_FONTS = (
    "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"
)
_THUMBNAIL = 144  # pixels; twice what the page gives it
_RASTER_DPI = 110  # where there are too many shapes
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REFERENCE = re.compile(r"url\(#([^)]*)\)")
_STYLE: Any = {
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.family": _LAYOUT_FONT,
    "font.size": 9,
    "axes.titlesize": 9.5,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.edgecolor": LIGHT["muted"],
    "axes.labelcolor": LIGHT["ink"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": LIGHT["grid"],
    "grid.linewidth": 0.7,
    "text.color": LIGHT["ink"],
    "xtick.color": LIGHT["muted"],
    "ytick.color": LIGHT["muted"],
    "xtick.labelcolor": LIGHT["ink"],
    "ytick.labelcolor": LIGHT["ink"],
    "legend.frameon": False,
    "figure.facecolor": LIGHT["paper"],
    "savefig.facecolor": LIGHT["paper"],
    "svg.fonttype": "none",
    "hatch.linewidth": 0.8,
}


@contextmanager
def drawing() -> Iterator[None]:
    """The style of all figures, needed both to make and to save one.

    Only Matplotlib's own defaults and ours count, whatever a user has set; no backend is needed.
    """
    with mpl.rc_context({**_defaults(), **_STYLE}), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes: no reason to stop.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


@cache
def _defaults() -> Any:
    # Not by `[]`, which warns of settings that are about to go. A context restores all but the
    # backend.
    return {key: value for key, value in dict.items(mpl.rcParamsDefault) if key != "backend"}


def to_png(figure: Figure) -> bytes:
    """A figure as a PNG file, the same bytes every time."""
    with drawing():
        _lay_out(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=160, metadata={"Software": None})
        return buffer.getvalue()


def _lay_out(figure: Figure) -> None:
    """Lay a figure out once: it takes as long as drawing, and SVG and PNG must be the same."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)  # a drawing would do so, and draw
        figure.set_layout_engine(None)


def to_svg(figure: Figure, *, name: str, description: str) -> str:
    """A figure as an SVG element for an HTML page, in the page's own colours and fonts.

    Its background is transparent; a page sets the colours by CSS variables (see `palette`). The
    name must be unique on the page: all identifiers contain it. What its points mean is in
    `data-points` and `data-parts` (see `HoverFigure.points`), in the units of its `viewBox`.
    """
    with drawing(), mpl.rc_context({"svg.hashsalt": name}):
        _lay_out(figure)
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing, dpi=_RASTER_DPI, transparent=True)
    svg = ET.fromstring(_NO_XML.sub("\ufffd", buffer.getvalue()))  # noqa: S314 - made here
    svg.remove(svg[0])  # a style sheet, which would apply to the whole page
    identifiers: dict[str, str] = {}
    for element in svg.iter():
        _for_page(element, name, identifiers)
    compact(svg, name)
    svg.attrib |= {
        "role": "img",
        "aria-label": description,
        "style": f"stroke-linejoin:round;{_PAGE_FONTS}",
    }
    if isinstance(figure, HoverFigure):
        svg.attrib |= {key: _NO_XML.sub("\ufffd", text) for key, text in figure.points().items()}
    return ET.tostring(svg, encoding="unicode").replace(" />", "/>")


def _for_page(element: ET.Element, name: str, identifiers: dict[str, str]) -> None:
    """Remove namespaces; use the page's colours, and short identifiers unique to the figure."""

    def renamed(identifier: str) -> str:
        return identifiers.setdefault(identifier, f"{name}-{len(identifiers)}")

    element.tag = element.tag.rpartition("}")[2]
    if element.tag != "text":
        element.text = None
    element.tail = None
    attributes = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
    if element.tag == "image":
        attributes.pop("id", None)  # nothing refers to it
    for key, value in attributes.items():
        if key == "id" and element.tag != "g":
            value = renamed(value)
        elif key == "href" and value.startswith("#"):
            value = f"#{renamed(value[1:])}"
        elif "#" in value and key not in ("d", "x", "y", "href"):
            value = _REFERENCE.sub(lambda found: f"url(#{renamed(found[1])})", value)
            for colour, light in LIGHT.items():
                value = value.replace(light, variable(colour))
        attributes[key] = value.replace(f"font-family: '{_LAYOUT_FONT}'; ", "")
    element.attrib = attributes


def image_png(image: bytes, shape: tuple[int, ...], *, brightest: int) -> bytes:
    """Bytes of shape (1 or 3 channels, height, width) as a PNG; `brightest` is drawn white."""
    pixels = np.frombuffer(image, np.uint8).reshape(shape).astype(np.uint16)
    scaled = np.minimum(pixels * 255 // max(brightest, 1), 255).astype(np.uint8)
    buffer = io.BytesIO()
    grey_or_colour = scaled[0] if len(scaled) == 1 else scaled.transpose(1, 2, 0)
    picture = Image.fromarray(np.ascontiguousarray(grey_or_colour))
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL))  # never larger than it was
    picture.save(buffer, format="png")
    return buffer.getvalue()
