"""Many image files → their digest, and one array of pixels. Threads read and decode them."""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from sweep.control_groups import available_cores, available_host_bytes
from sweep.data.image_file import Picture, decode, size_of_picture
from sweep.data.image_tree import ImageFile
from sweep.data.telling import tell
from sweep.errors import DataError
from sweep.quiet import without_warnings
from sweep.words import counted

__all__ = ["content_of", "decode_images"]

_MAX_FILE_BYTES = 256 * 2**20
_CHUNK = 16  # files per task: few enough to stop soon
_SMALL_BYTES = 8 * 2**10
_COPIES = 2  # of all pixels that are in memory at once: as read, and as split

T = TypeVar("T")


def content_of(folder: str, files: Sequence[ImageFile]) -> str:
    """SHA-256 of the names and bytes of files, in this order; DataError if one cannot be read."""
    whole = hashlib.sha256()
    digests = _for_each(lambda file: hashlib.sha256(_read(file)).hexdigest(), files, folder)
    for file, digest in zip(files, digests, strict=True):
        whole.update(os.fsencode(file.name) + f"\0{digest}\n".encode())
    return whole.hexdigest()


def decode_images(
    folder: str,
    files: Sequence[ImageFile],
    size: tuple[int, int] | None,
    channels: str | None,
) -> tuple[NDArray[np.uint8], list[str]]:
    """Decode images to one form.

    Args:
        folder: What they are called together, in messages.
        files: N of them.
        size: Height and width to which they are brought; None if all have the same.
        channels: `grey` or `colour`; if None, grey if all of them are.

    Returns:
        Pixels of shape (N, channels, height, width), and sentences on what was converted.

    Raises:
        DataError: an image cannot be decoded, sizes differ and none is given, or memory is short.
    """
    pixels = None
    sizes, converted = Counter[tuple[int, int]](), Counter[str]()
    num_grey = 0
    read = partial(_decode, size=size, grey=channels == "grey")
    with without_warnings():
        for index, picture in enumerate(_for_each(read, files, folder)):
            num_channels, *sides = picture.pixels.shape
            if channels == "colour":
                num_channels = 3
            if pixels is None:
                pixels = _allocate(folder, len(files), num_channels, *sides)
            elif pixels.shape[2:] != tuple(sides):
                _refuse_sizes(folder, files)
            elif pixels.shape[1] < num_channels:
                greys = pixels[:index]
                pixels = _allocate(folder, len(files), num_channels, *sides)
                pixels[:index] = greys
            pixels[index] = picture.pixels
            sizes[picture.size] += 1
            converted.update(picture.converted)
            num_grey += len(picture.pixels) == 1
    assert pixels is not None  # noqa: S101 - for the type checker: there are files
    notes = [f"{counted(number, 'image')} {words}" for words, number in sorted(converted.items())]
    num_resized = len(files) - sizes[size] if size else 0
    if size and num_resized:
        height, width = size
        notes.append(
            f"{counted(num_resized, 'image')} of other sizes: brought to {height} x {width}"
        )
    if num_grey and pixels.shape[1] == 3:
        notes.append(f"{counted(num_grey, 'image')} in grey: given three equal channels")
    return pixels, notes


def _for_each(
    work: Callable[[ImageFile], T], files: Sequence[ImageFile], folder: str
) -> Iterator[T]:
    """Results in the order of the files; says how far it has come."""
    chunks = [files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK)]
    # Small images spend their time in Python, where threads only wait for each other.
    is_small = sum(file.stat.st_size for file in files) < _SMALL_BYTES * len(files)
    with ThreadPoolExecutor(1 if is_small else available_cores()) as threads:
        done = 0
        for results in threads.map(lambda chunk: list(map(work, chunk)), chunks):
            yield from results
            done += len(results)
            tell(f"reading {folder}: {done:,} of {len(files):,} images", passing=True)


def _read(file: ImageFile) -> bytes:
    reason = f"it has more than {_MAX_FILE_BYTES // 2**20} MiB; make it smaller"
    if file.stat.st_size <= _MAX_FILE_BYTES:
        try:
            with open(file.path, "rb") as opened:  # noqa: PTH123 - many files
                return opened.read(_MAX_FILE_BYTES)
        except OSError as error:
            reason = str(error.strerror or error)
    raise DataError(f"cannot read the image {file.path!r}: {reason}")


def _decode(file: ImageFile, *, size: tuple[int, int] | None, grey: bool) -> Picture:
    try:
        return decode(io.BytesIO(_read(file)), size=size, grey=grey)
    except ValueError as error:
        raise DataError(f"cannot read the image {file.path!r}: {error}") from None


def _allocate(folder: str, *shape: int) -> NDArray[np.uint8]:
    """An array of shape (N, channels, height, width), if there is memory for it."""
    number, channels, height, width = shape
    needed = number * channels * height * width
    available = available_host_bytes()
    with suppress(MemoryError):
        if available is None or _COPIES * needed <= available:
            return np.empty(shape, np.uint8)
    free = "" if available is None else f", where {available / 1e9:,.1f} GB are available"
    raise DataError(
        f"{folder!r}: {counted(number, 'image')} of {height} x {width} in "
        f"{'grey' if channels == 1 else 'colour'} take {needed / 1e9:,.1f} GB, and reading them "
        f"twice as much{free}; set a smaller dataset.image_size"
    )


def _refuse_sizes(folder: str, files: Sequence[ImageFile]) -> NoReturn:
    first: dict[tuple[int, int], str] = {}
    for file in files:
        size = size_of_picture(io.BytesIO(_read(file)))
        if size is not None:
            first.setdefault(size, file.name)
    examples = [f"{name!r} has {h} x {w}" for (h, w), name in list(first.items())[:2]]
    raise DataError(
        f"{folder!r}: its images have {len(first)} sizes: {' and '.join(examples)} (height x "
        "width); set dataset.image_size: [height, width], to which all are brought"
    )
