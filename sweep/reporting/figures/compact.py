"""Matplotlib's SVG in a third of the bytes, and the same picture."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from itertools import groupby

__all__ = ["compact"]

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_BOX = ("x", "y", "width", "height")
_AXIS = ("defs", "path", "use", "text")
_TENTH = 0.1  # of a point
_NO_ROTATION = re.compile(r"rotate\(-?0(\.0)? [^)]*\)")
_STEP = re.compile(r"([MLCQz])([^MLCQz]*)")
_LEADING_ZERO = re.compile(r"(?<!\d)0\.")
_MANY = 6  # marks in a row; of fewer, a marker takes more bytes than it saves


def compact(svg: ET.Element, name: str) -> None:
    """Shorten paths, say each style and mark once, drop groups and clips that do nothing.

    Its style sheet applies to the whole page: `name` must be unique there.
    """
    _drop_idle_clips(svg)
    _sort_axes(svg)
    for element in svg.iter():
        _shorten(element)
    _flatten(svg)
    _share_marks(svg, name)
    _share_styles(svg, name)


def _drop_idle_clips(svg: ET.Element) -> None:
    """Paths within their axes, such as lines of a grid, need not be clipped to them."""
    boxes = {
        f"url(#{clip.attrib['id']})": [float(clip[0].attrib[key]) for key in _BOX]
        for clip in svg.iter("clipPath")
        if clip[0].tag == "rect"
    }
    for element in svg.iter("path"):
        box = boxes.get(element.get("clip-path", ""))
        if box is not None and _is_within(element.get("d", ""), *box):
            del element.attrib["clip-path"]


def _is_within(path: str, left: float, top: float, width: float, height: float) -> bool:
    numbers = [float(number) for number in _NUMBER.findall(path)]
    return all(left - _TENTH <= x <= left + width + _TENTH for x in numbers[::2]) and all(
        top - _TENTH <= y <= top + height + _TENTH for y in numbers[1::2]
    )


def _sort_axes(svg: ET.Element) -> None:
    """Draw the lines of a grid first, then all ticks, then their texts; groups need no names."""
    for group in svg.iter("g"):
        if group.attrib.pop("id", "").startswith("matplotlib.axis"):
            drawn = [element for part in group.iter("g") for element in part if element.tag != "g"]
            group[:] = sorted(drawn, key=lambda element: _AXIS.index(element.tag))


def _shorten(element: ET.Element) -> None:
    attributes = element.attrib
    for key in ("x", "y"):
        if key in attributes:
            attributes[key] = _NUMBER.sub(_tenths, attributes[key])
    if "d" in attributes:
        attributes["d"] = _relative(attributes["d"])
    if _NO_ROTATION.fullmatch(attributes.get("transform", "")):
        del attributes["transform"]
    if "style" in attributes:
        attributes["style"] = attributes["style"].replace("; ", ";").replace(": ", ":")


def _tenths(number: re.Match[str]) -> str:
    """A tenth of a point is enough."""
    text = f"{float(number[0]):.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def _relative(path: str) -> str:
    """A path by steps from point to point, in tenths: no error adds up."""
    written, before = "", ""
    start = here = [0, 0]
    for command, numbers in _STEP.findall(path):
        points = [round(10 * float(number)) for number in numbers.split()]
        steps = [value - here[index % 2] for index, value in enumerate(points)]
        here = points[-2:] or start
        if command == "M":
            start = here
        letter = command.lower()
        if command == "L" and 0 in steps:
            letter, steps = ("h", steps[:1]) if steps[1] == 0 else ("v", steps[1:])
        is_known = letter != "m" and letter == ("l" if before == "m" else before)
        written += " " if is_known else letter
        written += " ".join(f"{step / 10:g}" for step in steps)
        before = letter
    return _LEADING_ZERO.sub(".", written).replace(" -", "-")


def _flatten(parent: ET.Element) -> None:
    """Put groups without attributes, and neighbours with the same ones, together."""
    children: list[ET.Element] = []
    for child in parent:
        _flatten(child)
        if child.tag == "g" and not child.attrib:
            children.extend(child)
        elif child.tag == "g" and children and _are_alike(children[-1], child):
            children[-1].extend(child)
        else:
            children.append(child)
    parent[:] = _in_runs(children)


def _are_alike(one: ET.Element, other: ET.Element) -> bool:
    return one.tag == other.tag and one.attrib == other.attrib


def _in_runs(elements: list[ET.Element]) -> list[ET.Element]:
    """Say once what marks or texts in a row have in common."""
    found: list[ET.Element] = []
    for (tag, style), run in groupby(elements, key=lambda one: (one.tag, one.get("style"))):
        marks = list(run)
        if tag in ("path", "use", "text") and style is not None and len(marks) > 1:
            group = ET.Element("g", {"style": style})
            for mark in marks:
                del mark.attrib["style"]
            group.extend(marks)
            marks = [group]
        found += marks
    return found


def _share_marks(svg: ET.Element, name: str) -> None:
    """Draw many equal marks as the corners of one path."""
    groups = [group for group in svg.iter("g") if len(group) >= _MANY and _is_of_one_mark(group)]
    for number, group in enumerate(groups):
        identifier = f"{name}-m{number}"
        attributes = {"id": identifier, "overflow": "visible", "markerUnits": "userSpaceOnUse"}
        marker = ET.Element("marker", attributes)  # inherits from its place, not from the path
        marker.append(ET.Element("use", {"href": group[0].attrib["href"]}))
        corners = "L".join(f"{mark.attrib['x']} {mark.attrib['y']}" for mark in group)
        style = f"fill:none;stroke:none;marker:url(#{identifier})"
        group[:] = [marker, ET.Element("path", {"d": _relative(f"M{corners}"), "style": style})]


def _is_of_one_mark(group: ET.Element) -> bool:
    return all(
        child.attrib.keys() == {"href", "x", "y"} and child.get("href") == group[0].get("href")
        for child in group
    )


def _share_styles(svg: ET.Element, name: str) -> None:
    """Put the styles that several elements have into classes."""
    counts = Counter(element.get("style") for element in svg.iter())
    shared = [style for style, count in counts.items() if style is not None and count > 1]
    classes = {style: f"{name}-c{number}" for number, style in enumerate(shared)}
    for element in svg.iter():
        if element.get("style") in classes:
            element.set("class", classes[element.attrib.pop("style")])
    sheet = ET.Element("style")
    sheet.text = "".join(f".{known}{{{style}}}" for style, known in classes.items())
    svg.insert(0, sheet)
