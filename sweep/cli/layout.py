"""Text and tables in the room that a terminal has.

A line that is too long is wrapped between words. A table has one line for each row: what has no
room is left out, whole columns at a time, and said. Widths are in columns of the display, of which
some characters take two and some none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TextIO

from sweep.words import printable

__all__ = ["Block", "Entries", "Table", "laid_out", "left_out_words", "room", "wrapped"]

_GAP = "  "
_GOES_ON = " \\"  # how a shell reads a command of two lines
_USUAL_COLUMNS = 80  # of a terminal that does not know
# A command in backticks or after `next: ` is one word, since it is there to be copied.
_WORD = re.compile(r"(?<=ext: )sweep .+|(?:`[^`]+`|\S)+")


def room(stream: TextIO) -> int | None:
    """The columns of $COLUMNS, or else of the terminal; None if the stream is a pipe or a file."""
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    try:
        return os.get_terminal_size(stream.fileno()).columns or _USUAL_COLUMNS
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a heading, of which the columns that matter least may be left out.

    Attributes:
        heading: A name for each column.
        rows: Their cells.
        worth: Names of columns, the most important one first; the others follow in their order.
        num_kept: How many of them are never left out.
    """

    heading: Sequence[str]
    rows: Sequence[Sequence[str]]
    worth: Sequence[str] = ()
    num_kept: int = 1

    def lines(self, width: int | None) -> list[str]:
        """A line for each row, and what is left out."""
        lines, left_out = self.fitted(width)
        return lines + (wrapped(left_out_words(left_out), width) if left_out else [])

    def fitted(self, width: int | None) -> tuple[list[str], list[str]]:
        """The heading and a line for each row, and the names of the columns that have no room."""
        cells = [[_cell(text) for text in row] for row in (self.heading, *self.rows)]
        sizes = [max(map(_size, column)) for column in zip(*cells, strict=True)]
        order = sorted(range(len(sizes)), key=self._rank)
        num_shown = len(order)
        if width is not None:
            ends = accumulate(sizes[place] + len(_GAP) for place in order)
            num_shown = max(self.num_kept, sum(end - len(_GAP) <= width for end in ends))
        shown = sorted(order[:num_shown])
        shown_sizes = [sizes[place] for place in shown]
        lines = [_joined([row[place] for place in shown], shown_sizes) for row in cells]
        if width is not None:
            lines = [_cut(line, width) for line in lines]
        return lines, [cells[0][place] for place in sorted(order[num_shown:])]

    def _rank(self, place: int) -> int:
        name = self.heading[place]
        return self.worth.index(name) if name in self.worth else len(self.worth)


@dataclass(frozen=True, slots=True)
class Entries:
    """Aligned rows without a heading: a name, and what is said of it, wrapped if it is long."""

    rows: Sequence[Sequence[str]]

    def lines(self, width: int | None) -> list[str]:
        """The rows."""
        cells = [[_cell(text) for text in row] for row in self.rows]
        sizes = [max(map(_size, column)) for column in zip(*cells, strict=True)]
        lines = []
        for row in cells:
            line = _joined(row, sizes)
            if width is None or _size(line) <= width:
                lines.append(line)
            else:
                lines += wrapped(_GAP.join(row[1:]), width, _padded(row[0], sizes[0]) + _GAP)
        return lines


Block = str | Table | Entries
"""A part of a text: words, or what is aligned."""


def laid_out(blocks: Iterable[Block], width: int | None) -> str:
    """A text that a terminal cannot obey, in lines of at most `width` columns.

    Where that is None, nothing is wrapped or left out.
    """
    return "\n".join(line for block in blocks for line in _lines(block, width))


def _lines(block: Block, width: int | None) -> Iterator[str]:
    if not isinstance(block, str):
        yield from block.lines(width)
        return
    for line in printable(block).split("\n"):
        yield from wrapped(line, width)


def left_out_words(names: Sequence[str]) -> str:
    """What a table does not show."""
    return f"not shown for want of room: {', '.join(names)}"


def wrapped(text: str, width: int | None, name: str = "") -> list[str]:
    """A line broken between words, whose other lines hang below the words after `name`.

    Without a name, or where that takes more than half the room, they are indented a little.
    """
    if width is None or _size(name + text.expandtabs()) <= width:
        return [(name + text).rstrip()]
    text = text.expandtabs()
    if 2 * _size(name) > width:
        name, text = "", f"{name.rstrip()}: {text}"
    start = name or text[: len(text) - len(text.lstrip())][: width // 2]
    hang = _size(name) or min(len(start) + len(_GAP), width // 2)
    room = width - hang
    first, *others = _filled(_words(text, room), room) or [""]
    return [start + first, *(" " * hang + line for line in others)]


def _words(text: str, room: int) -> Iterator[str]:
    """What is not broken: each has at most `room` columns."""
    for match in _WORD.finditer(text):
        if _size(match[0]) <= room:
            yield match[0]
            continue
        *parts, last = match[0].split()
        if not parts:
            yield from _chopped(last, room)
            continue
        within = room - len(_GOES_ON)
        pieces = (piece for part in (*parts, last) for piece in _chopped(part, within))
        *lines, last = _filled(pieces, within)
        yield from (line + _GOES_ON for line in lines)
        yield last


def _filled(words: Iterable[str], room: int) -> list[str]:
    """Lines of as many words as have room in each."""
    lines: list[str] = []
    for word in words:
        if lines and _size(f"{lines[-1]} {word}") <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _joined(cells: Sequence[str], sizes: Sequence[int]) -> str:
    return _GAP.join(map(_padded, cells, sizes)).rstrip()


def _padded(text: str, size: int) -> str:
    return text + " " * (size - _size(text))


def _cell(text: str) -> str:
    """In one line, whatever a store holds."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def _size(text: str) -> int:
    """The columns that a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # not for `--help`, which answers at once

    return cell_len(text)


def _cut(text: str, width: int) -> str:
    if _size(text) <= width:
        return text
    from rich.cells import set_cell_size

    return set_cell_size(text, width - 1) + "…"


def _chopped(word: str, room: int) -> list[str]:
    """A word, in pieces if it has no room."""
    if _size(word) <= room:
        return [word]
    from rich.cells import chop_cells

    return chop_cells(word, max(room, 1))
