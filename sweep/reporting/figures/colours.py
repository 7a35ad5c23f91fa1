"""The palette of all figures, for light and for dark pages. One colour, one meaning.

Figures are drawn in the light colours. In an SVG each of them becomes a CSS variable with the light
colour as fallback, so that a page can put the dark one in its place. Colours that are not in the
palette, those of the cells of heat maps and of the text in them, stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BEST",
    "COMPLETE",
    "DARK_CSS",
    "FAILED",
    "GRID",
    "INK",
    "MUTED",
    "PALETTE",
    "PAPER",
    "PRUNED",
    "RAMP",
    "STUDIES",
    "TRAIN",
    "Colour",
]


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour of the palette.

    Attributes:
        name: Of its CSS variable, without `--figure-`.
        light: On a white page, as `#rrggbb`.
        dark: On a dark page.
    """

    name: str
    light: str
    dark: str


# Okabe and Ito's palette, told apart with any kind of colour vision. Its orange and vermilion are
# darkened: as they are, white paper swallows the one, and in print they look like each other.
_MEANINGS = (
    Colour("complete", "#0072b2", "#56b4e9"),
    Colour("pruned", "#c28600", "#e69f00"),
    Colour("failed", "#a63a00", "#f06f43"),
    Colour("best", "#009e73", "#2cc797"),
    Colour("train", "#c4699a", "#e0a3c4"),
    Colour("ink", "#22262b", "#e7eaee"),
    Colour("muted", "#6b7280", "#a3adb8"),
    Colour("grid", "#e3e6ea", "#343b43"),
    Colour("paper", "#ffffff", "#1c2025"),
)
# Paul Tol's muted palette for whole studies, so that none looks like a state of a trial; the light
# ones of it darkened for white paper, the dark ones lightened for a dark page.
_STUDIES = (
    Colour("study-1", "#332288", "#a79bee"),
    Colour("study-2", "#cc6677", "#e08c99"),
    Colour("study-3", "#117733", "#3dbb6b"),
    Colour("study-4", "#3d94c2", "#88ccee"),
    Colour("study-5", "#882255", "#e083b0"),
    Colour("study-6", "#8f8f2e", "#bdbd5a"),
    Colour("study-7", "#2f9686", "#5cc4b3"),
    Colour("study-8", "#aa4499", "#d48fc8"),
)
# Cividis (Nunez, Anderton, Renslow 2018) in five steps, from what stands out to what stays back.
_RAMP = (
    Colour("ramp-1", "#00224e", "#fee838"),
    Colour("ramp-2", "#2f416d", "#e1cc55"),
    Colour("ramp-3", "#575d6d", "#bcae6c"),
    Colour("ramp-4", "#747476", "#959076"),
    Colour("ramp-5", "#8b8878", "#78777a"),
)
PALETTE = (*_MEANINGS, *_STUDIES, *_RAMP)

COMPLETE, PRUNED, FAILED, BEST, TRAIN, INK, MUTED, GRID, PAPER = (
    colour.light for colour in _MEANINGS
)
STUDIES = tuple(colour.light for colour in _STUDIES)
RAMP = tuple(colour.light for colour in _RAMP)

DARK_CSS = (
    "@media screen and (prefers-color-scheme: dark) { :root { "
    + " ".join(f"--figure-{colour.name}: {colour.dark};" for colour in PALETTE)
    + " } }"
)
"""What a page needs in its style for figures on a background of the dark `paper`."""
