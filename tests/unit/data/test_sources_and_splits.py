"""Data sets: the right images, disjoint parts, and clear words when something is wrong."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers import DIGITS, write_idx

from sweep.codec import unpack_labels
from sweep.data import Part, data_overview, default_data_dir, fingerprint, load_training_data
from sweep.data.parts import Pool
from sweep.data.sealed import open_test_split
from sweep.data.sources import SOURCES
from sweep.definitions import DATASETS
from sweep.errors import DataError
from sweep.records import DataSettings, DataSpec


def digits(validation: float | None = None, split_seed: int = 0):
    return load_training_data(DataSettings("builtin", "digits", "nowhere", validation, split_seed))


def labelled(*parts) -> Counter:
    """Every image with its label, as often as it occurs."""
    return Counter(
        (image.tobytes(), int(label))
        for part in parts
        for image, label in zip(part.inputs, part.labels, strict=True)
    )


# ---------------------------------------------------------------- digits


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    known = load_digits()
    expected = Counter(
        (image.astype(np.uint8).tobytes(), int(label))
        for image, label in zip(known.images, known.target, strict=True)
    )
    data = digits()
    assert labelled(data.train, data.validation, open_test_split(DIGITS)) == expected


def test_digits_have_the_promised_sizes():
    data = digits()
    assert (len(data.train), len(data.validation)) == (1198, 239)
    assert len(open_test_split(DIGITS)) == 360
    assert DATASETS["digits"].num_pool == 1198 + 239
    assert (data.spec.num_inputs, data.spec.num_classes) == (64, 10)
    assert data.train.inputs.dtype == np.uint8
    assert data.train.labels.dtype == np.int64


def test_a_split_is_the_same_every_time():
    first, second = digits(split_seed=3), digits(split_seed=3)
    np.testing.assert_array_equal(first.train.inputs, second.train.inputs)
    np.testing.assert_array_equal(first.validation.labels, second.validation.labels)
    assert first.fingerprint == second.fingerprint


def test_the_split_seed_moves_images_within_the_pool_only():
    one, two = digits(split_seed=0), digits(split_seed=1)
    assert labelled(one.validation) != labelled(two.validation)
    assert labelled(one.train, one.validation) == labelled(two.train, two.validation)


def test_the_test_part_holds_no_image_of_the_pool():
    # A few digits occur twice in the collection; positions, not pixels, must be disjoint.
    from sklearn.datasets import load_digits

    data, test = digits(), open_test_split(DIGITS)
    total = Counter(image.astype(np.uint8).tobytes() for image in load_digits().images)
    pool = Counter(i.tobytes() for part in (data.train, data.validation) for i in part.inputs)
    sealed = Counter(image.tobytes() for image in test.inputs)
    assert pool + sealed == total


def test_every_class_is_in_every_part():
    data = digits()
    for part in (data.train, data.validation, open_test_split(DIGITS)):
        assert set(part.labels.tolist()) == set(range(10))


@pytest.mark.parametrize(
    ("asked", "size"), [(None, 239), (1, 1), (400, 400), (1436, 1436), (0.1, 144)]
)
def test_the_validation_split_has_the_size_asked_for(asked, size):
    data = digits(validation=asked)
    assert (len(data.validation), len(data.train)) == (size, 1437 - size)


@pytest.mark.parametrize("size", [1437, 5000])
def test_a_validation_split_that_leaves_nothing_is_refused(size):
    with pytest.raises(DataError, match=rf"must be below 1,437, .*; found {size:,}"):
        digits(validation=size)


def test_the_fingerprint_changes_with_data_and_split():
    data = digits()
    assert digits(split_seed=1).fingerprint != data.fingerprint
    assert digits(validation=200).fingerprint != data.fingerprint
    images = data.train.inputs.copy()
    images[0, 0, 0, 0] ^= 1
    labels = np.roll(data.train.labels, 1)
    changed = type(data.train)(images, data.train.labels)
    relabelled = type(data.train)(data.train.inputs, labels)
    assert len({fingerprint(p) for p in (data.train, changed, relabelled)}) == 3


def test_pixels_are_normalised_with_the_training_split_only():
    data = digits()
    assert data.mean.shape == data.std.shape == (64,)
    assert data.mean == pytest.approx(np.full(64, data.train.inputs.mean()))
    assert data.std == pytest.approx(np.full(64, data.train.inputs.std()))


def test_the_facts_describe_the_validation_split():
    data = digits()
    assert (
        unpack_labels(data.facts.validation_labels, 10).tolist() == data.validation.labels.tolist()
    )
    assert data.facts.spec == DATASETS["digits"]
    assert data.facts.spec.class_names == tuple("0123456789")
    assert data.facts.fingerprint == data.fingerprint


# ---------------------------------------------------------------- files


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    """MNIST with twelve training and three test images, in its real layout."""
    from dataclasses import replace

    info = replace(DATASETS["mnist"], num_pool=12, num_test=3)
    monkeypatch.setitem(DATASETS, "mnist", info)
    generator = np.random.default_rng(0)
    folder = tmp_path / "MNIST" / "raw"
    for stem, size in (("train", 12), ("t10k", 3)):
        images = generator.integers(0, 256, (size, 28, 28))
        write_idx(folder / f"{stem}-images-idx3-ubyte", images)
        write_idx(folder / f"{stem}-labels-idx1-ubyte", np.arange(size) % 10)
    return tmp_path


def load_small(folder: Path):
    return load_training_data(DataSettings("builtin", "mnist", str(folder)))


def test_files_in_torchvisions_layout_are_read(small_mnist):
    data = load_small(small_mnist)
    assert (len(data.train), len(data.validation)) == (10, 2)
    assert data.train.inputs.shape == (10, 1, 28, 28)
    assert len(open_test_split(DataSettings("builtin", "mnist", str(small_mnist)))) == 3


def test_training_does_not_need_the_test_files(small_mnist):
    for path in (small_mnist / "MNIST" / "raw").glob("t10k*"):
        path.unlink()
    assert len(load_small(small_mnist).train) == 10


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("train-images-idx3-ubyte", np.zeros((11, 28, 28)), "must hold 12 images of 28 x 28"),
        ("train-images-idx3-ubyte", np.zeros((12, 27, 28)), "must hold 12 images of 28 x 28"),
        ("train-labels-idx1-ubyte", np.zeros(11), "must hold 12 labels"),
        ("train-labels-idx1-ubyte", np.full(12, 10), "labels must be from 0 to 9; found 10"),
    ],
)
def test_files_of_the_wrong_content_are_named(small_mnist, name, content, reason):
    path = small_mnist / "MNIST" / "raw" / name
    write_idx(path, content)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}: {reason}"):
        load_small(small_mnist)


@pytest.fixture
def offline(monkeypatch):
    """Downloads fail as they do without a network."""
    import torchvision.datasets

    def fail(self) -> None:
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz:\nno route to host")

    monkeypatch.setattr(torchvision.datasets.MNIST, "download", fail)


@pytest.mark.parametrize("folder", ["data", "a/b/c", "."])
def test_missing_data_are_one_line_and_leave_no_directory(tmp_path, offline, folder):
    with pytest.raises(DataError, match=r"--data-dir.*digits\.yaml") as caught:
        load_small(tmp_path / folder)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download_leaves_what_was_there(tmp_path, offline):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="MNIST is neither under"):
        load_small(tmp_path / "data")
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["mine.txt"]


def test_the_data_directory_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("SWEEP_DATA_DIR", "elsewhere")
    assert default_data_dir() == Path("elsewhere")
    monkeypatch.delenv("SWEEP_DATA_DIR")
    assert default_data_dir() == Path("data")


# ---------------------------------------------------------------- other kinds of data


class Given:
    """A source whose parts are given."""

    def __init__(self, spec: DataSpec, pool: Part) -> None:
        self._spec, self._pool = spec, pool

    def pool(self) -> Pool:
        return Pool(self._pool, self._spec.class_names, self._spec.num_test)


@pytest.fixture
def load_given(monkeypatch):
    """Load these examples as a data set of their own."""

    def load(spec: DataSpec, inputs: np.ndarray, labels: np.ndarray):
        source = Given(spec, Part(inputs, labels))
        monkeypatch.setitem(SOURCES, "given", lambda _settings: source)
        return load_training_data(DataSettings("builtin", "given", "nowhere", 10))

    return load


def test_each_channel_of_an_image_is_normalised_by_itself(load_given):
    generator = np.random.default_rng(0)
    images = generator.integers(0, [[[[50]], [[150]], [[250]]]], (40, 3, 4, 5)).astype(np.uint8)
    spec = DataSpec("image", (3, 4, 5), ("a", "b"), 40, 0)
    data = load_given(spec, images, np.arange(40) % 2)
    channels = data.train.inputs.transpose(1, 0, 2, 3).reshape(3, -1)
    assert (data.spec, data.mean.shape) == (spec, (60,))
    assert data.mean.reshape(3, 20) == pytest.approx(np.repeat(channels.mean(1)[:, None], 20, 1))
    assert data.std.reshape(3, 20) == pytest.approx(np.repeat(channels.std(1)[:, None], 20, 1))
    assert len(set(data.mean.tolist())) == 3


def test_each_column_of_a_table_is_normalised_by_itself(load_given):
    generator = np.random.default_rng(0)
    table = generator.normal([0.0, -1e3, 5.0], [1.0, 100.0, 0.01], (40, 3)).astype(np.float32)
    data = load_given(DataSpec("table", (3,), ("a", "b"), 40, 0), table, np.arange(40) % 2)
    exact = data.train.inputs.astype(np.float64)
    assert data.train.inputs.dtype == np.float32
    assert data.mean == pytest.approx(exact.mean(0))
    assert data.std == pytest.approx(exact.std(0))
    assert (data.mean.dtype, data.std.dtype) == (np.float64, np.float64)


@pytest.mark.parametrize("kind", ["image", "table"])
def test_what_never_varies_is_not_divided_by_zero(load_given, kind):
    spec = DataSpec(kind, (1, 1, 2) if kind == "image" else (2,), ("a", "b"), 40, 0)
    inputs = np.full((40, *spec.input_shape), 7, spec.dtype)
    data = load_given(spec, inputs, np.arange(40) % 2)
    assert data.mean.tolist() == [7.0, 7.0]
    assert data.std.tolist() == [1.0, 1.0]


def test_labels_of_many_classes_are_told_apart(load_given):
    """Above 256 classes a label takes two bytes, in the facts and in the fingerprint."""
    names = tuple(f"class {index}" for index in range(300))
    spec = DataSpec("table", (2,), names, 600, 0)
    inputs = np.random.default_rng(0).normal(size=(600, 2)).astype(np.float32)
    labels = np.arange(600) % 300
    data = load_given(spec, inputs, labels)
    packed = data.facts.validation_labels
    assert unpack_labels(packed, 300).tolist() == data.validation.labels.tolist()
    # Labels that differ by 256 are the same in one byte.
    other = load_given(spec, inputs, np.where(labels == 299, 299 - 256, labels))
    assert other.fingerprint != data.fingerprint


def test_the_fingerprint_tells_kinds_and_shapes_apart():
    numbers, labels = np.zeros((4, 6)), np.zeros(4, np.int64)
    shapes = [(4, 6), (4, 1, 6), (4, 2, 3), (4, 3, 2)]
    parts = [Part(numbers.reshape(s).astype(np.uint8), labels) for s in shapes]
    parts += [Part(numbers.reshape(s).astype(np.float32), labels) for s in shapes]
    assert len({fingerprint(part) for part in parts}) == len(parts)


@pytest.mark.parametrize("name", DATASETS)
def test_what_is_known_of_a_data_set_is_known_without_its_files(name, tmp_path):
    found = data_overview(DataSettings("builtin", name, str(tmp_path / "nothing")))
    held_out = DATASETS[name].num_pool // 6
    assert found.spec == DATASETS[name]
    assert (found.num_train, found.num_validation) == (found.spec.num_pool - held_out, held_out)
    assert found.is_here == (name == "digits")
    assert list(tmp_path.iterdir()) == []


def test_every_data_set_has_a_source():
    assert SOURCES.keys() == DATASETS.keys()


# ---------------------------------------------------------------- the real MNIST


def test_mnist_is_the_known_one(mnist_dir):
    data = load_small(mnist_dir)
    test = open_test_split(DataSettings("builtin", "mnist", str(mnist_dir)))
    assert (len(data.train), len(data.validation), len(test)) == (50_000, 10_000, 10_000)
    assert data.mean == pytest.approx(np.full(784, 33.3), abs=0.1)
    assert data.std == pytest.approx(np.full(784, 78.6), abs=0.1)
    assert np.bincount(test.labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
    assert labelled(data.train, data.validation).total() == 60_000
