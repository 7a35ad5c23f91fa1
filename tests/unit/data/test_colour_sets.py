"""CIFAR, SVHN and EMNIST's letters in torchvision's layouts; files that are not theirs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import write_idx
from made_files import cifar_batch, images_of, labels_of, old_pickle, svhn_file

from sweep.data import Part, load_training_data
from sweep.data.sealed import open_test_split
from sweep.data.sources import SOURCES, cifar, svhn
from sweep.data.sources.plain_pickles import load_plain_pickle
from sweep.definitions import DATASETS
from sweep.errors import DataError
from sweep.records import DataSettings


@pytest.fixture
def shrink(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int, int], None]:
    """Give a data set fewer images."""

    def change(name: str, num_pool: int, num_test: int) -> None:
        spec = replace(DATASETS[name], num_pool=num_pool, num_test=num_test)
        monkeypatch.setitem(DATASETS, name, spec)

    return change


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shrink) -> Callable[..., DataSettings]:
    """Put small files where torchvision would, and take their MD5 sums for the genuine ones."""

    def put(name: str, contents: dict[str, bytes]) -> DataSettings:
        layout = {"cifar10": cifar.CIFAR10, "cifar100": cifar.CIFAR100}.get(name)
        folder = tmp_path / (layout.folder if layout else "")
        folder.mkdir(exist_ok=True)
        sums = {}
        for file, content in contents.items():
            (folder / file).write_bytes(content)
            sums[file] = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if layout is None:
            shrink(name, 20, 5)
            known = {part: (file, sums[file]) for part, (file, _) in svhn._FILES.items()}
            monkeypatch.setattr(svhn, "_FILES", known)
        else:
            shrink(name, 4 * len(layout.pool), 5)
            changed = replace(
                layout,
                pool={file: sums[file] for file in layout.pool},
                test={file: sums[file] for file in layout.test},
            )
            monkeypatch.setitem(SOURCES, name, lambda settings: cifar.Cifar(settings, changed))
        return DataSettings("builtin", name, str(tmp_path), validation=1)

    return put


def cifar10_files() -> dict[str, bytes]:
    batches = {name: cifar_batch(4) for name in cifar.CIFAR10.pool}
    return {**batches, "test_batch": cifar_batch(5)}


def pool_of(settings: DataSettings) -> Part:
    return SOURCES[settings.name](settings).pool().examples


def test_batches_of_cifar10_are_read_in_their_order(place):
    settings = place("cifar10", cifar10_files())
    pool, test = pool_of(settings), open_test_split(settings)
    np.testing.assert_array_equal(pool.inputs, np.concatenate([images_of(4)] * 5))
    assert pool.labels.tolist() == labels_of(4).tolist() * 5
    np.testing.assert_array_equal(test.inputs, images_of(5))
    data = load_training_data(settings)
    assert (data.spec.input_shape, len(data.train)) == ((3, 32, 32), 19)
    assert data.spec.class_names[:3] == ("airplane", "automobile", "bird")
    assert pool.inputs.flags.c_contiguous


def test_cifar100_has_the_fine_labels(place):
    files = {"train": cifar_batch(4, "fine_labels"), "test": cifar_batch(5, "fine_labels")}
    pool = pool_of(place("cifar100", files))
    assert pool.labels.tolist() == labels_of(4).tolist()
    names = DATASETS["cifar100"].class_names
    assert (len(names), list(names)) == (100, sorted(set(names)))
    assert (names[1], names[-1]) == ("aquarium_fish", "worm")


def test_svhn_is_read_with_the_digit_0_first(place):
    settings = place("svhn", {"train_32x32.mat": svhn_file(20), "test_32x32.mat": svhn_file(5)})
    pool, test = pool_of(settings), open_test_split(settings)
    np.testing.assert_array_equal(pool.inputs, images_of(20))
    assert pool.labels.tolist() == labels_of(20).tolist()
    np.testing.assert_array_equal(test.inputs, images_of(5))
    assert (pool.inputs.dtype, pool.labels.dtype) == (np.uint8, np.int64)


def test_letters_count_from_one_and_lie_on_their_side(tmp_path, shrink):
    shrink("emnist-letters", 52, 26)
    images = np.random.default_rng(0).integers(0, 256, (52, 28, 28))
    folder = tmp_path / "EMNIST" / "raw"
    for part, size in (("train", 52), ("test", 26)):
        stem = folder / f"emnist-letters-{part}"
        write_idx(Path(f"{stem}-images-idx3-ubyte"), images[:size])
        write_idx(Path(f"{stem}-labels-idx1-ubyte"), np.arange(size) % 26 + 1)
    settings = DataSettings("builtin", "emnist-letters", str(tmp_path))
    pool = pool_of(settings)
    np.testing.assert_array_equal(pool.inputs[:, 0], images.transpose(0, 2, 1))
    assert pool.labels.tolist() == list(range(26)) * 2
    assert len(open_test_split(settings)) == 26
    names = DATASETS["emnist-letters"].class_names
    assert (names[0], names[-1], len(names)) == ("A", "Z", 26)
    for strange in (0, 27):
        write_idx(folder / "emnist-letters-train-labels-idx1-ubyte", np.full(52, strange))
        with pytest.raises(DataError, match=f"labels must be from 1 to 26; found {strange}$"):
            pool_of(settings)


# ---------------------------------------------------------------- files that are not theirs


@pytest.mark.parametrize("change", ["cut", "flip", "longer", "empty"])
@pytest.mark.parametrize("name", ["cifar10", "svhn"])
def test_a_file_with_another_checksum_is_not_even_opened(
    place, tmp_path, monkeypatch, name, change
):
    if name == "cifar10":
        settings, file = place(name, cifar10_files()), "cifar-10-batches-py/data_batch_3"
    else:
        files = {"train_32x32.mat": svhn_file(20), "test_32x32.mat": svhn_file(5)}
        settings, file = place(name, files), "train_32x32.mat"
    whole = (tmp_path / file).read_bytes()
    middle = len(whole) // 2
    changed = {
        "cut": whole[:-1],
        "flip": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "longer": whole + b"x",
        "empty": b"",
    }[change]
    (tmp_path / file).write_bytes(changed)
    opened: list[bytes] = []
    monkeypatch.setattr(cifar, "load_plain_pickle", lambda raw: opened.append(raw) or load(raw))
    monkeypatch.setattr("scipy.io.loadmat", lambda *_, **__: opened.append(b"mat"))
    load = load_plain_pickle
    words = rf"^{re.escape(str(tmp_path / file))}: is damaged: its MD5 sum must be \w+; found \w+; "
    with pytest.raises(DataError, match=f"{words}delete it to download it again$"):
        pool_of(settings)
    assert changed not in opened
    assert b"mat" not in opened


def test_a_file_that_cannot_be_read_is_one_line(place, tmp_path, monkeypatch):
    settings = place("cifar10", cifar10_files())

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"data_batch_1: cannot be read: Permission denied; delete"):
        pool_of(settings)


BROKEN_BATCHES = {
    "no labels": (old_pickle({"data": images_of(4).reshape(4, -1)}), "'labels'"),
    "no dictionary": (old_pickle([1, 2]), "list indices"),
    "no array": (old_pickle({"data": "text", "labels": [0]}), "'str' object"),
    "other size": (old_pickle({"data": images_of(4)[:, :, 1:], "labels": [0]}), "cannot reshape"),
    "cut": (cifar_batch(4)[:-40], "must hold arrays"),
    "noise": (b"\xff" * 99, "must hold arrays, text and containers alone; invalid load key"),
}


@pytest.mark.parametrize("kind", BROKEN_BATCHES)
def test_a_verified_file_of_other_content_is_named(place, kind):
    """As a forger who found a file of the same MD5 sum could have it."""
    content, reason = BROKEN_BATCHES[kind]
    settings = place("cifar10", {**cifar10_files(), "data_batch_2": content})
    words = f"data_batch_2: is no batch of CIFAR10: .*{re.escape(reason)}"
    with pytest.raises(DataError, match=words) as caught:
        pool_of(settings)
    assert "\n" not in str(caught.value)


def test_too_few_images_are_named(place, shrink):
    settings = place("cifar10", cifar10_files())
    shrink("cifar10", 21, 5)
    words = r"must hold 21 images of 3 x 32 x 32 bytes; found uint8 of shape \(20, 3, 32, 32\)$"
    with pytest.raises(DataError, match=words):
        pool_of(settings)


def test_a_matlab_file_of_something_else_is_named(place):
    files = {"train_32x32.mat": b"MATLAB 5.0 MAT-file" + b"\0" * 200, "test_32x32.mat": b""}
    with pytest.raises(DataError, match=r"train_32x32\.mat: is no file of SVHN: .*; delete it"):
        pool_of(place("svhn", files))


# ---------------------------------------------------------------- pickles that would run code


@pytest.mark.parametrize(
    "call",
    [
        b"cposix\nsystem\n(T\x06\x00\x00\x00touch x",
        b"cbuiltins\neval\n(T\x03\x00\x00\x001+1",
        b"c__builtin__\neval\n(T\x03\x00\x00\x001+1",
        b"cnumpy\nload\n(T\x01\x00\x00\x00x",
        b"cnumpy.core.multiarray\nfromfile\n(T\x01\x00\x00\x00x",
        b"cnumpy\nndarray.tofile\n(T\x01\x00\x00\x00x",
        b"c_codecs\nencode\n(T\x01\x00\x00\x00x",
        b"ccopyreg\n_reconstructor\n(T\x01\x00\x00\x00x",
    ],
    ids=lambda call: call.split(b"\n(")[0][1:].replace(b"\n", b".").decode(),
)
def test_a_pickle_can_name_nothing_but_arrays(place, tmp_path, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    name = call.split(b"\n(")[0][1:].replace(b"\n", b".").decode()
    content = b"\x80\x02" + call + b"tR."
    with pytest.raises(ValueError, match=rf"^it must hold arrays.*it names {re.escape(name)}$"):
        load_plain_pickle(content)
    settings = place("cifar10", {**cifar10_files(), "data_batch_1": content})
    with pytest.raises(DataError, match=rf"data_batch_1: is no batch.*names {re.escape(name)}; "):
        pool_of(settings)
    assert [path.name for path in tmp_path.iterdir()] == [cifar.CIFAR10.folder]


def test_the_same_pickle_runs_code_where_everything_is_allowed(tmp_path, monkeypatch):
    """The test above can fail."""
    import pickle

    monkeypatch.chdir(tmp_path)
    pickle.loads(b"\x80\x02cposix\nsystem\n(T\x07\x00\x00\x00touch xtR.")  # noqa: S301
    assert (tmp_path / "x").exists()
