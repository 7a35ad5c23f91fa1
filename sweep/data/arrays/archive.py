"""`.npy` and `.npz` files, which may be a stranger's: nothing in them is run or trusted.

An `.npz` file is a zip archive of `.npy` files. All headers are read before any array is, so that
a small file cannot fill the memory.
"""

from __future__ import annotations

import hashlib
import math
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from sweep.control_groups import available_host_bytes
from sweep.errors import DataError

__all__ = [
    "content_of",
    "has_content",
    "is_npy",
    "names_in",
    "read_npy",
    "read_npz",
    "write_arrays",
]

_ENDING = ".npy"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what NumPy writes
_MOST_PACKED = 1100  # deflate makes nothing smaller than a 1,032nd
# What reading an archive can raise; a wrong password is a RuntimeError.
_DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError)


def is_npy(path: Path) -> bool:
    """Whether a file is one array rather than an archive; `DataError` if it cannot be read."""
    with _opened(path) as file:
        return file.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX


def read_npy(path: Path) -> NDArray[Any]:
    """The array of an `.npy` file; `DataError` if it cannot be read or holds objects."""
    with _opened(path) as file, _explained(path):
        size = path.stat().st_size
        num_bytes = _array_bytes(file, size, str(path))
        _require_memory(num_bytes, path)
        file.seek(0)
        return _read(file)


def names_in(path: Path) -> list[str]:
    """Names of the arrays in an `.npz` file; `DataError` if it is none."""
    with _archive(path) as archive:
        return list(_members(archive, path))


def read_npz(path: Path, names: Collection[str]) -> dict[str, NDArray[Any]]:
    """Arrays of an `.npz` file.

    Raises `DataError` if it is damaged, too large for the memory, or holds objects.
    """
    with _archive(path) as archive:
        members = _members(archive, path)
        total = 0
        for name in names:
            member = members[name]
            where = f"{path}: {name}"
            _require_plausible(member, where)
            with archive.open(member) as file:
                total += _array_bytes(file, member.file_size, where)
        _require_memory(total, path)
        arrays = {}
        for name in names:
            with archive.open(members[name]) as file:
                arrays[name] = _read(file)
                file.read(1)  # the checksum is compared at the end
        return arrays


def write_arrays(file: IO[bytes], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an `.npz` file, uncompressed; equal arrays make equal files."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            # Without this NumPy's arrays of over 2 GiB do not fit.
            with archive.open(zipfile.ZipInfo(name + _ENDING), "w", force_zip64=True) as member:
                npy.write_array(member, array, allow_pickle=False)


def content_of(arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of names, types, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        if array.nbytes:
            digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def has_content(path: Path, sha256: str) -> bool:
    """Whether an `.npz` file is there and holds the arrays of this SHA-256."""
    try:
        return content_of(read_npz(path, names_in(path))) == sha256
    except DataError:
        return False


# ---------------------------------------------------------------- files


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        is_file = path.is_file()  # a pipe would wait for its other end
        reason = "is a folder" if path.is_dir() else "" if is_file else "there is no such file"
        if reason:
            raise DataError(f"{path}: {reason}; name an .npz file")
        file = path.open("rb")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {_reason(error)}") from None
    with file:
        yield file


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise DataError(
            f"{path}: is damaged: {_reason(error)}; save it again, or restore it from a copy"
        ) from None


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    with _opened(path) as file, _explained(path):
        try:
            archive = zipfile.ZipFile(file)
        except zipfile.BadZipFile:
            raise DataError(
                f"{path}: is not an .npz file, or its end is missing; save it with numpy.savez"
            ) from None
        with archive:
            yield archive


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(_ENDING)
        if name == member.filename:
            raise DataError(
                f"{path}: holds {member.filename[:64]!r}, which is no array; an .npz file is made "
                "by numpy.savez"
            )
        if name in members:
            raise DataError(f"{path}: holds two arrays named {name[:64]!r}; save it again")
        members[name] = member
    return members


def _require_plausible(member: zipfile.ZipInfo, where: str) -> None:
    """Refuse a member that NumPy did not write, or that is not as large as it claims."""
    if member.flag_bits & 1:
        raise DataError(f"{where} is encrypted; save it with numpy.savez, without a password")
    if member.compress_type not in _METHODS:
        raise DataError(
            f"{where} is packed by a method that NumPy does not use; save it with numpy.savez"
        )
    most = member.compress_size
    if member.compress_type == zipfile.ZIP_DEFLATED:
        most *= _MOST_PACKED
    if member.file_size > most:
        raise DataError(
            f"{where} is damaged: it claims {member.file_size:,} bytes, and {most:,} at most can "
            "be in the file; save it again"
        )


def _array_bytes(file: IO[bytes], size: int, where: str) -> int:
    """The bytes of an array by its header, which must agree with the size of its file."""
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
        num_bytes = math.prod(shape) * dtype.itemsize
    except _DAMAGE as error:
        raise DataError(f"{where} is damaged: {_reason(error)}; save it again") from None
    except Exception:  # noqa: BLE001 - NumPy parses it as Python, and anything may be there
        raise DataError(f"{where} is damaged: its header is no header; save it again") from None
    if dtype.hasobject:
        raise DataError(
            f"{where} holds Python objects, which are not read as they can run code; convert it "
            "to numbers or text, as by astype(float) or astype(str), and save it again"
        )
    found = size - file.tell()
    if min(shape, default=0) < 0 or num_bytes != found:
        raise DataError(
            f"{where} is damaged: its header promises {num_bytes:,} bytes, found {found:,}; save "
            "it again"
        )
    return num_bytes


def _read(file: IO[bytes]) -> NDArray[Any]:
    array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
    return array


def _require_memory(num_bytes: int, path: Path) -> None:
    free = available_host_bytes()
    if free is not None and 2 * num_bytes > free:  # examples are copied when they are split
        raise DataError(
            f"{path}: needs {_gibibytes(2 * num_bytes)} of memory, and {_gibibytes(free)} are "
            "free; save fewer examples, images as uint8, or rows as float32"
        )


def _gibibytes(number: int) -> str:
    return f"{number / 2**30:,.1f} GiB"


def _reason(error: BaseException) -> str:
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(words).split())[:200]
