"""The page: one HTML file with everything inside, which opens offline. Draws nothing.

All names and texts come from the store, perhaps a stranger's: the templates escape every one of
them, and only SVG made here is let through as it is.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from sweep.reporting.parameters import format_value

__all__ = ["Picture", "StudyPage", "Thumbnail", "render_page"]


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure as an SVG element, and what it shows."""

    svg: str
    description: str


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture of a misclassified image, as a PNG file."""

    png: bytes
    true: str
    predicted: str
    confidence: float


@dataclass(frozen=True, slots=True)
class StudyPage:
    """What the page needs to show one study.

    Attributes:
        name: The study's name.
        document: What `report.json` says about it.
        pictures: Figures by kind; missing where there was nothing to draw.
        thumbnails: Misclassified test images, most confident first.
    """

    name: str
    document: Mapping[str, Any]
    pictures: Mapping[str, Picture]
    thumbnails: tuple[Thumbnail, ...]


def render_page(
    studies: Sequence[StudyPage],
    comparison: Mapping[str, Any] | None,
    pictures: Mapping[str, Picture],
) -> str:
    """The whole page as HTML.

    Args:
        studies: The studies in the order asked for.
        comparison: What `report.json` says about them side by side; None for one study.
        pictures: The figures that compare them, by kind.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sweep.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "confidence": _confidence,
        "percent": _percent,
        "points": _points,
        "interval": _interval,
        "mean": _mean,
        "points_interval": _points_interval,
        "duration": _duration,
        "count": _count,
        "number": _number,
        "p_value": _p_value,
        "yaml": _yaml,
        "svg": lambda picture: Markup(picture.svg),  # noqa: S704 - made here, not by strangers
        "data_uri": lambda png: f"data:image/png;base64,{base64.b64encode(png).decode()}",
    }
    page = environment.get_template("report.html.j2")
    return page.render(studies=studies, comparison=comparison, pictures=pictures)


# ---------------------------------------------------------------- formats

_NOTHING = "–"


def _confidence(probability: float) -> str:
    """A probability that is never quite one."""
    return "> 99.9\u00a0%" if probability > 0.999 else _percent(probability, 1)


def _percent(share: float | None, digits: int = 2) -> str:
    return _NOTHING if share is None else f"{100 * share:.{digits}f}\u00a0%"


def _points(difference: float | None) -> str:
    """A difference of two shares in percentage points."""
    return (
        _NOTHING if difference is None else f"{100 * difference:+.2f}\u00a0points".replace("-", "−")
    )


def _points_interval(interval: Sequence[float] | None) -> str:
    """An interval of a difference of two shares in percentage points."""
    if interval is None:
        return _NOTHING
    return f"{100 * interval[0]:+.2f}\u00a0to\u00a0{100 * interval[1]:+.2f}".replace("-", "−")


def _interval(interval: Sequence[float] | None, digits: int = 2) -> str:
    if interval is None:
        return _NOTHING
    low, high = (f"{100 * end:.{digits}f}" for end in interval)
    return f"{low}\u00a0to\u00a0{high}\u00a0%"


def _mean(mean: Mapping[str, Any]) -> str:
    """A mean over runs, with half the length of its interval."""
    text = f"{100 * mean['value']:.2f}"
    if mean["interval"] is None:
        return f"{text}\u00a0%"
    low, high = mean["interval"]
    return f"{text}\u00a0±\u00a0{50 * (high - low):.2f}\u00a0%"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return _NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _count(value: int | None) -> str:
    return _NOTHING if value is None else f"{value:,}"


def _number(value: float | str | None) -> str:
    return _NOTHING if value is None else format_value(value)


def _p_value(value: float | None) -> str:
    if value is None:
        return _NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _yaml(space: Mapping[str, Any]) -> str:
    """A search space as the YAML file that starts the same search."""
    text: str = yaml.safe_dump(
        _without_unset(space), sort_keys=False, allow_unicode=True, default_flow_style=None
    )
    return text


def _without_unset(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_unset(inner) for key, inner in value.items() if inner is not None}
    return value
