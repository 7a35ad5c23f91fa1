"""Reading a table: what is understood, what is said about it, and what is refused."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sweep.data import table_file
from sweep.data.table_columns import is_text
from sweep.data.table_file import ReadTable, plain_columns, read_table
from sweep.errors import DataError


def read(folder: Path, content: str | bytes, **options: Any) -> ReadTable:
    path = folder / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, **options)


def values(table: ReadTable) -> dict[str, list[Any]]:
    """The columns, with None for missing values."""
    return {
        str(name): [None if pd.isna(value) else value for value in column]
        for name, column in table.rows.items()
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b\n1,x\n2.5,y\n", {"a": [1, 2.5], "b": ["x", "y"]}),
        (b"\xef\xbb\xbfa,b\r\n1,x\r\n", {"a": [1], "b": ["x"]}),
        ("a,b\r1,x\r2,y\r", {"a": [1, 2], "b": ["x", "y"]}),
        (" a , b \n 1 , x \n 2, y z\n", {"a": [1, 2], "b": ["x", "y z"]}),
        ('a,b\n1,"x\ny, z"\n2,"say ""no"""\n', {"a": [1, 2], "b": ["x\ny, z", 'say "no"']}),
        ("a,b\n\n1,x\n\n2,y\n\n", {"a": [1, 2], "b": ["x", "y"]}),
        ("a,b\n1,\n,x\n?, ?\n", {"a": [1, None, None], "b": [None, "x", None]}),
        ("a,b\n,1\n,2\n", {"a": [None, None], "b": [1, 2]}),
        ("a\n0x10\n3\n", {"a": ["0x10", "3"]}),
        ("a\n1_000\n3\n", {"a": ["1_000", "3"]}),
        ("a,b\nTRUE,true\nfalse,\n", {"a": ["TRUE", "false"], "b": ["true", None]}),
        ("a\n123456789012345678901234567890\n2\n", {"a": [123456789012345678901234567890.0, 2]}),
        ("a\n18446744073709551615\n-1\n", {"a": [18446744073709551615.0, -1]}),
        ("1,2,class\n3,4,x\n", {"1": [3], "2": [4], "class": ["x"]}),
        ("ä,b\né,1\n", {"ä": ["é"], "b": [1]}),
    ],
)
def test_what_is_understood_without_a_word(tmp_path, content, expected):
    table = read(tmp_path, content)
    assert values(table) == expected
    assert table.notes == ()


@pytest.mark.parametrize(
    ("content", "expected", "notes"),
    [
        (
            "a;b\n1,5;x\n2;y\n",
            {"a": [1.5, 2], "b": ["x", "y"]},
            ["columns are separated by semicolons.", "column 'a' has decimal commas."],
        ),
        (
            "a;b;c\n0,712;1,500;1.5\n3,174;2;12\n",
            {"a": [0.712, 3.174], "b": [1.5, 2], "c": [1.5, 12]},
            [
                "columns are separated by semicolons.",
                "column 'a' has decimal commas.",
                "column 'b' has decimal commas.",
            ],
        ),
        (
            "a,b\n" + "1.5,x\n" * 9 + "n/k,x\n",
            {"a": ["1.5"] * 9 + ["n/k"], "b": ["x"] * 10},
            [
                "column 'a' holds numbers, and 'n/k' in 1 row, so it is taken as text: as "
                "categories; empty cells would leave it one of numbers."
            ],
        ),
        ("a\tb\n1\tx, y\n", {"a": [1], "b": ["x, y"]}, ["columns are separated by tabs."]),
        (
            "a,b\n1,NA\nNA,x\nnull,y\n",
            {"a": [1, None, None], "b": ["NA", "x", "y"]},
            ["column 'a' has 'NA', 'null' in 2 rows, which is taken as missing."],
        ),
        (
            "a\n2020-01-31\n2021-12-01T10:00\n",
            {"a": ["2020-01-31", "2021-12-01T10:00"]},
            ["column 'a' holds dates, which are taken as text: as categories."],
        ),
    ],
)
def test_what_is_converted_and_said(tmp_path, content, expected, notes):
    table = read(tmp_path, content)
    assert values(table) == expected
    assert list(table.notes) == [f"Table 't.csv': {note}" for note in notes]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "t.csv' is empty"),
        ("\n \n", "line 1 of table .*t.csv' is blank, and must name the columns"),
        ("a,b\n", "has a header and no rows"),
        ("a,b\n1,2\n3\n", "has 1 value in line 3, and 2 columns"),
        ('a,b\n"x\ny",2\n3,4,5\n', "has 3 values in line 4, and 2 columns"),
        ("a,b\n1,2,\n", "has 3 values in line 2, and 2 columns; a value that contains ',' must be"),
        ("a,b,a\n1,2,3\n", "line 1 of table .* names 'a' more than once"),
        (",a\n0,1\n", "has no name for column 1; name it .*index=False"),
        ("1,2.5,-3\n4,5,6\n", "line 1 of table .* is a row of numbers, and must name the columns"),
        (b"a,b\n1,\x00\n", "has a NUL byte in line 2: it is damaged, or not CSV"),
        (b"a,b\n1,caf\xe9\n", "is not UTF-8: line 2 has the byte 0xe9; save it as UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        (b"PK\x03\x04...", "is a spreadsheet or an archive, not CSV"),
        (b"\x89PNG\r\n\x1a\n", "is not UTF-8: line 1 has the byte 0x89"),
        ('a,b\n1,"2\n3,4\n', "cannot be read as CSV from line 2 on: .*is a quote not closed"),
        ("a;b\n1,500;2\n3;4\n", "column 'a' .* has '1,500', which can be read in two ways"),
        ('a,b\n"1,500,000",2\n', "has '1,500,000', which can be read in two ways"),
        ("a;b\n1.500;0,5\n616;2\n", "column 'a' .* has '1.500', which can be read in two ways"),
        ("a;b\n0,5;2\n1,500,000;3\n", "has '1,500,000', which can be read in two ways"),
        (
            "a,b\n1,2\ninf,-inf\n",
            "column 'a' .* has inf in row 1, counted from 0: numbers must be finite",
        ),
        (
            "a\n1e39\n-1e300\n",
            "has 1e.39 in row 0, counted from 0, and 1 more like it: .*32-bit floats, 3.4e38",
        ),
    ],
)
def test_what_is_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as refused:
        read(tmp_path, content)
    assert "\n" not in str(refused.value)


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"none.csv' cannot be read: No such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_table(tmp_path)
    monkeypatch.setattr(table_file, "available_host_bytes", lambda: 10)
    with pytest.raises(DataError, match="read whole: that takes about 5 times as much memory"):
        read(tmp_path, "a,b\n1,2\n")


def test_a_column_is_read_as_text_where_that_is_asked_for(tmp_path):
    assert values(read(tmp_path, "a,b\n007,007\nTrue,1\n", texts=["a", "other"])) == {
        "a": ["007", "True"],
        "b": [7, 1],
    }


def test_other_columns_are_left_as_they_are_where_that_is_asked_for(tmp_path):
    text = 'a,b,c\n"1,500",inf,"0,5"\n'
    with pytest.raises(DataError, match="column 'b' of"):
        read(tmp_path, text)
    found = read(tmp_path, text, numbers=["c"], others=False)
    assert values(found) == {"a": ["1,500"], "b": ["inf"], "c": [0.5]}


def test_columns_may_have_numbers_for_names_that_are_known(tmp_path):
    with pytest.raises(DataError, match="is a row of numbers, and must name the columns"):
        read(tmp_path, "0,1\n7,8\n", numbers=["2"])
    assert values(read(tmp_path, "0,1\n7,8\n", numbers=["1"])) == {"0": [7], "1": [8]}


def test_the_digest_is_of_the_bytes(tmp_path):
    one, other = read(tmp_path, "a\n1\n"), read(tmp_path, "a\n1\n\n")
    assert one.digest != other.digest
    assert one.digest == read(tmp_path, "a\n1\n").digest


def test_columns_of_a_parquet_file_become_numbers_and_text():
    rows = pd.DataFrame(
        {
            "whole": [1, 2],
            "nullable": pd.array([1, None], "Int64"),
            "truth": [True, False],
            "kind": pd.Categorical(["x", None]),
            "exact": [Decimal("1.5"), None],
            "day": pd.to_datetime(["2020-01-31", None]),
            "text": ["x", None],
            7: [0.5, np.nan],
        },
        index=pd.Index([10, 20], name="key"),
    )
    plain, _ = plain_columns(rows, "t")
    assert plain.to_dict("list").keys() == {"key", *map(str, rows)}
    assert plain["key"].tolist() == [10, 20]
    assert plain["nullable"].tolist()[0] == plain["whole"].tolist()[0] == 1
    assert math.isnan(plain["nullable"][1])
    assert plain["truth"].tolist() == ["True", "False"]
    assert plain["exact"][0] == 1.5
    assert plain["day"].tolist()[0] == "2020-01-31"
    for name in ("kind", "day", "text"):
        assert is_text(plain[name])
        assert plain[name].isna().tolist() == [False, True]


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, b"x"])
def test_columns_of_other_things_are_refused(value):
    with pytest.raises(DataError, match=r"column 'a' of t holds values of type .*, neither"):
        plain_columns(pd.DataFrame({"a": [value, None]}), "t")
    with pytest.raises(DataError, match="complex numbers"):
        plain_columns(pd.DataFrame({"a": [1j]}), "t")


def test_parquet(tmp_path):
    path = tmp_path / "t.parquet"
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        path.write_bytes(b"PAR1")
        with pytest.raises(DataError, match=r"needs pyarrow: pip install 'sweep\[parquet\]'"):
            read_table(path)
        return
    pd.DataFrame({"a": [1, 2], "b": ["x", None]}).to_parquet(path)
    assert values(read_table(path)) == {"a": [1, 2], "b": ["x", None]}
    path.write_bytes(b"PAR1")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_table(path)


def test_a_column_of_numbers_may_have_none_in_another_file(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\nNA,NA\nNA,x\n")
    rows = read_table(path, texts=["b"], numbers=["a"]).rows
    assert rows["a"].isna().all()
    assert not is_text(rows["a"])
    assert rows["b"].tolist() == ["NA", "x"]
    assert is_text(read_table(path).rows["a"])


def test_numbers_with_signs_that_are_not_read_are_said(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('a,b\n99,5\n"12,345.67",5%\n"1,000.00",7.5%\n')
    read = read_table(path)
    assert all(is_text(read.rows[name]) for name in "ab")
    assert read.notes == (
        "Table 't.csv': column 'a' holds numbers with other signs, such as '12,345.67', which are "
        "taken as text: as categories.",
        "Table 't.csv': column 'b' holds numbers with other signs, such as '5%', which are taken "
        "as text: as categories.",
    )


def test_bars_separate_columns_too(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a|b\n1|x\n2|y\n")
    read = read_table(path)
    assert read.rows["a"].tolist() == [1, 2]
    assert read.notes == ("Table 't.csv': columns are separated by bars.",)
