"""IDX files: good ones are read, damaged ones are named."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import idx_bytes

from sweep.data.sources.mnist_family import find_idx, read_idx
from sweep.errors import DataError

ARRAYS = [
    np.arange(7, dtype=np.uint8),
    np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4),
]


@pytest.mark.parametrize("array", ARRAYS, ids=["labels", "images"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_what_was_written_is_read(tmp_path, array, suffix):
    path = tmp_path / f"file-ubyte{suffix}"
    raw = idx_bytes(array)
    path.write_bytes(gzip.compress(raw) if suffix else raw)
    read = read_idx(path)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "is not an IDX file"),
        (b"\0\0", "is not an IDX file"),
        (b"PK\3\4 something else", "is not an IDX file"),
        (b"\0\0\x0d" + idx_bytes(ARRAYS[0])[3:], "is not an IDX file"),
        (b"\0\0\x08\x09" + idx_bytes(ARRAYS[0])[4:], "is not an IDX file"),
        (idx_bytes(ARRAYS[1])[:-1], "is damaged: its header promises 24 bytes, found 23"),
        (idx_bytes(ARRAYS[1]) + b"x", "is damaged: its header promises 24 bytes, found more"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "is damaged: its header promises"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, raw, reason):
    path = tmp_path / "file-ubyte"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}: {reason}.*delete"):
        read_idx(path)


@pytest.mark.parametrize(
    "raw",
    [
        b"not gzip at all",
        gzip.compress(idx_bytes(ARRAYS[1]))[:-9],
        gzip.compress(idx_bytes(ARRAYS[1]))[:20] + b"\xff" * 20,
    ],
    ids=["other format", "cut off", "overwritten"],
)
def test_a_damaged_archive_is_named(tmp_path, raw):
    path = tmp_path / "file-ubyte.gz"
    path.write_bytes(raw)
    # Overwritten bytes may still unpack: to a header that promises terabytes, for one.
    rule = "(cannot be read: |is damaged: its header promises).*delete"
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}: {rule}"):
        read_idx(path)


def test_the_plain_file_is_preferred_and_a_missing_one_is_none(tmp_path: Path):
    assert find_idx(tmp_path, "a") is None
    (tmp_path / "a.gz").touch()
    assert find_idx(tmp_path, "a") == tmp_path / "a.gz"
    (tmp_path / "a").touch()
    assert find_idx(tmp_path, "a") == tmp_path / "a"
