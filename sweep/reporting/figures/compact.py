"""Matplotlib's SVG in half the bytes, and the same picture."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from itertools import groupby

__all__ = ["compact"]

_NUMBER = re.compile(r"-?\d+\.\d+")
_NO_ROTATION = re.compile(r"rotate\(-?0(\.0)? [^)]*\)")
_SPACE = re.compile(r" *([A-Za-z]) *")


def compact(svg: ET.Element, name: str) -> None:
    """Shorten numbers, say each style once, and drop groups that say nothing, in place.

    Its style sheet applies to the whole page: `name` must be unique there.
    """
    for element in svg.iter():
        _shorten(element)
    _flatten(svg)
    _share_styles(svg, name)


def _shorten(element: ET.Element) -> None:
    attributes = element.attrib
    for key in ("d", "x", "y"):
        if key in attributes:
            attributes[key] = _NUMBER.sub(_tenths, attributes[key]).strip()
    if "d" in attributes:
        attributes["d"] = _SPACE.sub(r"\1", attributes["d"])
    if _NO_ROTATION.fullmatch(attributes.get("transform", "")):
        del attributes["transform"]
    if "style" in attributes:
        attributes["style"] = attributes["style"].replace("; ", ";").replace(": ", ":")


def _tenths(number: re.Match[str]) -> str:
    """A tenth of a point is enough."""
    text = f"{float(number[0]):.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


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
        if tag in ("use", "text") and style is not None and len(marks) > 1:
            group = ET.Element("g", {"style": style})
            for mark in marks:
                del mark.attrib["style"]
            group.extend(marks)
            marks = [group]
        found += marks
    return found


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
