"""Arrays from a file: what becomes images, rows and labels, and what is refused."""

# ruff: noqa: E501 - a line for each bad input

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from numpy.typing import NDArray

from sweep.data import load_training_data
from sweep.data.arrays import archive, read_given, read_inputs
from sweep.data.sealed import open_test_split
from sweep.errors import DataError
from sweep.records import DataSettings, DataSpec

LABELS = np.arange(60) % 3
ROWS = np.random.default_rng(0).normal(size=(60, 4))
IMAGES = np.random.default_rng(0).integers(0, 256, (60, 5, 4), np.uint8)
COLOUR = np.random.default_rng(0).integers(0, 256, (60, 3, 5, 4), np.uint8)


def changed(array: NDArray[Any], index: Any, value: Any) -> NDArray[Any]:
    copy = array.copy()
    copy[index] = value
    return copy


def parts(x: Any = ROWS, y: Any = LABELS, **others: Any) -> dict[str, Any]:
    given = {"x_train": x, "y_train": y, "x_test": x[:30], "y_test": y[:30], **others}
    return {name: array for name, array in given.items() if array is not None}


def settings(path: Path, **changes: Any) -> DataSettings:
    return DataSettings("arrays", "mine.npz", str(path), **changes)


def load(folder: Path, arrays: dict[str, Any], **changes: Any) -> Any:
    path = folder / "mine.npz"
    np.savez(path, **arrays)
    return load_training_data(settings(path, **changes))


# ---------------------------------------------------------------- what is read


def test_rows_are_split_in_proportion_and_the_test_part_is_left_out(tmp_path):
    data = load(tmp_path, {"x": ROWS, "y": LABELS})
    test = open_test_split(settings(tmp_path / "mine.npz"))
    assert data.spec == DataSpec("table", (4,), ("0", "1", "2"), num_pool=48, num_test=12)
    assert (len(data.train), len(data.validation)) == (40, 8)
    assert np.bincount(test.labels).tolist() == [4, 4, 4]
    found = np.concatenate([data.train.inputs, data.validation.inputs, test.inputs])
    assert found.dtype == np.float32
    assert {*map(tuple, found)} == {*map(tuple, ROWS.astype(np.float32))}


def test_shares_and_seeds_of_the_search_space_count(tmp_path):
    arrays = {"x": ROWS, "y": LABELS}
    data = load(tmp_path, arrays, test=0.5, validation=6)
    assert (data.spec.num_test, len(data.validation)) == (30, 6)
    assert load(tmp_path, arrays, split_seed=1).fingerprint != load(tmp_path, arrays).fingerprint


def test_parts_stay_as_they_are(tmp_path):
    arrays = parts(x_validation=ROWS[30:], y_validation=LABELS[30:])
    data = load(tmp_path, arrays)
    test = open_test_split(settings(tmp_path / "mine.npz"))
    for part, x in ((data.train, "x_train"), (data.validation, "x_validation"), (test, "x_test")):
        np.testing.assert_array_equal(part.inputs, arrays[x].astype(np.float32))
    assert (data.spec.num_pool, data.spec.num_test) == (90, 30)


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (IMAGES, IMAGES[:, None]),
        (IMAGES[..., None], IMAGES[:, None]),
        (IMAGES[:, None], IMAGES[:, None]),
        (COLOUR, COLOUR),
        (np.moveaxis(COLOUR, 1, 3), COLOUR),
        (IMAGES.astype(">i8"), IMAGES[:, None]),
        (IMAGES.astype(np.float32), IMAGES[:, None]),
        (IMAGES / 255, IMAGES[:, None]),
        (IMAGES.astype(np.float32) / np.float32(255), IMAGES[:, None]),
        ((IMAGES / 255).astype(np.float16), IMAGES[:, None]),
        (IMAGES > 127, 255 * (IMAGES > 127)[:, None].astype(np.uint8)),
    ],
    ids=lambda value: f"{value.dtype} {value.shape}",
)
def test_images_become_bytes_with_their_channels_first(tmp_path, images, expected):
    data = load(tmp_path, parts(images))
    assert (data.spec.kind, data.spec.input_shape) == ("image", expected.shape[1:])
    found = np.concatenate([data.train.inputs, data.validation.inputs])
    assert found.dtype == np.uint8
    assert {each.tobytes() for each in found} == {each.tobytes() for each in expected}
    assert bool(data.notes) == (images.dtype.kind in "fb")


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (LABELS * 10, ("0", "10", "20")),
        (LABELS.astype(float), ("0", "1", "2")),
        (LABELS[:, None].astype(np.uint8), ("0", "1", "2")),
        (LABELS > 0, ("False", "True")),
        (np.array(["pear", "apple", "fig"])[LABELS], ("apple", "fig", "pear")),
        (np.array([b"pear", b"apple"])[LABELS % 2], ("apple", "pear")),
        (np.array(["Größe", "Åse"])[LABELS % 2], ("Größe", "Åse")),
    ],
    ids=lambda value: getattr(value, "dtype", None),
)
def test_labels_are_numbers_from_0_and_their_names_are_the_values_in_order(tmp_path, labels, names):
    data = load(tmp_path, parts(y=labels))
    assert data.spec.class_names == names
    found = {
        tuple(row): names[label]
        for part in (data.train, data.validation)
        for row, label in zip(part.inputs.tolist(), part.labels, strict=True)
    }
    texts = [t.decode() if isinstance(t, bytes) else str(t) for t in labels.reshape(-1).tolist()]
    expected = [str(int(t)) if labels.dtype.kind == "f" else s
                for t, s in zip(labels.reshape(-1).tolist(), texts, strict=True)]  # fmt: skip
    assert found == dict(zip(map(tuple, ROWS.astype(np.float32).tolist()), expected, strict=True))


def test_whole_numbers_that_lose_digits_are_said(tmp_path):
    rows = changed(np.arange(240).reshape(60, 4), (3, 2), 2**24 + 1)
    assert load(tmp_path, parts(rows, x_test=rows[:30])).notes == (
        "x_train: 1 whole number is beyond 16,777,216, where float32 rounds them",
        "x_test: 1 whole number is beyond 16,777,216, where float32 rounds them",
    )


def test_any_change_is_other_data(tmp_path):
    found = {load(tmp_path, parts()).fingerprint}
    found.add(load(tmp_path, parts(x_test=changed(ROWS[:30], (0, 0), 9))).fingerprint)
    found.add(load(tmp_path, parts(y_test=LABELS[1:31])).fingerprint)
    found.add(load(tmp_path, parts(ROWS.astype(np.float32))).fingerprint)
    assert len(found) == 4
    assert load(tmp_path, parts()).fingerprint in found


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "there are no arrays; give x and y, or x_train"),
        ({"x": ROWS}, "y is missing; give x and y"),
        ({"x": ROWS, "Y": LABELS}, r"unknown array 'Y' \(did you mean 'y'\?\)"),
        ({"x": ROWS, "y": LABELS, "ids": LABELS}, "unknown array 'ids'"),
        ({"x": ROWS, "y": LABELS, "x_test": ROWS}, "x_test stands beside x and y"),
        (parts(x_test=None, y_test=None), "x_test is missing"),
        (parts(x_validation=ROWS), "y_validation is missing"),
        ({"x": ROWS, "y": LABELS[:50]}, "x and y must have equal lengths; found 60 .* and 50 lab"),
        ({"x": ROWS, "y": np.array(3)}, "x and y must have equal lengths; found 60 .* and no labe"),
        (parts(ROWS.astype(complex)), "x_train must hold numbers; found complex numbers"),
        (parts(ROWS.astype(str)), "x_train must hold numbers; found text; .* use a table"),
        (parts(ROWS.astype("M8[s]")), "x_train must hold numbers; found dates"),
        (parts(changed(ROWS, (7, 2), np.nan)),
         r"x_train must hold finite numbers; found 1 NaN, the first at \[7, 2\]; fill"),
        (parts(x_test=changed(ROWS[:30], (slice(2), 1), -np.inf)),
         r"x_test must hold finite numbers; found 2 infinite, the first at \[0, 1\]"),
        (parts(changed(ROWS, (7, 2), 1e39)), r"found 1 too large for float32, the first at \[7, 2"),
        (parts(ROWS[:, 0]), r"x_train must have shape \(N, D\), .*of one column, give x\[:, None\]"),
        (parts(ROWS.reshape(60, 1, 2, 1, 2)), r"x_train must have shape .*give x.reshape\(len\(x\)"),
        (parts(ROWS[:, :0]), r"x_train must not be empty; found shape \(60, 0\)"),
        (parts(ROWS[:0], LABELS[:0]), r"x_train must not be empty; found shape \(0, 4\)"),
        (parts(x_test=ROWS[:30, :3]), r"x_train and x_test must have one shape; found \(4,\) and"),
        (parts(x_test=IMAGES[:30]), r"must have one shape; found \(4,\) and \(5, 4\)"),
        (parts(IMAGES, x_test=IMAGES[:30] / 255), "one kind of numbers; found whole .* fractions"),
        (parts(ROWS.reshape(60, 2, 2)), r"x_train must hold pixels: .*; found .* at \[0, 0, 0, 0\]"),
        (parts(IMAGES.astype(int) * 16), "must hold pixels: whole numbers from 0 to 255.*found"),
        (parts(IMAGES.astype(int) - 1), r"must hold pixels: .*found -1 at"),
        (parts(changed(IMAGES / 255, (59, 0, 0), np.nan)), r"found 1 NaN, the first at \[59, 0, 0"),
        (parts(np.zeros((60, 3, 5, 3), np.uint8)), "the second or the last number may be the chann"),
        (parts(np.zeros((60, 5, 4, 4), np.uint8)), "must have 1 or 3 channels.*x\\[..., :3\\]"),
        (parts(y=np.eye(3)[LABELS]), r"y_train must hold one label .*\(60, 3\).*y.argmax\(axis=1\)"),
        (parts(y=np.zeros((60, 1, 1))), r"y_train must hold one label for each example; found shape"),
        (parts(y=LABELS + 0.5), r"60 labels that are no whole numbers, the first, 0\.5, at \[0\]; reg"),
        (parts(y=LABELS - 1), r"y_train holds 20 negative labels, the first, -1, at \[0\]; count"),
        (parts(y=changed(LABELS * 1.0, 4, np.nan)), r"1 missing labels \(NaN\), the first, nan, at"),
        (parts(y=changed(LABELS * 1.0, 4, np.inf)), "1 labels that are no whole numbers, the first"),
        (parts(y=changed(LABELS.astype(str), 4, "")), r"1 empty labels, the first, '', at \[4\]"),
        (parts(y=changed(LABELS.astype(str), 4, "\n")), r"a label that cannot be shown: '\\n'"),
        (parts(y=LABELS.astype("m8[s]")), "must hold whole numbers, text or booleans; found type"),
        (parts(y=np.array([b"a", b"\xff"])[LABELS % 2]), "holds bytes that are not UTF-8"),
        (parts(y=LABELS * 0), "y_train must hold at least two classes; found only '0'"),
        (parts(y_test=LABELS[:30].astype(str)), "must be of one kind; found numbers and text"),
        (parts(y_test=LABELS[:30] + 1), "y_test holds a class that y_train does not have: '3'; each"),
        (parts(y_test=LABELS[:30] % 2), "y_train holds a class that y_test does not have: '2'"),
        ({"x": ROWS, "y": changed(LABELS, 0, 7)}, "class '7' has 1 example for training and the te"),
        ({"x": ROWS, "y": np.arange(60)}, "class '0' has 1 example"),
        (parts(y=changed(LABELS, slice(3, None), 0), y_test=LABELS[:30]),
         "class '1' has 1 example for training and the validation split"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)  # fmt: skip
def test_what_cannot_be_used_is_one_line(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path, arrays)
    assert str(caught.value).startswith(f"{tmp_path}/mine.npz: ") or "class" in message
    assert "\n" not in str(caught.value)


def test_a_split_that_the_data_have_is_not_asked_for_again(tmp_path):
    with pytest.raises(DataError, match=r"has a test part of its own: leave out dataset\.test$"):
        load(tmp_path, parts(), test=0.1)
    with pytest.raises(DataError, match="has a validation split of its own"):
        load(tmp_path, parts(x_validation=ROWS, y_validation=LABELS), validation=0.1)


# ---------------------------------------------------------------- files


def header(shape: tuple[int, ...], descr: str = "<f8") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


def npz(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def save_objects(path: Path) -> None:
    np.savez(path, x=np.array([[1, "a"]] * 60, object), y=LABELS)


def save_npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, ROWS)


def save_cut(path: Path) -> None:
    np.savez(path, x=ROWS, y=LABELS)
    path.write_bytes(path.read_bytes()[:-200])


def save_flipped(path: Path) -> None:
    np.savez(path, x=ROWS, y=LABELS)
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(bytes(content))


def save_encrypted(path: Path) -> None:
    np.savez(path, x=ROWS, y=LABELS)
    content = path.read_bytes()
    at = content.index(b"PK\x01\x02")  # the first entry of the directory; its flags follow
    path.write_bytes(content[: at + 8] + struct.pack("<H", 1) + content[at + 10 :])


def save_bomb(path: Path) -> None:
    """Sixteen GiB of zeros by its directory, of which a kilobyte is there."""
    npz(path, {"x.npy": header((2**31,)) + bytes(10**6), "y.npy": b""}, zipfile.ZIP_DEFLATED)
    content = path.read_bytes()
    at = content.index(b"PK\x01\x02")
    path.write_bytes(content[: at + 24] + struct.pack("<I", 2**32 - 2) + content[at + 28 :])


Y = header((60,), "<i8") + LABELS.tobytes()


@pytest.mark.parametrize(
    ("save", "message"),
    [
        (lambda path: None, "there is no such file; name an .npz file"),
        (Path.mkdir, "is a folder; name an .npz file"),
        (Path.touch, "is not an .npz file, or its end is missing; save it with numpy.savez"),
        (lambda path: path.write_text("x,y\n1,2\n"), "is not an .npz file"),
        (save_npy, r"is one array.*numpy.savez\(FILE, x=x, y=y\)"),
        (save_cut, "is not an .npz file, or its end is missing"),
        (save_flipped, "is damaged: Bad CRC-32 for file 'x.npy'; save it again"),
        (save_encrypted, "x is encrypted; save it with numpy.savez, without a password"),
        (save_objects, "x holds Python objects, which are not read as they can run code; convert"),
        (save_bomb, "x is damaged: it claims 4,294,967,294 bytes, and .* at most can be in the fi"),
        (lambda path: npz(path, {"README": b""}), "holds 'README', which is no array"),
        (lambda path: npz(path, {"x.npy": b"", "y.npy": Y}), "x is damaged: .*; save it again"),
        (lambda path: npz(path, {"x.npy": header((60, 4)), "y.npy": Y}),
         "x is damaged: its header promises 1,920 bytes, found 0; save it again"),
        (lambda path: npz(path, {"x.npy": header((2**40, 2**40)), "y.npy": Y}),
         "x is damaged: its header promises 9,671,406,556,917,033,397,649,408 bytes, found 0"),
        (lambda path: npz(path, {"x.npy": header((-1, -8)) + bytes(64), "y.npy": Y}),
         "x is damaged: its header promises 64 bytes, found 64"),
        (lambda path: npz(path, {"x.npy": b"\x93NUMPY\1\0\3\0}}}", "y.npy": Y}), "x is damaged"),
        (lambda path: npz(path, {"x.npy": Y, "y.npy": Y}, zipfile.ZIP_BZIP2),
         "x is packed by a method that NumPy does not use"),
    ],
    ids=range(17),
)  # fmt: skip
def test_a_file_that_is_none_is_one_line(tmp_path, save, message):
    path = tmp_path / "mine.npz"
    save(path)
    with pytest.raises(DataError, match=f"{path}.*{message}") as caught:
        load_training_data(settings(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_more_than_the_memory_is_refused_before_it_is_read(tmp_path, monkeypatch, save):
    path = tmp_path / "mine.npz"
    save(path, x=np.zeros((10_000, 100)), y=np.arange(10_000) % 2)
    monkeypatch.setattr(archive, "available_host_bytes", lambda: 10**7)
    monkeypatch.setattr(archive.npy, "read_array", None)
    with pytest.raises(DataError, match=r"needs 0\.0 GiB of memory, and 0\.0 GiB are free; save f"):
        load_training_data(settings(path))


def test_no_flipped_bit_ends_in_anything_but_one_line_or_the_same_data(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, x=ROWS, y=LABELS)
    whole = path.read_bytes()
    expected = load_training_data(settings(path)).fingerprint
    generator = np.random.default_rng(0)
    for at in generator.integers(0, len(whole), 400).tolist():
        content = bytearray(whole)
        content[at] ^= 1 << int(generator.integers(8))
        path.write_bytes(bytes(content))
        try:
            found = load_training_data(settings(path)).fingerprint
        except DataError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either way is right
        else:
            assert found == expected


# ---------------------------------------------------------------- inputs alone

IMAGE = DataSpec("image", (1, 5, 4), ("a", "b"), num_pool=50, num_test=10)
PHOTO = DataSpec("image", (3, 5, 4), ("a", "b"), num_pool=50, num_test=10)
TABLE = DataSpec("table", (4,), ("a", "b"), num_pool=50, num_test=10)


def save_alone(path: Path, array: NDArray[Any]) -> None:
    with path.open("wb") as file:
        np.save(file, array)


def save_with_labels(path: Path, array: NDArray[Any]) -> None:
    with path.open("wb") as file:
        np.savez(file, x=array, y=LABELS)


@pytest.mark.parametrize("save", [save_alone, save_with_labels])
@pytest.mark.parametrize(
    ("array", "spec", "expected"),
    [
        (ROWS, TABLE, ROWS.astype(np.float32)),
        (IMAGES, IMAGE, IMAGES[:, None]),
        (IMAGES[..., None] / 255, IMAGE, IMAGES[:, None]),
        (COLOUR, PHOTO, COLOUR),
        (np.moveaxis(COLOUR, 1, 3), PHOTO, COLOUR),
    ],
    ids=range(5),
)
def test_inputs_alone_have_the_form_of_the_training_data(
    tmp_path, save: Callable[..., None], array, spec, expected
):
    save(tmp_path / "inputs", array)
    found = read_inputs(tmp_path / "inputs", spec)
    assert found.dtype == spec.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("array", "spec", "message"),
    [
        (ROWS[:, :3], TABLE, r"must have shape \(N, 4\); found \(60, 3\)"),
        (ROWS[0], TABLE, r"must have shape \(N, 4\); found \(4,\)"),
        (np.array(1.0), TABLE, r"must have shape \(N, 4\); found \(\)"),
        (IMAGES, PHOTO, r"must have shape \(N, 3, 5, 4\) or \(N, 5, 4, 3\); found \(60, 5, 4\)"),
        (COLOUR, IMAGE, r"must have shape \(N, 1, 5, 4\) or \(N, 5, 4, 1\) or \(N, 5, 4\); fou"),
        (changed(ROWS, (3, 1), np.nan), TABLE, r"must hold .* 1 NaN, the first at \[3, 1\]"),
        (ROWS[:0], TABLE, "must not be empty"),
        (ROWS.astype(str), TABLE, "must hold numbers; found text"),
    ],
    ids=range(8),
)
def test_inputs_of_another_form_are_refused(tmp_path, array, spec, message):
    save_alone(tmp_path / "inputs.npy", array)
    with pytest.raises(DataError, match=rf"inputs\.npy:? {message}"):
        read_inputs(tmp_path / "inputs.npy", spec)


def test_an_archive_without_inputs_says_what_it_holds(tmp_path):
    np.savez(tmp_path / "inputs.npz", a=ROWS, b=ROWS)
    with pytest.raises(DataError, match="must hold an array named 'x'; found 'a', 'b'"):
        read_inputs(tmp_path / "inputs.npz", TABLE)


def test_a_sparse_matrix_is_refused_by_its_name():
    with pytest.raises(DataError, match=r"^data: x is sparse; give its toarray\(\)$"):
        read_given((scipy.sparse.csr_matrix(np.eye(60)), np.arange(60) % 3))
