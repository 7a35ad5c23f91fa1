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

from sweep.definitions import is_share
from sweep.reporting.statistics import half_width
from sweep.reporting.tables import capital, metric_words
from sweep.words import duration, number_words, tie_words

__all__ = ["Picture", "StudyPage", "Thumbnail", "render_page"]


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure.

    Attributes:
        svg: As an SVG element.
        description: What it shows, for those who cannot see it.
        note: What its caption has to add, or empty.
    """

    svg: str
    description: str
    note: str


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
        thumbnails: Misclassified test images, if they are images, most confident first.
    """

    name: str
    document: Mapping[str, Any]
    pictures: Mapping[str, Picture]
    thumbnails: tuple[Thumbnail, ...]


def render_page(
    studies: Sequence[StudyPage],
    comparison: Mapping[str, Any] | None,
    pictures: Mapping[str, Picture],
    *,
    figure_css: str,
) -> str:
    """The whole page as HTML.

    Args:
        studies: The studies in the order asked for.
        comparison: What `report.json` says about them side by side; None for one study.
        pictures: The figures that compare them, by kind.
        figure_css: The colours of all figures on a dark page.
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
        "metric_short": _metric_short,
        "interval": _interval,
        "mean": _mean,
        "capital": capital,
        "metric_words": metric_words,
        "metric": _metric,
        "metric_interval": _metric_interval,
        "metric_difference": _metric_difference,
        "metric_difference_interval": _metric_difference_interval,
        "duration": _duration,
        "count": _count,
        "number": _number,
        "tie_words": tie_words,
        "p_value": _p_value,
        "yaml": _yaml,
        "svg": lambda picture: Markup(picture.svg),  # noqa: S704 - made here, not by strangers
        "data_uri": lambda png: f"data:image/png;base64,{base64.b64encode(png).decode()}",
    }
    page = environment.get_template("report.html.j2")
    colours = Markup(figure_css)  # noqa: S704 - made here, not by strangers
    return page.render(
        studies=studies, comparison=comparison, pictures=pictures, figure_css=colours
    )


# ---------------------------------------------------------------- formats

_NOTHING = "–"


def _confidence(probability: float) -> str:
    """A probability that is never quite one."""
    return "> 99.9\u00a0%" if probability > 0.999 else _percent(probability, 1)


def _percent(share: float | None, digits: int = 2) -> str:
    return _NOTHING if share is None else f"{100 * share:.{digits}f}\u00a0%"


def _interval(interval: Sequence[float] | None, digits: int = 2) -> str:
    """An interval of a share."""
    if interval is None:
        return _NOTHING
    low, high = (f"{100 * end:.{digits}f}" for end in interval)
    return f"{low}\u00a0to\u00a0{high}\u00a0%"


def _metric(value: float | None, metric: str) -> str:
    if value is None or is_share(metric):
        return _percent(value)
    return f"{value:.4f}"


def _metric_short(value: float, metric: str) -> str:
    return f"{100 * value:g}\u00a0%" if is_share(metric) else f"{value:g}"


def _metric_interval(interval: Sequence[float] | None, metric: str) -> str:
    if interval is None or is_share(metric):
        return _interval(interval)
    return f"{interval[0]:.4f}\u00a0to\u00a0{interval[1]:.4f}"


def _metric_difference(difference: float | None, metric: str) -> str:
    if difference is None:
        return _NOTHING
    text = f"{100 * difference:+.2f}\u00a0points" if is_share(metric) else f"{difference:+.4f}"
    return text.replace("-", "−")


def _metric_difference_interval(interval: Sequence[float] | None, metric: str) -> str:
    if interval is None:
        return _NOTHING
    size, digits = (100, 2) if is_share(metric) else (1, 4)
    low, high = (f"{size * end:+.{digits}f}".replace("-", "−") for end in interval)
    return f"{low}\u00a0to\u00a0{high}"


def _mean(mean: Mapping[str, Any], metric: str) -> str:
    """A mean over runs, with half the length of its interval, or the ends of one that was cut."""
    size, digits, unit = (100, 2, "\u00a0%") if is_share(metric) else (1, 4, "")
    text = f"{size * mean['value']:.{digits}f}"
    if mean["interval"] is not None:
        low, high = mean["interval"]
        half = half_width(mean["value"], low, high)
        if half is None:
            return f"{text}{unit} ({_metric_interval(mean['interval'], metric)})"
        text += f"\u00a0±\u00a0{size * half:.{digits}f}"
    return text + unit


def _duration(seconds: float | None) -> str:
    return _NOTHING if seconds is None else duration(seconds)


def _count(value: int | None) -> str:
    return _NOTHING if value is None else f"{value:,}"


def _number(value: float | str | None) -> str:
    return _NOTHING if value is None else number_words(value)


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
