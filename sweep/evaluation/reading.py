"""What `predict` reads besides pictures: folders, tables, and arrays."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sweep.data import TrainingData
from sweep.data.arrays import read_inputs
from sweep.data.telling import tell
from sweep.errors import DataError, InputError

__all__ = ["ARRAYS", "files_below", "read_rows"]

ARRAYS = (".npy", ".npz")


def files_below(paths: Sequence[str]) -> Iterator[str]:
    """The files, and in place of a folder those below it, in the order of their names.

    Hidden ones, which begin with a dot, are left out. All others are meant: none is skipped for its
    name.

    Raises:
        InputError: a folder has no file, cannot be listed, or has a link to another folder.
    """
    for path in paths:
        if not os.path.isdir(path):  # noqa: PTH112 - that of `Path` may raise
            yield path
            continue
        found = sorted(_visible(path))
        if not found:
            raise InputError(f"the folder {path!r} has no files to predict")
        yield from found


def _visible(folder: str) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise InputError(f"cannot list the folder {error.filename!r}: {error.strerror}")

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in folders:
            if Path(place, name).is_symlink():
                raise InputError(
                    f"{str(Path(place, name))!r} is a link to a folder; name that folder itself"
                )
        yield from (str(Path(place, name)) for name in names if not name.startswith("."))


def read_rows(file: str, data: TrainingData) -> NDArray[Any] | None:
    """The rows of a table, or the examples of a file of arrays, as the network takes them.

    Returns:
        Shape (N, *input_shape); None if the file can only be a picture.

    Raises:
        DataError: the file cannot be read, or lacks what the network was trained on.
    """
    if data.encoder is not None:
        from sweep.data.table_file import read_table  # pandas takes half a second

        encoder = data.encoder
        rows = read_table(file, texts=encoder.texts, numbers=encoder.numbers, others=False).rows
        try:
            encoded = encoder.transform(rows)
        except DataError as error:
            raise DataError(f"cannot predict {file!r}: {error}") from None
        for note in encoder.unseen(rows):
            tell(f"{file}: {note}")
        return encoded
    if file.lower().endswith(ARRAYS):
        if not os.path.isfile(file):  # noqa: PTH113 - that of `Path` may raise
            raise InputError(f"cannot read the arrays {file!r}: there is no such file")
        return read_inputs(Path(file), data.spec)
    if data.spec.kind != "image":
        raise InputError(
            f"cannot predict {file!r}: the network was trained on arrays of rows; give an .npy "
            "file, or an .npz file with x"
        )
    return None
