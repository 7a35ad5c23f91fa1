"""Files of the built-in data sets: downloaded whole, verified, and of the promised size."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sweep.data.parts import Part
from sweep.errors import DataError
from sweep.records import DataSpec

__all__ = [
    "MAX_BYTES",
    "PARTS",
    "PartName",
    "built_in_part",
    "download",
    "missing",
    "read_verified",
]

MAX_BYTES = 2**28  # half as much again as the largest file

PartName = Literal["pool", "test"]
PARTS: tuple[PartName, ...] = ("pool", "test")

_log = logging.getLogger(__name__)


def download(title: str, data_dir: Path, folder: Path, fetch: Callable[[str], object]) -> None:
    """Download a data set beside its place, then move it: no file is there in part.

    Args:
        title: What the data set is called.
        data_dir: Folder of local data sets; it is made if it is missing.
        folder: Below `data_dir`, where the files belong.
        fetch: Downloads to such a data directory, with torchvision's URLs and MD5 sums.

    Raises:
        DataError: it cannot be downloaded; nothing was created.
    """
    _log.info("downloading %s to %s", title, data_dir)
    made = next(
        (each for each in reversed([data_dir, *data_dir.parents]) if not each.exists()), None
    )
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=data_dir) as temporary:
            with _silence():
                fetch(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            for file in (Path(temporary) / folder.relative_to(data_dir)).iterdir():
                file.replace(folder / file.name)
    except (OSError, RuntimeError) as error:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
        lines = str(error).strip().splitlines() or [repr(error)]
        raise missing(title, folder, lines[0].rstrip(":")) from None


def missing(title: str, folder: Path, reason: str) -> DataError:
    """The error of a data set that is not there and cannot be downloaded."""
    return DataError(
        f"{title} is neither under {str(folder)!r} nor could it be downloaded ({reason}); name "
        "its place with --data-dir, or start with search_spaces/digits.yaml, which needs no "
        "download"
    )


@contextmanager
def _silence() -> Iterator[None]:
    """Keep torchvision's progress bars off the console."""
    with (
        open(os.devnull, "w") as nowhere,  # noqa: PTH123 - a device, not a file
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def read_verified(path: Path, md5: str) -> bytes:
    """The content of a file; `DataError` if it cannot be read or has another MD5 sum."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror}; delete the file to download it again"
        ) from None
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataError(
            f"{path}: is damaged: its MD5 sum must be {md5}; found {found}; delete it to download "
            "it again"
        )
    return content


def built_in_part(
    spec: DataSpec,
    part: PartName,
    images: NDArray[Any],
    labels: NDArray[Any],
    *,
    image_path: Path,
    label_path: Path,
    first_label: int = 0,
) -> Part:
    """A part of a built-in data set, once its size and labels are those of its spec.

    Args:
        spec: Of the data set.
        part: Which part it is.
        images: Shape (N, *spec.input_shape), uint8.
        labels: Shape (N,), counted from `first_label`.
        image_path: Where the images were read, for messages.
        label_path: Where the labels were.
        first_label: The label of the first class.

    Raises:
        DataError: they are not.
    """
    expected = spec.num_test if part == "test" else spec.num_pool
    if images.shape != (expected, *spec.input_shape) or images.dtype != np.uint8:
        size = [side for side in spec.input_shape if side > 1]
        raise DataError(
            f"{image_path}: must hold {expected:,} images of {' x '.join(map(str, size))} bytes; "
            f"found {images.dtype} of shape {images.shape}"
        )
    if labels.shape != (expected,):
        raise DataError(f"{label_path}: must hold {expected:,} labels; found shape {labels.shape}")
    last = first_label + spec.num_classes - 1
    strange = labels[(labels < first_label) | (labels > last)]
    if len(strange):
        raise DataError(
            f"{label_path}: labels must be from {first_label} to {last}; found {strange[0]}"
        )
    return Part(np.ascontiguousarray(images), labels.astype(np.int64) - first_label)
