"""YAML text → plain data and the position of every key and value.

PyYAML's safe constructor is not used: it reads `1e-5` as text and `no` as false, keeps the last
of two duplicate keys, and follows aliases. Here the numbers and words are those of YAML 1.2,
duplicates, aliases, anchors and tags are problems, and depth and size are limited before
anything is built.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from sweep.space.base import shorten

__all__ = ["Document", "Position", "read_yaml"]

MAX_BYTES = 256 * 1024
MAX_DEPTH = 12
MAX_NODES = 40_000  # keys, values and lists; each takes two kilobytes while it is read

Path = tuple[str | int, ...]
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# The core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema).
_NULL = re.compile(r"|~|null|Null|NULL")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
# https://yaml.org/spec/1.2.2/#51-character-set
_NOT_ALLOWED = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_BREAK = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")
_SPECIAL = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}
_PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{kind}"
    for kind in ("str", "int", "float", "bool", "null", "timestamp", "value", "merge", "map", "seq")
)
_MAX_DIGITS = 400  # more than any float has; Python refuses integers of over 4,300 digits


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file; line and column count from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Document:
    """What was read.

    Attributes:
        data: The plain data, or None if there is none.
        keys: The position of each key, by path.
        values: The position of each value, by path.
        problems: Position and message of everything that is wrong with the YAML itself.
    """

    data: Any = None
    keys: dict[Path, Position] = field(default_factory=dict)
    values: dict[Path, Position] = field(default_factory=dict)
    problems: list[tuple[Position, str]] = field(default_factory=list)

    def position(self, path: Path, *, of_key: bool = False) -> Position:
        """The position of a path, or of the nearest part of it that is in the file."""
        places = self.keys if of_key else self.values
        for end in range(len(path), 0, -1):
            if path[:end] in places:
                return places[path[:end]]
        return Position(1, 1)


def read_yaml(text: bytes) -> Document:
    """Read one YAML document.

    Args:
        text: The file's bytes.

    Returns:
        The document; if it has problems that keep it from being read, its data are None.
    """
    document = Document()
    if len(text) > MAX_BYTES:
        document.problems.append(
            (
                Position(1, 1),
                f"a search space may have {MAX_BYTES // 1024} KiB; found {len(text) // 1024} KiB",
            )
        )
        return document
    try:
        text = text.removeprefix(codecs.BOM_UTF8)
        decoded = text.decode()
    except UnicodeDecodeError as error:
        where = _place(text[: error.start].decode())
        document.problems.append(
            (where, f"must be text in UTF-8; found byte 0x{text[error.start]:02x}")
        )
        return document
    wrong = _NOT_ALLOWED.search(decoded)
    if wrong:
        where = _place(decoded[: wrong.start()])
        document.problems.append(
            (where, f"is not YAML: the character U+{ord(wrong[0]):04X} is not allowed")
        )
        return document
    try:
        if _scan(decoded, document):
            node = yaml.compose(decoded, Loader=_Loader)
            if node is None:
                document.problems.append(
                    (Position(1, 1), "the file is empty; a search space needs at least name "
                     "and dataset")
                )  # fmt: skip
            else:
                document.data = _build(node, (), document)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        document.problems.append(
            (_position(mark), f"is not YAML: {error.problem or error.context}")
        )
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0]
        document.problems.append((Position(1, 1), f"is not YAML: {reason}"))
    return document


def _scan(text: str, document: Document) -> bool:
    """Refuse what must not be built: aliases, anchors, great depth. True if all is well."""
    depth = num_nodes = 0
    for event in yaml.parse(text, Loader=_Loader):
        where = _position(event.start_mark)
        anchor = getattr(event, "anchor", None)
        if isinstance(event, yaml.AliasEvent):
            document.problems.append((where, f"aliases are not allowed; found *{anchor}"))
        elif anchor is not None:
            document.problems.append((where, f"anchors are not allowed; found &{anchor}"))
        if isinstance(event, yaml.NodeEvent):
            num_nodes += 1
            if num_nodes > MAX_NODES:
                document.problems.append((where, f"has more than {MAX_NODES:,} keys and values"))
                return False
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                document.problems.append((where, f"is nested deeper than {MAX_DEPTH} levels"))
                return False
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return not document.problems


def _place(text: str) -> Position:
    """The place right behind a text."""
    lines = _LINE_BREAK.split(text)
    return Position(len(lines), len(lines[-1]) + 1)


def _position(mark: Any) -> Position:
    """PyYAML's mark, which counts from 0, or the start of the file if there is none."""
    return Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)


def _build(node: yaml.Node, path: Path, document: Document) -> Any:
    where = _position(node.start_mark)
    document.values[path] = where
    if _has_tag(node, document):
        return None
    if isinstance(node, yaml.MappingNode):
        return _build_mapping(node, path, document)
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*path, index), document) for index, item in enumerate(node.value)]
    try:
        return _scalar(node.value, plain=not getattr(node, "style", None))
    except ValueError as error:
        document.problems.append((where, str(error)))
        return None


def _has_tag(node: yaml.Node, document: Document) -> bool:
    if node.tag in _PLAIN_TAGS:
        return False
    document.problems.append(
        (_position(node.start_mark), f"tags are not allowed; found {shorten(node.tag)}")
    )
    return True


def _build_mapping(node: yaml.MappingNode, path: Path, document: Document) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        where = _position(key_node.start_mark)
        if not isinstance(key_node, yaml.ScalarNode):
            document.problems.append((where, "a key must be a word"))
            continue
        if _has_tag(key_node, document):
            continue
        key = key_node.value
        if key in mapping:
            first = document.keys[(*path, key)]
            document.problems.append(
                (where, f"duplicate key {shorten(repr(key))}; the first is in line {first.line}")
            )
            continue
        document.keys[(*path, key)] = where
        mapping[key] = _build(value_node, (*path, key), document)
    return mapping


def _scalar(text: str, *, plain: bool) -> Any:
    """The value of a scalar by the core schema.

    Raises:
        ValueError: a number with absurdly many digits.
    """
    if not plain:
        return text
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if text.lower() in _SPECIAL:
        return float(_SPECIAL[text.lower()])
    if _FLOAT.fullmatch(text):
        if len(text) > _MAX_DIGITS:
            raise ValueError(f"a number may have {_MAX_DIGITS} digits; found {len(text)}")
        return int(text) if _INT.fullmatch(text) else float(text)
    return text
