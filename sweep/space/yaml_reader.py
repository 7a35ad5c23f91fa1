"""YAML 1.2 text → plain data and the position of every key and value, from PyYAML's parser.

PyYAML's own constructor would read `1e-5` as text and `no` as false, accept duplicate keys, and
follow aliases without a limit.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from sweep.space.base import shorten, text_number

__all__ = ["Document", "Path", "Position", "read_yaml"]

MAX_DEPTH = 12
MAX_NODES = 40_000  # keys, values and lists

Path = tuple[str | int, ...]
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_WORDS = {
    form: value
    for word, value in {"null": None, "true": True, "false": False}.items()
    for form in (word, word.title(), word.upper())
} | {"": None, "~": None}
# https://yaml.org/spec/1.2.2/#51-character-set
_NOT_ALLOWED = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_BREAK = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")
_UNUSABLE = -1  # in a path: a key that cannot be used


class Position(NamedTuple):
    """A place in a file; line and column count from 1."""

    line: int
    column: int


_START = Position(1, 1)


@dataclass(slots=True)
class Document:
    """A YAML document, the positions in it by path, and what is wrong with the YAML itself."""

    data: Any = None  # also if it is unreadable
    keys: dict[Path, Position] = field(default_factory=dict)
    values: dict[Path, Position] = field(default_factory=dict)
    problems: list[tuple[Position, str]] = field(default_factory=list)
    from_python: bool = False  # and not YAML: there are no positions

    def position(self, path: Path, *, of_key: bool = False) -> Position:
        """The position of a path, or of its longest prefix that is in the file."""
        places = self.keys if of_key else self.values
        for end in range(len(path), 0, -1):
            if path[:end] in places:
                return places[path[:end]]
        return _START


class _UnreadableError(Exception):
    """Reading stops here, at a position with a message."""


def read_yaml(text: bytes) -> Document:
    """Read one YAML document from the bytes of a file."""
    document = Document()
    try:
        document.data = _Reader(_decode(text), document).read()
    except _UnreadableError as error:
        document.problems.append(error.args)
    except yaml.MarkedYAMLError as error:
        where = _position(error.problem_mark or error.context_mark)
        document.problems.append((where, f"is not YAML: {error.problem or error.context}"))
    except yaml.YAMLError as error:
        document.problems.append((_START, f"is not YAML: {str(error).splitlines()[0]}"))
    return document


def _decode(text: bytes) -> str:
    text = text.removeprefix(codecs.BOM_UTF8)
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        where = _end(text[: error.start].decode())
        message = f"must be text in UTF-8; found byte 0x{text[error.start]:02x}"
        raise _UnreadableError(where, message) from None
    if wrong := _NOT_ALLOWED.search(decoded):
        where = _end(decoded[: wrong.start()])
        message = f"is not YAML: the character U+{ord(wrong[0]):04X} is not allowed"
        raise _UnreadableError(where, message)
    return decoded


def _end(text: str) -> Position:
    """The position right after a text."""
    lines = _LINE_BREAK.split(text)
    return Position(len(lines), len(lines[-1]) + 1)


def _position(mark: Any) -> Position:
    """PyYAML's mark, which counts from 0, or the start of the file if there is none."""
    return Position(mark.line + 1, mark.column + 1) if mark else _START


class _Reader:
    """Turns the parser's events into data."""

    def __init__(self, text: str, document: Document) -> None:
        self._events = yaml.parse(text, Loader=_Loader)
        self._document = document
        self._problems = document.problems
        self._num_nodes = 0

    def read(self) -> Any:
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise _UnreadableError(
                _START, "the file is empty; a search space needs at least name and dataset"
            )
        data = self._value(next(self._events), ())
        next(self._events)  # the end of the document
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            where = _position(after.start_mark)
            raise _UnreadableError(where, "is not YAML: found another document")
        return data

    def _value(self, event: Any, path: Path) -> Any:
        where = self._document.values[path] = _position(event.start_mark)
        self._check(event, where)
        if isinstance(event, yaml.AliasEvent):
            return None
        if isinstance(event, yaml.ScalarEvent):
            return event.value if event.style else self._plain(event.value, where)
        if len(path) >= MAX_DEPTH:
            raise _UnreadableError(where, f"is nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.SequenceStartEvent):
            items = enumerate(self._until_end())
            return [self._value(item, (*path, index)) for index, item in items]
        mapping: dict[str, Any] = {}
        for inner in self._until_end():
            key = self._key(inner, path, mapping)
            value = self._value(next(self._events), (*path, _UNUSABLE if key is None else key))
            if key is not None:
                mapping[key] = value
        return mapping

    def _until_end(self) -> Iterator[Any]:
        """The first event of each entry; the caller must read an entry's other events."""
        while not isinstance(event := next(self._events), yaml.CollectionEndEvent):
            yield event

    def _check(self, event: Any, where: Position) -> bool:
        """Count a node and report its alias, anchor or tag; True if it has no tag."""
        self._num_nodes += 1
        if self._num_nodes > MAX_NODES:
            raise _UnreadableError(where, f"has more than {MAX_NODES:,} keys and values")
        if isinstance(event, yaml.AliasEvent):
            self._problems.append((where, f"aliases are not allowed; found *{event.anchor}"))
            return True
        if event.anchor is not None:
            self._problems.append((where, f"anchors are not allowed; found &{event.anchor}"))
        if event.tag is not None:
            self._problems.append((where, f"tags are not allowed; found {shorten(event.tag)}"))
        return event.tag is None

    def _key(self, event: Any, path: Path, mapping: dict[str, Any]) -> str | None:
        """A new key of a mapping; None if it is unusable."""
        where = _position(event.start_mark)
        if not isinstance(event, yaml.ScalarEvent):
            self._value(event, (*path, _UNUSABLE))
            self._problems.append((where, "a key must be a word"))
            return None
        if not self._check(event, where):
            return None
        key: str = event.value
        if key in mapping:
            first = self._document.keys[(*path, key)]
            self._problems.append(
                (where, f"duplicate key {shorten(repr(key))}; the first is in line {first.line}")
            )
            return None
        self._document.keys[(*path, key)] = where
        return key

    def _plain(self, text: str, where: Position) -> Any:
        """The value of an unquoted scalar by the core schema."""
        if text in _WORDS:
            return _WORDS[text]
        try:
            number = text_number(text)
        except ValueError as error:
            self._problems.append((where, str(error)))
            return None
        return text if number is None else number
