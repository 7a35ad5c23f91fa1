"""Images in folders: what is read, what is refused, and what is kept for the next time."""

from __future__ import annotations

import io
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sweep.data import cache, image_decoding, load_training_data
from sweep.data.image_file import read_picture
from sweep.data.sealed import open_test_split
from sweep.data.sources import image_folder
from sweep.data.telling import listening
from sweep.errors import DataError
from sweep.records import DataSettings


@pytest.fixture(autouse=True)
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("SWEEP_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "photos"


def settings(root: Path, **changes: Any) -> DataSettings:
    return replace(DataSettings("folder", "photos", str(root)), **changes)


def save(path: Path, shade: int | tuple[int, ...] = 0, *, mode: str = "L", size: int = 4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (size, size), shade).save(path)
    return path


def fill(folder: Path, number: int = 10, *, classes: str = "ab", **how: Any) -> None:
    """Images of each class; each has a shade of its own."""
    for index, name in enumerate(classes):
        for each in range(number):
            save(folder / name / f"{each:02}.png", 100 * index + each, **how)


def test_one_tree_is_split_with_classes_in_proportion(root):
    fill(root, 30)
    data = load_training_data(settings(root))
    test = open_test_split(settings(root))
    assert (len(data.train), len(data.validation), len(test)) == (40, 8, 12)
    for part in (data.train, data.validation, test):
        assert np.bincount(part.labels).tolist() == [len(part) // 2] * 2
        np.testing.assert_array_equal(part.inputs[:, 0, 0, 0] >= 100, part.labels == 1)
    shades = np.concatenate(
        [part.inputs[:, 0, 0, 0] for part in (data.train, data.validation, test)]
    )
    assert sorted(shades.tolist()) == [*range(30), *range(100, 130)]
    assert (data.spec.class_names, data.spec.input_shape) == (("a", "b"), (1, 4, 4))
    other = open_test_split(settings(root, split_seed=1, test=20))
    assert len(other) == 20
    assert set(other.inputs[:, 0, 0, 0]) != set(test.inputs[:, 0, 0, 0])


@pytest.mark.parametrize("validation", ["val", "valid", "Validation"])
def test_folders_of_splits_are_kept_apart(root, validation):
    for split, number in (("train", 9), (validation, 4), ("test", 3)):
        fill(root / split, number)
    data = load_training_data(settings(root))
    assert (len(data.train), len(data.validation)) == (18, 8)
    assert (data.spec.num_pool, data.spec.num_test) == (26, 6)
    assert open_test_split(settings(root)).labels.tolist() == [0] * 3 + [1] * 3


def test_without_a_test_folder_a_part_of_train_is_sealed(root):
    fill(root / "train", 10)
    fill(root / "val", 3)
    data = load_training_data(settings(root))
    assert (len(data.train), len(data.validation), data.spec.num_test) == (16, 6, 4)


def test_classes_that_are_numbers_are_in_their_order(root):
    for name in ("10", "9", "1"):
        fill(root, 5, classes=[name])
    assert load_training_data(settings(root)).spec.class_names == ("1", "9", "10")


def test_images_are_grey_if_all_are(root):
    fill(root, 6, mode="RGB")
    for index in range(6):  # equal channels are grey
        save(root / "b" / f"{index:02}.png", (index,) * 3, mode="RGB")
        save(root / "a" / f"{index:02}.png", (9,) * 3, mode="RGB")
    assert load_training_data(settings(root)).spec.input_shape == (1, 4, 4)
    assert load_training_data(settings(root, channels="colour")).spec.input_shape == (3, 4, 4)
    save(root / "b" / "99.png", (200, 0, 0), mode="RGB")
    mixed = load_training_data(settings(root))
    assert mixed.spec.input_shape == (3, 4, 4)
    assert mixed.notes == ("12 images in grey: given three equal channels",)
    pixels = np.concatenate([mixed.train.inputs, mixed.validation.inputs])
    assert {tuple(image[:, 0, 0]) for image in pixels} <= {
        (200, 0, 0), (9, 9, 9), *((shade,) * 3 for shade in range(6))
    }  # fmt: skip
    assert load_training_data(settings(root, channels="grey")).spec.input_shape == (1, 4, 4)


def test_images_are_brought_to_a_size_as_predict_does(root):
    fill(root, 5)
    generator = np.random.default_rng(0)
    noisy = Image.fromarray(generator.integers(0, 256, (9, 6, 3), np.uint8))
    noisy.save(root / "b" / "noisy.png")
    data = load_training_data(settings(root, image_size=(5, 3)))
    assert data.spec.input_shape == (3, 5, 3)
    assert data.notes[0] == "11 images of other sizes: brought to 5 x 3"
    test = open_test_split(settings(root, image_size=(5, 3)))
    expected = read_picture(root / "b" / "noisy.png", (3, 5, 3))
    every = np.concatenate([data.train.inputs, data.validation.inputs, test.inputs])
    assert (every == expected).all((1, 2, 3)).sum() == 1


def test_mixed_sizes_need_one(root):
    fill(root, 5)
    save(root / "b" / "large.png", size=6)
    words = (
        r"^'photos': its images have 2 sizes: 'a/00.png' has 4 x 4 and 'b/large.png' has 6 x 6 "
        r"\(height x width\); set dataset.image_size: \[height, width\], to which all are brought$"
    )
    with pytest.raises(DataError, match=words):
        load_training_data(settings(root))


def test_what_is_converted_is_counted(root):
    fill(root, 5, mode="RGB", classes="")
    for index in range(5):
        save(root / "a" / f"{index}.png", (index, 50, 9), mode="RGB")
        save(root / "b" / f"{index}.png", (index, 9, 50), mode="RGB")
    save(root / "a" / "palette.png", 3, mode="P")
    save(root / "a" / "alpha.png", (1, 2, 3, 100), mode="RGBA")
    save(root / "b" / "print.jpg", (1, 2, 3, 100), mode="CMYK")
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(root / "b" / "moving.png", save_all=True, append_images=frames[1:])
    (root / "a" / "README.txt").write_text("no image")
    (root / "LICENSE").write_text("no image")
    for name in (".DS_Store", "Thumbs.db"):
        (root / "b" / name).write_bytes(b"\0")
    notes = load_training_data(settings(root)).notes
    assert notes[0] == "2 files left out, no image by its name: 1 no suffix, 1 .txt"
    assert set(notes[1:4]) | {notes[4]} >= {
        "1 image in CMYK: converted to grey or RGB",
        "1 image of several frames or pages: only the first is read",
        "1 image with a palette: converted to grey or RGB",
        "1 image with transparency: laid on black or, if dark, on white",
    }


def test_images_are_turned_upright(root):
    fill(root, 5)
    exif = Image.Exif()
    exif[0x0112] = 6
    for index in range(5):
        image = Image.fromarray(np.arange(8, dtype=np.uint8).reshape(2, 4))
        image.save(root / "a" / f"{index:02}.png", exif=exif)
        Image.new("L", (2, 4), 99).save(root / "b" / f"{index:02}.png")
    data = load_training_data(settings(root))
    assert data.spec.input_shape == (1, 4, 2)
    (first, *_) = data.train.inputs[data.train.labels == 0]
    assert first.tolist() == [[[4, 0], [5, 1], [6, 2], [7, 3]]]


def png(width: int, height: int, depth: int = 8, colour: int = 0) -> bytes:
    """A PNG of a few bytes that promises this many pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + content + chunk(b"IEND", b"")


def whole_png() -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (30, 30), np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


BROKEN = {
    "text": (b"not an image", "it is none of BMP, GIF"),
    "empty": (b"", "it is none of BMP, GIF"),
    "cut": (whole_png()[:400], ""),
    "bomb": (png(60_000, 60_000), "it has more than 50,000,000 pixels; make it smaller"),
    "large": (png(10_000, 5_001), "it has more than 50,000,000 pixels; make it smaller"),
    "16 bits": (png(4, 4, 16), "its pixels have 16 bits; save it as grey or RGB with 8 bits"),
    "16 bits in colour": (png(4, 4, 16, 2), "its pixels have 16 bits; save it as grey or RGB"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_image_that_cannot_be_read_is_refused(root, cache_dir, kind):
    content, reason = BROKEN[kind]
    fill(root)
    (root / "b" / "bad.png").write_bytes(content)
    with pytest.raises(DataError, match=r"^cannot read the image '[^\n]+bad.png': ") as caught:
        load_training_data(settings(root, image_size=(4, 4)))
    assert reason in str(caught.value)
    assert not list(cache_dir.rglob("*"))


def test_a_file_without_permission_is_refused(root):
    fill(root)
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (root / "a" / "00.png").chmod(0)
    with pytest.raises(DataError, match=r"^cannot read the image '.*00.png': Permission denied$"):
        load_training_data(settings(root))


def test_a_file_too_large_to_be_an_image_is_refused(root, monkeypatch):
    fill(root)
    monkeypatch.setattr(image_decoding, "_MAX_FILE_BYTES", 10)
    with pytest.raises(DataError, match=r"a/00.png': it has more than 0 MiB; make it smaller$"):
        load_training_data(settings(root))


def test_more_than_memory_is_refused(root, monkeypatch):
    fill(root)
    monkeypatch.setattr(image_decoding, "available_host_bytes", lambda: 300)
    words = r"^'photos': 20 images of 4 x 4 in grey take .* set a smaller dataset.image_size$"
    with pytest.raises(DataError, match=words):
        load_training_data(settings(root))


def empty(root: Path) -> None:
    root.mkdir()


def a_file(root: Path) -> None:
    root.write_text("")


def empty_class(root: Path) -> None:
    fill(root)
    (root / "c").mkdir()


def class_without_images(root: Path) -> None:
    empty_class(root)
    (root / "c" / "README").write_text("")


def loose_image(root: Path) -> None:
    fill(root)
    save(root / "loose.png")


def nested(root: Path) -> None:
    fill(root)
    save(root / "b" / "more" / "1.png")


def same_but_case(root: Path) -> None:
    fill(root, classes=["cat", "Cat", "dog"])


def leaving(root: Path) -> None:
    fill(root)
    outside = save(root.parent / "outside.png")
    (root / "a" / "link.png").symlink_to(outside)


def leaving_folder(root: Path) -> None:
    fill(root)
    fill(root.parent / "elsewhere")
    (root / "c").symlink_to(root.parent / "elsewhere" / "a")


def circle(root: Path) -> None:
    fill(root)
    (root / "c").symlink_to(root / "d")
    (root / "d").symlink_to(root / "c")


def link_to_itself(root: Path) -> None:
    fill(root)
    (root / "a" / "again").symlink_to(root)


def pipe(root: Path) -> None:
    fill(root)
    os.mkfifo(root / "a" / "pipe.png")


def strange_name(root: Path) -> None:
    fill(root)
    place = root / os.fsdecode(b"\xff")
    place.mkdir()
    (root / "a" / "00.png").rename(place / "1.png")


def only_test(root: Path) -> None:
    fill(root / "test")


def split_and_class(root: Path) -> None:
    fill(root / "train")
    fill(root, classes="c")


def two_validations(root: Path) -> None:
    for split in ("train", "val", "valid"):
        fill(root / split)


def unknown_class(root: Path) -> None:
    fill(root / "train")
    fill(root / "test", classes="abc")


def missing_class(root: Path) -> None:
    fill(root / "train", classes="abc")
    fill(root / "test")


REFUSED: dict[Callable[[Path], None], str] = {
    lambda _: None: "photos': there is no such folder; if it has moved, name",
    a_file: "photos': is no folder; if it has moved, name",
    empty: "photos': has no folder of a class; make one for each class",
    lambda root: fill(root, classes="a"): "photos': has one class, 'a'; a network needs two",
    empty_class: "photos/c': has no image that can be read; add some, or remove the folder",
    class_without_images: "c': has no image that can be read, only 1 file of other kinds; add",
    loose_image: "photos': 1 image, such as 'loose.png', lies in no folder of a class; move each",
    nested: "photos/b': has a folder of its own, 'more'; images lie directly in the folder of",
    same_but_case: "photos': the classes 'Cat' and 'cat' differ in case or accents' encoding only",
    leaving: "a/link.png': is a link that leaves the folder, to '",
    leaving_folder: "photos/c': is a link that leaves the folder, to '",
    circle: "photos/c': is a link that leads nowhere; remove it",
    link_to_itself: "photos/a': has a folder of its own, 'again'",
    pipe: "photos/a/pipe.png': is no plain file; remove it",
    strange_name: r"photos': the name of the class '\udcff' is not valid text; rename its folder",
    only_test: "photos': has 'test' and no 'train'; give it a 'train' with a folder for each class",
    split_and_class: "photos': 'c' lies beside 'train' and is no split; move it, or rename 'train'",
    two_validations: "photos': 'val' and 'valid' are both for the validation split; keep one",
    unknown_class: "photos': class 'c' has images in 'test' and none in 'train'; add some",
    missing_class: "photos': class 'c' has no images in 'test'; add some, or leave the class out",
}


@pytest.mark.parametrize("make", REFUSED)
def test_a_folder_of_another_layout_is_refused(root, cache_dir, make):
    make(root)
    with pytest.raises(DataError, match=r"^'[^\n]+$") as caught:
        load_training_data(settings(root))
    assert REFUSED[make] in str(caught.value)
    assert not cache_dir.exists()


@pytest.mark.parametrize(("split", "option"), [("test", "test"), ("val", "validation")])
def test_a_split_is_not_held_out_where_there_is_one(root, split, option):
    fill(root / "train")
    fill(root / split)
    words = f"^photos has a {option} split of its own: leave out dataset.{option}$"
    with pytest.raises(DataError, match=words):
        load_training_data(settings(root, **{option: 0.2}))


def test_a_class_with_too_few_images_is_refused(root):
    fill(root)
    save(root / "c" / "1.png")
    words = "^class 'c' has 1 example for training and the test split together"
    with pytest.raises(DataError, match=words):
        load_training_data(settings(root))


def test_the_fingerprint_follows_every_name_and_byte(root):
    fill(root / "train")
    fill(root / "test")
    found = [load_training_data(settings(root)).fingerprint]
    save(root / "train" / "a" / "new.png")
    found.append(load_training_data(settings(root)).fingerprint)
    (root / "train" / "a" / "new.png").rename(root / "train" / "a" / "newer.png")
    found.append(load_training_data(settings(root)).fingerprint)
    save(root / "train" / "a" / "newer.png", 7)
    found.append(load_training_data(settings(root)).fingerprint)
    save(root / "test" / "b" / "03.png", 8)
    found.append(load_training_data(settings(root)).fingerprint)
    (root / "test" / "b" / "03.png").unlink()
    found.append(load_training_data(settings(root)).fingerprint)
    assert len(set(found)) == len(found)
    (root / "README.md").write_text("is no part of the data")
    assert load_training_data(settings(root)).fingerprint == found[-1]


# ---------------------------------------------------------------- the cache


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as unchanged for long at once."""
    monkeypatch.setattr(image_folder, "_SETTLED_NS", -(10**18))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many images each decoding decoded."""
    counts: list[int] = []
    work = image_folder.decode_images

    def count(folder: str, files: Any, *rest: Any) -> Any:
        counts.append(len(files))
        return work(folder, files, *rest)

    monkeypatch.setattr(image_folder, "decode_images", count)
    return counts


def same(one: Any, other: Any) -> bool:
    parts = ((one.train, other.train), (one.validation, other.validation))
    return one.fingerprint == other.fingerprint and all(
        np.array_equal(a.inputs, b.inputs) and np.array_equal(a.labels, b.labels) for a, b in parts
    )


@pytest.mark.usefixtures("settled")
def test_images_are_decoded_once(root, decoded, monkeypatch):
    fill(root)
    first = load_training_data(settings(root))
    monkeypatch.setattr(image_folder, "content_of", None)  # no file is read again
    assert same(load_training_data(settings(root)), first)
    assert len(open_test_split(settings(root))) == 4
    assert decoded == [20]


@pytest.mark.usefixtures("settled")
def test_other_settings_are_decoded_anew(root, decoded):
    fill(root)
    for changes in ({}, {"image_size": (2, 2)}, {"channels": "colour"}, {}):
        load_training_data(settings(root, **changes))
    assert decoded == [20, 20, 20]


def test_files_that_changed_just_now_are_compared_byte_by_byte(root, decoded):
    fill(root)
    old = load_training_data(settings(root))
    stat = (root / "a" / "00.png").stat()
    assert same(load_training_data(settings(root)), old)  # from the cache, by the content
    save(root / "a" / "00.png", 77)
    os.utime(root / "a" / "00.png", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert load_training_data(settings(root)).fingerprint != old.fingerprint
    assert decoded == [20, 20]


@pytest.mark.parametrize("damage", ["bytes", "description", "missing", "shorter"])
@pytest.mark.usefixtures("settled")
def test_a_damaged_entry_is_made_again(root, cache_dir, decoded, damage):
    fill(root)
    first = load_training_data(settings(root))
    (pixels,) = cache_dir.rglob("train.bytes")
    description = pixels.with_name("entry.json")
    if damage == "bytes":
        pixels.write_bytes(b"\xff" + pixels.read_bytes()[1:])
    elif damage == "description":
        description.write_bytes(description.read_bytes().replace(b"20, 1", b"20, 2"))
    elif damage == "missing":
        pixels.unlink()
    else:
        pixels.write_bytes(pixels.read_bytes()[:-1])
    assert same(load_training_data(settings(root)), first)
    assert same(load_training_data(settings(root)), first)
    assert decoded == [20, 20]


def test_without_a_cache_the_images_are_read_all_the_same(root, cache_dir):
    fill(root)
    cache_dir.write_text("a file where the cache would be")
    said: list[tuple[str, bool]] = []
    with listening(lambda text, passing: said.append((text, passing))):
        data = load_training_data(settings(root))
    assert len(data.train) == 14
    (note,) = (text for text, passing in said if not passing)
    assert note.startswith("the images of photos are decoded again by each worker: ")
    assert ("reading photos: 20 of 20 images", True) in said
    state = cache.cache_state()
    assert (state.folder, state.num_entries, bool(state.problem)) == (str(cache_dir), 0, True)


def test_what_was_used_least_recently_makes_way(root, cache_dir, monkeypatch):
    monkeypatch.setattr(cache, "MAX_BYTES", 2500)
    pixels = np.zeros((10, 1, 10, 10), np.uint8)
    for name in "abc":
        assert cache.store(name, cache.Entry({}, {"train": pixels})) == ""
        for older in (cache_dir / "entries").iterdir():
            past = time.time() - 100 * (ord("d") - ord(older.name))
            os.utime(older / "entry.json", (past, past))
    kept = {name for name in "abc" if cache.load(name, ["train"]) is not None}
    assert kept == {"b", "c"}
    assert "more than the cache may" in cache.store("d", cache.Entry({}, {"x": pixels.repeat(3)}))
    state = cache.cache_state()
    assert (state.num_entries, state.max_bytes) == (len(kept), 2500)
    assert state.num_bytes <= 2500


def test_the_cache_lies_where_the_environment_says(monkeypatch, tmp_path):
    assert cache.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("SWEEP_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/mine")
    assert cache.cache_folder() == Path("/var/cache/mine/sweep")
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache.cache_folder() == Path("/home/someone/.cache/sweep")
