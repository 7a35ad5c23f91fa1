"""Text and tables at every width: nothing is wider, and what is left out is said."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sweep.cli.layout import Entries, Table, laid_out, room

WIDTHS = st.integers(6, 100)
TEXTS = st.text(st.sampled_from("ab ,`\n\t\x1b研究é\u0301"), max_size=120)
CELLS = st.text(st.sampled_from("ab0 \n\x1b研\u0301"), max_size=30)


def letters(text: str) -> str:
    return "".join(text.replace(" \\\n", "").split())


@given(TEXTS, WIDTHS)
def test_no_line_is_wider_and_nothing_is_lost(text, width):
    shown = laid_out([text], width)
    assert all(cell_len(line) <= width for line in shown.split("\n"))
    assert letters(shown) == letters(laid_out([text], None))


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=4), WIDTHS)
def test_entries_are_wrapped_and_nothing_is_lost(rows, width):
    shown = laid_out([Entries(rows)], width)
    assert all(cell_len(line) <= width for line in shown.split("\n"))
    found = letters(shown).replace(":", "")  # between a name and what is said, on a narrow terminal
    assert found == letters(laid_out([Entries(rows)], None))


@st.composite
def tables(draw: st.DrawFn) -> Table:
    names = draw(st.lists(CELLS, min_size=1, max_size=6, unique=True))
    row = st.lists(CELLS, min_size=len(names), max_size=len(names))
    rows = draw(st.lists(row, max_size=4))
    worth = draw(st.permutations(names))
    return Table(names, rows, worth, draw(st.integers(1, len(names))))


@given(tables(), WIDTHS)
def test_a_table_leaves_out_what_matters_least_and_says_so(table, width):
    lines, left_out = table.fitted(width)
    assert len(lines) == 1 + len(table.rows)
    assert all(cell_len(line) <= width for line in lines)
    whole, nothing = table.fitted(None)
    assert nothing == []
    assert len(left_out) <= len(table.heading) - table.num_kept
    if not left_out and all(cell_len(line) <= width for line in whole):
        assert lines == whole
    said = laid_out([table], width).split("\n")[len(lines) :]
    assert all(cell_len(line) <= width for line in said)
    names = letters(f"not shown for want of room: {', '.join(left_out)}") if left_out else ""
    assert letters("\n".join(said)) == names


def test_columns_go_in_order_of_their_worth():
    table = Table(
        ["rank", "trial", "value", "epochs", "depth"],
        [["1", "12", "98.49%", "20", "4"], ["2", "7", "98.40%", "15", "3"]],
        worth=["trial", "epochs", "value", "depth"],
        num_kept=2,
    )
    assert laid_out([table], 35).splitlines() == [
        "rank  trial  value   epochs  depth",
        "1     12     98.49%  20      4",
        "2     7      98.40%  15      3",
    ]
    assert table.fitted(33)[1] == ["rank"]
    assert table.fitted(27)[1] == ["rank", "depth"]
    assert laid_out([table], 20).splitlines() == [
        "trial  epochs",
        "12     20",
        "7      15",
        "not shown for want",
        "  of room: rank,",
        "  value, depth",
    ]
    assert table.fitted(9)[0] == ["trial  e…", "12     20", "7      15"]


def test_characters_of_two_columns_are_aligned_and_counted():
    table = Table(["study", "best"], [["研究", "98%"], ["digits", "97%"]])
    assert laid_out([table], 12).splitlines() == ["study   best", "研究    98%", "digits  97%"]
    assert table.fitted(11)[1] == ["best"]
    assert laid_out(["研究 研究 研究"], 9).splitlines() == ["研究", "  研究", "  研究"]


def test_sentences_hang_below_their_beginning_and_entries_below_what_is_said():
    rows = [("  optimism", "the value of the best against its mean"), ("  cost", "398 epochs")]
    assert laid_out(["  what to do: nothing, if they are not needed", Entries(rows)], 30) == (
        "  what to do: nothing, if\n"
        "    they are not needed\n"
        "  optimism  the value of the\n"
        "            best against its\n"
        "            mean\n"
        "  cost      398 epochs"
    )
    assert laid_out([Entries(rows)], 20).splitlines() == [
        "  optimism: the",
        "    value of the",
        "    best against its",
        "    mean",
        "  cost: 398 epochs",
    ]


@pytest.mark.parametrize("before", ["continue with `{}`", "next: {}"])
def test_a_command_can_be_copied(before):
    command = "sweep resume small --storage sqlite:////somewhere/studies.db"
    whole = laid_out([before.format(command)], 64)
    assert command in whole
    assert "\n" in whole
    broken = laid_out([before.format(command)], 40)
    assert all(len(line) <= 40 for line in broken.splitlines())
    found = broken[broken.index("sweep") :].rstrip("`")
    assert " \\\n" in found
    assert found.replace("\\\n", "").split() == command.split()


def test_where_there_is_no_bound_everything_is_whole():
    table = Table(["a" * 200, "b" * 200], [["1", "2"]])
    text = laid_out(["word " * 100, table, Entries([("x", "word " * 100)])], None)
    assert len(text.splitlines()) == 4
    assert text.splitlines()[1] == "a" * 200 + "  " + "b" * 200


# ---------------------------------------------------------------- whose width it is


@pytest.fixture
def terminal():
    ours, theirs = pty.openpty()
    with open(theirs, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor
        yield stream
    os.close(ours)


def resize(stream: io.TextIOBase, columns: int) -> None:
    fcntl.ioctl(stream.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


def test_a_terminal_has_its_own_width(monkeypatch, terminal):
    monkeypatch.delenv("COLUMNS", raising=False)
    resize(terminal, 66)
    assert room(terminal) == 66
    resize(terminal, 0)  # as in some containers
    assert room(terminal) == 80


def test_a_pipe_and_a_file_have_no_bound_unless_it_is_given(monkeypatch, tmp_path):
    monkeypatch.delenv("COLUMNS", raising=False)
    read, write = os.pipe()
    os.close(read)
    with open(write, "w", encoding="utf-8") as pipe, (tmp_path / "log").open("w") as log:  # noqa: PTH123
        for stream in (pipe, log, io.StringIO()):
            assert room(stream) is None
        monkeypatch.setenv("COLUMNS", "50")
        assert room(log) == 50
        for strange in ("", "0", "wide", "-1"):
            monkeypatch.setenv("COLUMNS", strange)
            assert room(log) is None
