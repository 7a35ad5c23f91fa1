"""The palette of all figures, for light and dark pages. One colour, one meaning.

Figures are drawn in the light colours. In an SVG each becomes a CSS variable, which the page sets
to the light or the dark one. Colours of heat maps are not in the palette.
"""

from __future__ import annotations

__all__ = ["FIGURE_CSS", "LIGHT", "PALETTE", "STATE_COLOURS", "STUDIES", "variable"]

# By name, the colours on a white and on a dark page, as `#rrggbb`.
PALETTE = {
    # Okabe and Ito's palette, distinct for any kind of colour vision. Its orange and vermilion are
    # darkened, for contrast on white paper and with each other in print.
    "complete": ("#0072b2", "#56b4e9"),
    "pruned": ("#c28600", "#e69f00"),
    "failed": ("#a63a00", "#f06f43"),
    "best": ("#009e73", "#2cc797"),
    "train": ("#c4699a", "#e0a3c4"),
    "ink": ("#22262b", "#e7eaee"),
    "muted": ("#6b7280", "#a3adb8"),
    "grid": ("#e3e6ea", "#343b43"),
    "paper": ("#ffffff", "#1c2025"),
    # Paul Tol's muted palette for whole studies, so that none looks like a state of a trial; light
    # colours darkened for white paper, dark ones lightened for a dark page.
    "study-1": ("#332288", "#a79bee"),
    "study-2": ("#cc6677", "#e08c99"),
    "study-3": ("#117733", "#3dbb6b"),
    "study-4": ("#3d94c2", "#88ccee"),
    "study-5": ("#882255", "#e083b0"),
    "study-6": ("#8f8f2e", "#bdbd5a"),
    "study-7": ("#2f9686", "#5cc4b3"),
    "study-8": ("#aa4499", "#d48fc8"),
}
LIGHT = {name: light for name, (light, _) in PALETTE.items()}
STATE_COLOURS = {state: LIGHT[state] for state in ("complete", "pruned", "failed")}
STUDIES = [LIGHT[f"study-{number}"] for number in range(1, 9)]


def _variables(column: int) -> str:
    return " ".join(f"{_name(name)}: {pair[column]};" for name, pair in PALETTE.items())


def _name(colour: str) -> str:
    return f"--f-{colour}"


FIGURE_CSS = (
    f":root {{ {_variables(0)} }} "
    f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {_variables(1)} }} }}"
)
"""The colours of all figures, for a page's style."""


def variable(name: str) -> str:
    """A colour as CSS that the page sets."""
    return f"var({_name(name)})"
