from __future__ import annotations

import itertools
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sweep.reporting import figures
from sweep.reporting.candidates import Candidate, Confirmation
from sweep.reporting.figures import canvas, course, hyperparameters, matrices, trust, weighing
from sweep.reporting.figures.axes import WIDE, log_axis, wrapped
from sweep.reporting.figures.hovering import HoverFigure
from sweep.reporting.figures.matrices import _text_colour
from sweep.reporting.figures.palette import FIGURE_CSS, LIGHT, PALETTE
from sweep.reporting.series import (
    Axis,
    BestSoFar,
    ChosenCurves,
    CostPanel,
    FrontCurves,
    Samples,
    StudyTest,
    Timeline,
    Trials,
    thinned,
)
from sweep.reporting.statistics import Effect, Importances, Interval, Mean, mean_interval
from sweep.reporting.statistics.calibration import Calibration, ReliabilityBin

HOSTILE = "</script><img src=x onerror=alert(1)>$x$ & \"'\n"
LONG = "a_very_long_name_" * 20
NAN = math.nan
STATES = ("complete", "pruned")


# ---------------------------------------------------------------- what is drawn


def said(frame: pd.DataFrame) -> list[str]:
    return [f"trial {number}" for number in frame["number"]]


def history(*heights: float, label: str = "Validation error (%)") -> Trials:
    rows = [
        (number, STATES[number % 2], 3 * number + 3, height)
        for number, height in enumerate(heights)
    ]
    rows.append((99, "failed", 3 * len(heights) + 4, NAN))
    frame = pd.DataFrame(rows, columns=["number", "state", "epochs_spent", "height"])
    return Trials(label, frame.assign(best=min(heights), text=said(frame)), 0)


def learning_curves(*curves: tuple[float, ...]) -> Trials:
    rows = [
        (number, STATES[number % 2], epoch, height, number == epoch)
        for number, curve in enumerate(curves)
        for epoch, height in enumerate(curve, 1)
    ]
    columns = ["number", "state", "epoch", "height", "audited"]
    frame = pd.DataFrame(rows, columns=columns)
    return Trials("Validation loss (nats)", frame.assign(text=said(frame)), 0)


def chosen_curves(*losses: float, best_epoch: int = 1) -> ChosenCurves:
    rows = [
        (epoch, split, loss, loss)
        for split in ("training", "validation")
        for epoch, loss in enumerate(losses, 1)
    ]
    frame = pd.DataFrame(rows, columns=["epoch", "split", "loss", "error"])
    frame = frame.assign(loss_text="a loss", error_text="an error")
    return ChosenCurves(7, best_epoch, frame)


def samples(num_trials: int, *names: str) -> Samples:
    """Every second axis is of choices, and the last one is unused by every third trial."""
    axes = tuple(
        Axis(name, choices=("relu", HOSTILE, LONG))
        if index % 2
        else Axis(name, low=1e-5, high=1.0, log=True)
        for index, name in enumerate(names)
    )
    trials = range(num_trials)
    params = {
        axis.name: [
            None
            if axis is axes[-1] and number % 3 == 0
            else (axis.choices[number % 3] if axis.choices else 10.0 ** -(number % 6))
            for number in trials
        ]
        for axis in axes
    }
    frame = pd.DataFrame(
        {
            "state": [STATES[number % 2] for number in trials],
            "height": [1.0 + number * 7 % 11 for number in trials],
            "text": [f"trial {number}" for number in trials],
        }
    )
    return Samples("Validation error (% of images)", axes, frame, pd.DataFrame(params), 0)


def confirmation(*runs: tuple[float, ...], winner: int | None = 0) -> Confirmation:
    candidates = tuple(
        Candidate(
            rank=number + 1,
            trial=number,
            search_rank=number + 1,
            params={},
            search_value=0.9,
            values=values,
            mean=mean_interval(values) if values else None,
            num_failed=0,
            difference=None,
            difference_interval=None,
            difference_level=None,
            p_value_holm=None,
            tied=None,
        )
        for number, values in enumerate(runs)
    )
    return Confirmation("c", "validation_accuracy", True, 5, candidates, winner, True, (), None)


def front_curves(*panels: list[tuple[float, float]], low: float = 0.8) -> FrontCurves:
    """Panels of trials at these costs and heights, all of them on the front."""
    return FrontCurves(
        "Validation error (%)",
        tuple(
            CostPanel(
                "Parameters (thousands)",
                frame := pd.DataFrame(points, columns=["cost", "height"], dtype=float).assign(
                    text=HOSTILE
                ),
                frame.assign(low=frame["height"] * low, high=frame["height"] * 1.2),
            )
            for points in panels
        ),
        0,
    )


def calibration(*counts: int) -> Calibration:
    width = 1 / len(counts)
    bins = tuple(
        ReliabilityBin(
            low=index * width,
            high=(index + 1) * width,
            num_images=count,
            confidence=(index + 0.5) * width if count else None,
            accuracy=index * width if count else None,
            accuracy_interval=Interval(0.0, 1.0) if count else None,
        )
        for index, count in enumerate(counts)
    )
    return Calibration(0.1, 0.05, Interval(0.0, 0.1), bins)


def importances(*names: str) -> Importances:
    shares = {name: 1 / len(names) for name in names}
    return Importances(shares, "", dict.fromkeys(names, Interval(0.0, 1.0)))


def effects(found: Samples) -> dict[str, Effect]:
    ones = (1.0, 2.0, 3.0)
    return {
        axis.name: Effect(axis.choices or (1e-5, 1e-3, 1.0), ones, ones, ones, "")
        for axis in found.axes
    }


def timeline(
    num_rows: int, seconds: float, start: float = 0.0, nodes: tuple[str, ...] = ("",)
) -> Timeline:
    states, span = (*STATES, "failed"), (start, seconds)
    rows = [
        (index, states[index % 3], nodes[index % len(nodes)], 10**9 * (index // 2), *span, index)
        for index in range(num_rows)
    ]
    columns = ["number", "state", "node", "worker", "start", "end", "row"]
    return Timeline(pd.DataFrame(rows, columns=columns), 0)


def matrix(size: int, most: int = 90) -> tuple[tuple[int, ...], ...]:
    return tuple(
        tuple(most if row == column else (row * column) % 4 for column in range(size))
        for row in range(size)
    )


def accuracy(name: str, *, confirmed: bool = True, interval: bool = True) -> StudyTest:
    return StudyTest(name, 0.9, Interval(0.8, 0.95) if interval else None, confirmed, 5)


TEN = tuple("0123456789")
ODD_NAMES = (HOSTILE, LONG, "$x^2$", "_hidden", "数字", "be\x07ll \x1b[31m \x9b \ufffe")


@dataclass(frozen=True)
class Case:
    draw: Callable[..., Figure]
    arguments: tuple[Any, ...]


CASES = {
    "history": Case(course.draw_history, (history(5, 3, 2, 4),)),
    "history-minimal": Case(course.draw_history, (history(5, 5),)),
    "history-hostile": Case(course.draw_history, (history(1e-12, 1e12, label=HOSTILE),)),
    "learning": Case(course.draw_learning_curves, (learning_curves((3, 2), (4,), (5, 4, 3)),)),
    "learning-minimal": Case(course.draw_learning_curves, (learning_curves((3, 2)),)),
    "learning-hostile": Case(
        course.draw_learning_curves,
        (learning_curves((NAN, NAN), (1e-12, NAN, 1e12), (NAN,), (3, 2)),),
    ),
    "chosen": Case(course.draw_chosen_curves, (chosen_curves(3, 2, 1),)),
    "chosen-minimal": Case(course.draw_chosen_curves, (chosen_curves(1, 1),)),
    "chosen-hostile": Case(
        course.draw_chosen_curves, (chosen_curves(1e12, NAN, 1e-12, NAN, best_epoch=10**9),)
    ),
    "chosen-nothing": Case(course.draw_chosen_curves, (chosen_curves(NAN, NAN),)),
    "slices": Case(hyperparameters.draw_slices, (samples(12, *"abcde"), {})),
    "slices-minimal": Case(hyperparameters.draw_slices, (samples(2, "a"), {})),
    "slices-hostile": Case(
        hyperparameters.draw_slices, (found := samples(9, *ODD_NAMES), effects(found))
    ),
    "importances": Case(hyperparameters.draw_importances, (importances("a", "b", "c"),)),
    "importances-minimal": Case(
        hyperparameters.draw_importances, (replace(importances("a"), intervals=None),)
    ),
    "importances-hostile": Case(hyperparameters.draw_importances, (importances(*ODD_NAMES),)),
    "confirmation": Case(
        trust.draw_confirmation, (confirmation((0.8, 0.9), (0.85,), (), winner=1),)
    ),
    "confirmation-minimal": Case(trust.draw_confirmation, (confirmation((), winner=None),)),
    "front": Case(weighing.draw_front, (front_curves(*[[(900, 2), (1000, 1.5), (2e6, 1)]] * 2),)),
    "front-minimal": Case(weighing.draw_front, (front_curves([(1, 5), (2, 5)], low=NAN),)),
    "front-hostile": Case(
        weighing.draw_front,
        (front_curves([(1e-99, 1e12), (1e99, 1e-12)], [(1, NAN), (2, NAN)], low=0.0),),
    ),
    "reliability": Case(trust.draw_reliability, (calibration(0, 1, 0, 50, 9000),)),
    "reliability-minimal": Case(trust.draw_reliability, (calibration(1),)),
    "reliability-hostile": Case(trust.draw_reliability, (calibration(0, 10**15),)),
    "timeline": Case(course.draw_timeline, (timeline(4, 900.0, 100.0),)),
    "timeline-minimal": Case(course.draw_timeline, (timeline(1, 0.001),)),
    "timeline-hostile": Case(course.draw_timeline, (timeline(200, 3e11, 3e11, ODD_NAMES),)),
    "test-matrix": Case(matrices.draw_confusion_matrix, (matrix(10), TEN)),
    "test-matrix-minimal": Case(matrices.draw_confusion_matrix, (((0,),), ("a",))),
    "test-matrix-hostile": Case(
        matrices.draw_confusion_matrix, (matrix(6, 10**12), ODD_NAMES)
    ),
    "test-matrix-large": Case(
        matrices.draw_confusion_matrix, (matrix(47), tuple(map(str, range(47))))
    ),
    "best-so-far": Case(
        trust.draw_best_so_far,
        (
            [
                BestSoFar(name, (2, 4), 8, (0.95, 0.96), "Error", (5.0, 4.0), ("a", "b"))
                for name in TEN
            ],
        ),
    ),
    "best-so-far-hostile": Case(
        trust.draw_best_so_far,
        (
            [
                BestSoFar(name, (10**12,), 10**12, (1.0,), "Error", (1e-9,), (name,))
                for name in ODD_NAMES
            ],
        ),
    ),
    "accuracies": Case(
        trust.draw_study_tests, ([accuracy("a"), accuracy("b", confirmed=False)], "test_accuracy")
    ),
    "accuracies-minimal": Case(
        trust.draw_study_tests, ([accuracy("a", interval=False)], "test_loss")
    ),
    "accuracies-hostile": Case(
        trust.draw_study_tests, ([*map(accuracy, ODD_NAMES)], "test_f1_macro")
    ),
}  # fmt: skip


def drawn(name: str) -> Figure:
    with figures.drawing():
        return CASES[name].draw(*CASES[name].arguments)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_figure_is_drawn_whole_and_refers_to_nothing(name: str) -> None:
    figure = drawn(name)
    assert figures.to_png(figure).startswith(b"\x89PNG")
    svg = figures.to_svg(figure, name=name, description=HOSTILE)
    root = ET.fromstring(svg)  # noqa: S314 - made here
    width, height = (float(number) for number in root.attrib["viewBox"].split()[2:])
    assert 200 < width < 1000
    assert 60 < height < 1000
    assert {element.tag for element in root.iter()} <= {
        "svg", "g", "path", "use", "text", "tspan", "image", "defs", "clipPath", "rect", "pattern",
        "style", "marker",
    }  # fmt: skip
    sheet = root.findtext("style", "")  # applies to the whole page
    assert all(rule.startswith(f".{name}-") for rule in re.findall(r"[^{}]+(?={)", sheet))
    assert re.fullmatch(r"([^{}]+{[^{}]+})*", sheet)
    identifiers = {element.attrib["id"] for element in root.iter() if "id" in element.attrib}
    assert all(identifier.startswith(f"{name}-") for identifier in identifiers)
    for element in root.iter():
        reference = element.attrib.get("href", "data:image/png;")
        assert reference.startswith("data:image/png;") or reference[1:] in identifiers
        assert not any(attribute.startswith("on") for attribute in element.attrib)
    assert set(re.findall(r"url\(([^)]*)\)", svg)) <= {f"#{name}" for name in identifiers}
    assert "<img" not in svg
    assert len(svg) < 200_000
    with figures.drawing():
        box = figure.get_tightbbox()
    wide, high = figure.get_size_inches()
    assert box.x0 > -0.03
    assert box.y0 > -0.03
    assert box.x1 < wide + 0.03
    assert box.y1 < high + 0.03


@pytest.mark.slow
def test_no_figure_stays_registered() -> None:
    from matplotlib import pyplot

    assert not pyplot.get_fignums()
    for name in ("test-matrix", "chosen", "slices"):
        figures.to_png(drawn(name))
    assert not pyplot.get_fignums()


def test_names_stay_as_they_are() -> None:
    svg = figures.to_svg(drawn("importances-hostile"), name="x", description="")
    assert "$x^2$" in svg  # not taken for a formula
    assert "数字" in svg
    assert "&lt;/script&gt;&lt;img" in svg


# ---------------------------------------------------------------- what a page gets of it


def corners(path: str) -> list[tuple[str, float, float]]:
    """The absolute points of a path, each with its command, to a tenth."""
    found: list[tuple[str, float, float]] = []
    x = y = start_x = start_y = 0.0
    for command, text in re.findall(r"([a-zA-Z])([^a-zA-Z]*)", path):
        numbers = [float(number) for number in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", text)]
        is_relative, command = command.islower(), command.upper()
        while numbers or command == "Z":
            if command == "Z":
                x, y = start_x, start_y
                break
            points = {"M": 1, "L": 1, "Q": 2, "C": 3}.get(command, 0)
            if points == 0:  # H or V
                step = numbers.pop(0)
                x, y = (x + step, y) if command == "H" else (x, y + step)
                found.append(("L", x, y))
                continue
            from_x, from_y = (x, y) if is_relative else (0.0, 0.0)
            for _ in range(points):
                x, y = from_x + numbers.pop(0), from_y + numbers.pop(0)
                found.append((command, x, y))
            if command == "M":
                start_x, start_y, command = x, y, "L"
    return [(command, round(x, 1) + 0.0, round(y, 1) + 0.0) for command, x, y in found]


Mark = tuple[str, tuple[Any, ...], list[tuple[str, str]]]


def drawn_marks(svg: ET.Element) -> list[Mark]:
    """Everything that is drawn, with its place, and its own style after those of its groups.

    In order, but for the parts of an axis: lines come first, then ticks, then texts.
    """
    classes = dict(re.findall(r"\.(\S+?){(.*?)}", svg.findtext("style", "")))
    markers = {marker.attrib["id"]: marker[0] for marker in svg.iter("marker")}
    shapes = {
        f"#{path.get('id')}": corners(path.attrib["d"]) for path in svg.iterfind(".//defs/path")
    }
    order = ["path", "use", "text"]

    def walk(element: ET.Element, styles: str) -> list[Mark]:
        if element.tag in ("defs", "clipPath", "marker"):
            return []
        inherited = styles
        styles += f";{classes.get(element.get('class'), '')};{element.get('style', '')}"
        rules = sorted(dict(re.findall(r"([a-z-]+): ?([^;]+)", styles)).items())
        path = corners(element.get("d", ""))
        if marker := re.search(r"marker:url\(#(.*?)\)", styles):
            again = ET.Element("use", markers[marker[1]].attrib)
            return [
                (tag, ([(command, x, y)], *rest), style)
                for _, left, top in path
                for tag, (_, *rest), style in walk(again, inherited)
                for command, x, y in [("M", left, top)]
            ]
        found: list[Mark] = []
        if element.tag in ("path", "use", "text", "image", "rect"):
            place = path or [("M", *(round(float(element.get(key, 0)), 1) for key in ("x", "y")))]
            found.append(
                (element.tag, (place, shapes.get(element.get("href", "")), element.text), rules)
            )
        inner = [mark for child in element for mark in walk(child, styles)]
        if element.get("id", "").startswith("matplotlib.axis"):
            inner.sort(key=lambda mark: order.index(mark[0]))
        return found + inner

    return walk(svg, "")


@pytest.mark.parametrize("name", ["slices", "test-matrix", "chosen", "timeline", "front"])
def test_a_compact_picture_draws_the_same(name: str) -> None:
    svg = figures.to_svg(drawn(name), name="x", description="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canvas, "compact", lambda *_: None)
        whole = figures.to_svg(drawn(name), name="x", description="")
    one, other = (drawn_marks(ET.fromstring(text)) for text in (svg, whole))  # noqa: S314 - made here
    assert one == other
    assert len(svg) < 0.7 * len(whole)


def test_what_reaches_beyond_its_axes_is_clipped() -> None:
    with figures.drawing():
        figure = HoverFigure((4.0, 2.0))
        axes = figure.add_axes((0.25, 0.25, 0.5, 0.5))
        axes.set(xlim=(0, 10), ylim=(0, 10))
        axes.plot([0, 10], [5, 50], color="#123456")
        axes.plot([0, 10], [5, 6], color="#654321")
        svg = ET.fromstring(figures.to_svg(figure, name="x", description=""))  # noqa: S314 - made here
    clips = {path.get("style", "")[:30]: "clip-path" in path.attrib for path in svg.iter("path")}
    assert [clip for style, clip in clips.items() if "#123456" in style] == [True]
    assert [clip for style, clip in clips.items() if "#654321" in style] == [False]


def test_progress_is_drawn_to_the_end_of_each_study() -> None:
    """Also over the epochs of what came after the last complete trial."""
    (axes,) = drawn("best-so-far").axes
    assert {line.get_xdata()[-1] for line in axes.lines} == {8}


def test_points_tell_what_they_are() -> None:
    with figures.drawing():
        figure = HoverFigure((4.0, 2.0))
        axes = figure.add_axes((0.25, 0.25, 0.5, 0.5))
        axes.set(xlim=(0, 10), ylim=(1, 100), yscale="log")
        assert figure.points() == {}
        texts = ["trial 1, a|b: 3", "trial 1, last: 3", "cannot be shown"]
        figure.explain(axes, [0, 10, 5], [1, 100, -1], texts)
        expected = 'data-points="72 108 0 1 2|216 36 0 3 2" data-parts="trial 1,|a/b:|3|last:"'
        assert expected in figures.to_svg(figure, name="x", description="")
        figure.explain(axes, [5] * 1000, [10] * 1000, ["again"] * 1000)
        assert figure.points()["data-points"].count("|") < 300


def test_every_panel_tells_its_points() -> None:
    """However many there are: those of one panel do not crowd out those of another."""
    with figures.drawing():
        figure = HoverFigure((4.0, 2.0))
        for axes in figure.subplots(1, 4):
            figure.explain(axes, [0.5] * 150, [0.5] * 150, ["here"] * 150)
        assert figure.points()["data-points"].count("|") == 4 * 150 - 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("layer_size", "layer_size"),
        ("learning_rate_schedule", "learning_rate_\nschedule"),
        ("withoutanyseparatoratall", "withoutanysep\naratoratall"),
    ],
)
def test_names_are_wrapped_and_whole(name: str, shown: str) -> None:
    assert wrapped(name, 14 if "_" in name else 13) == shown
    assert shown.replace("\n", "") == name


# ---------------------------------------------------------------- colours


def luminance(colour: str) -> float:
    """WCAG's relative luminance of `#rrggbb`."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_by_hand() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("name", PALETTE)
def test_every_colour_stands_out_in_both_themes(name: str) -> None:
    least = {"ink": 4.5, "muted": 4.5, "grid": 1.1, "paper": 1.0}.get(name, 3.0)
    light, dark = PALETTE[name]
    assert contrast(light, "#ffffff") >= least
    assert contrast(dark, "#1c2025") >= least


def test_the_palette_is_unambiguous() -> None:
    assert len(set(LIGHT.values())) == len(PALETTE)
    for name, (_, dark) in PALETTE.items():
        assert f"--f-{name}: {dark};" in FIGURE_CSS
    # What differs in colour alone differs in grey, too.
    assert contrast(LIGHT["pruned"], LIGHT["failed"]) > 1.5


def test_the_page_sets_the_colours() -> None:
    svg = figures.to_svg(drawn("history"), name="x", description="")
    for name in ("ink", "muted", "grid", "complete", "pruned", "best", "failed"):
        assert f"var(--f-{name})" in svg
    bare = re.sub(r"var\([^)]*\)", "", svg).lower()
    assert not [light for light in LIGHT.values() if light in bare]
    assert "<rect" not in re.sub(r"<clipPath.*?</clipPath>", "", svg)  # no background


def test_text_in_cells_stands_out() -> None:
    for background in mpl.colormaps["Blues"](np.linspace(0, 1, 256)):
        cell = mpl.colors.to_hex(background)
        assert contrast(_text_colour(background), cell) >= 4.5


def test_text_in_cells_keeps_its_colour() -> None:
    svg = figures.to_svg(drawn("test-matrix"), name="x", description="")
    colours = {
        place[-1]: dict(rules)["fill"]
        for tag, place, rules in drawn_marks(ET.fromstring(svg))  # noqa: S314 - made here
        if tag == "text"
    }
    assert (colours["90"], colours["3"]) == ("#fefefe", "#010101")


# ---------------------------------------------------------------- sizes and content


@pytest.mark.slow
def test_many_trials_make_no_heavy_figures() -> None:
    heights = tuple(1 + number % 97 for number in range(5_000))
    many = thinned(samples(5_000, *"abcdefghijk"))
    with figures.drawing():
        drawn = [
            (course.draw_history(history(*heights)), 100_000),
            (hyperparameters.draw_slices(many, {}), 150_000),
        ]
    for figure, most in drawn:
        assert len(figures.to_svg(figure, name="x", description="")) < most


@pytest.mark.slow
def test_the_same_figure_is_the_same_picture() -> None:
    first, second = (figures.to_svg(drawn("slices"), name="x", description="") for _ in range(2))
    assert first == second
    assert figures.to_png(drawn("chosen")) == figures.to_png(drawn("chosen"))


def test_png_and_svg_are_laid_out_alike() -> None:
    figure = drawn("reliability")
    alone = figures.to_svg(figure, name="x", description="")
    figures.to_png(figure)
    assert figures.to_svg(figure, name="x", description="") == alone


def test_many_classes_have_no_numbers() -> None:
    svg = figures.to_svg(drawn("test-matrix-large"), name="x", description="")
    assert svg.count("<text") < 2 * 47 + 20
    assert "Images" not in svg
    assert svg.count("<image") == 2  # the cells and the scale


@pytest.mark.parametrize(
    ("names", "rotation"),
    [(TEN, 0), (("crane", "heron", "stork", "egret"), 0), (("T-shirt/top", "Coat", "Bag") * 3, 90)],
)
def test_names_of_classes_stand_apart(names: tuple[str, ...], rotation: int) -> None:
    with figures.drawing():
        figure = matrices.draw_confusion_matrix(matrix(len(names)), names)
        figures.to_png(figure)  # lays it out
        below, beside = figure.axes[0].get_xticklabels(), figure.axes[0].get_yticklabels()
        assert [label.get_text() for label in below] == list(names)
        assert {label.get_rotation() for label in below} == {rotation}
        assert {label.get_rotation() for label in beside} == {0}
        for labels in (below, beside):
            boxes = [label.get_window_extent() for label in labels]
            assert not any(one.overlaps(other) for one, other in itertools.pairwise(boxes))


def test_every_few_of_very_many_classes_are_named() -> None:
    names = tuple(map(str, range(150)))
    with figures.drawing():
        axes = matrices.draw_confusion_matrix(matrix(150), names).axes[0]
    first, second, *_ = axes.get_xticks()
    every = round(second - first)
    assert 2 <= every <= 10
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == list(names[::every])


@pytest.mark.parametrize("number", [46, 100, 150])
def test_long_names_of_many_classes_stand_apart(number: int) -> None:
    names = tuple(f"a name that is long {n}" for n in range(number))
    with figures.drawing():
        figure = matrices.draw_confusion_matrix(matrix(number), names)
        figures.to_png(figure)  # lays it out
        for labels in (figure.axes[0].get_xticklabels(), figure.axes[0].get_yticklabels()):
            boxes = [label.get_window_extent() for label in labels]
            assert not any(one.overlaps(other) for one, other in itertools.pairwise(boxes))


def test_a_mean_without_interval_is_drawn() -> None:
    single = Mean(0.9, None, None, 1)
    candidate = replace(confirmation((0.9,)).candidates[0], mean=single)
    with figures.drawing():
        figure = trust.draw_confirmation(replace(confirmation(()), candidates=(candidate,)))
    assert len(figures.to_svg(figure, name="x", description="")) > 1000


@pytest.mark.parametrize("decades", [0.05, 0.4, 0.6, 1.05, 1.3, 2.2, 4.4, 9.0])
@pytest.mark.parametrize("low", [1.3e-5, 4.4e-4])
def test_labels_of_logarithms_stand_apart(low: float, decades: float) -> None:
    """In the narrowest panels that there are."""
    with figures.drawing():
        figure = Figure((WIDE, 3))
        axes = figure.add_axes((0.16, 0.2, 0.36, 0.7))
        axes.plot([low, low * 10**decades], [1, 2])
        log_axis(axes, "x")
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw(renderer)
    first, last = axes.get_xlim()
    labels = [
        label.get_window_extent(renderer)
        for place, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
        if first <= place <= last
    ]
    assert labels
    assert all(one.x1 < other.x0 for one, other in itertools.pairwise(labels))
