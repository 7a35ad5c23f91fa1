"""The page: one HTML file that opens offline.

Names and texts come from the store, perhaps a stranger's: the templates escape all of them, and
only SVG and CSS made here are inserted as they are.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import yaml
from markupsafe import Markup, escape

from sweep import words
from sweep.definitions import is_share
from sweep.reporting import sentences
from sweep.reporting.comparison import StudyComparison, StudySummary
from sweep.reporting.findings import Findings
from sweep.reporting.statistics import Mean, half_width
from sweep.space import notable_parameters

__all__ = ["Picture", "StudyPage", "Thumbnail", "render_page"]


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure as an SVG element and as a PNG file.

    The description is its alternative text; the note, perhaps empty, is added to its caption.
    """

    svg: str
    png: bytes
    description: str
    note: str


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A misclassified image as a PNG file; a tiny one is enlarged with sharp pixels."""

    png: bytes
    is_tiny: bool
    true: str
    predicted: str
    confidence: float


@dataclass(frozen=True, slots=True)
class StudyPage:
    """What the page shows of one study.

    Attributes:
        pictures: By kind; missing where there was nothing to draw.
        thumbnails: Misclassified test images, most confident first; empty for other data.
    """

    found: Findings
    pictures: Mapping[str, Picture]
    thumbnails: tuple[Thumbnail, ...]


def render_page(
    studies: Sequence[StudyPage],
    comparison: StudyComparison | None,
    pictures: Mapping[str, Picture],
    *,
    rope: float | None,
    figure_css: str,
) -> str:
    """The whole page as HTML.

    `comparison` (None for one study) and `pictures` (by kind) compare the studies; `rope` is the
    least difference that matters, or None; `figure_css` sets the colours of all figures on a dark
    page.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sweep.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["mean_words"] = _mean_words
    environment.globals["say"] = sentences
    environment.globals["test_words"] = _test_words
    environment.globals["notable_parameters"] = notable_parameters
    environment.globals |= {name: getattr(words, name) for name in words.__all__}
    environment.filters |= {
        "calibration": words.calibration_words,
        "capital": words.capital,
        "count": words.count_words,
        "metric_words": words.metric_words,
        "marked": _marked,
        "percent": words.percent,
        "yaml": _yaml,
        "svg": lambda picture: Markup(picture.svg),  # noqa: S704 - made here, not by strangers
        "data_uri": lambda png: f"data:image/png;base64,{base64.b64encode(png).decode()}",
    }
    return environment.get_template("report.html.j2").render(
        studies=studies,
        comparison=comparison,
        pictures=pictures,
        rope=rope,
        figure_css=Markup(figure_css),  # noqa: S704 - made here, not by strangers
    )


def _mean_words(metric: str, mean: Mean) -> str:
    """A mean over runs with half its interval, or with both ends of an interval that was cut."""
    value = words.percent_or_number(metric, mean.value)
    if mean.interval is None:
        return value
    half = half_width(mean.value, *mean.interval)
    if half is None:
        return f"{value} ({words.interval_words(metric, mean.interval)})"
    if is_share(metric):
        return f"{value.removesuffix('%')} ± {words.percent(half)}"
    return f"{value} ± {half:.4f}"


def _marked(text: str) -> Markup:
    """Text in which what stands between backticks is code."""
    parts = [escape(part) for part in text.split("`")]
    code = [Markup("<code>{}</code>").format(part) for part in parts[1::2]]
    found = [part for pair in zip(parts[::2], [*code, Markup("")], strict=False) for part in pair]
    return Markup("").join(found)


def _test_words(study: StudySummary) -> str:
    """A study's test result with its interval."""
    assert study.test is not None  # noqa: S101 - for the type checker: the template asks
    return _mean_words(study.metric, Mean(study.test.value, study.test.interval, None, 1))


def _yaml(space: Mapping[str, Any]) -> str:
    """A search space as a YAML file that starts the same search."""
    text: str = yaml.safe_dump(
        _without_unset(space), sort_keys=False, allow_unicode=True, default_flow_style=None
    )
    return text


def _without_unset(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_unset(inner) for key, inner in value.items() if inner is not None}
    return value
