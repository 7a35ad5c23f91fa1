"""A download is checked before it is parsed, and nothing is left of one that was not whole."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torchvision.datasets
from helpers import idx_bytes
from made_files import cifar_batch, svhn_file
from torchvision.datasets import utils

from sweep.data import load_training_data, sources
from sweep.data.sealed import open_test_split
from sweep.data.sources import cifar, plain_pickles, svhn
from sweep.definitions import DATASETS
from sweep.errors import DataError
from sweep.records import DataSettings

DOWNLOADED = [name for name in DATASETS if name != "digits"]


def good_looking_file(url: str) -> bytes:
    """What a mirror could send that parses well and is not what it should be."""
    if url.endswith(".zip"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("gzip/emnist-balanced-train-images-idx3-ubyte.gz", gzip.compress(b"x"))
        return buffer.getvalue()
    if url.endswith(".tar.gz"):
        return packed(url, {"data_batch_1": b"x", "train": b"x"})
    shape = (60_000, 28, 28) if "images" in url else (60_000,)
    return gzip.compress(idx_bytes(np.zeros(shape)), 1)


def packed(url: str, contents: dict[str, bytes]) -> bytes:
    """An archive as CIFAR's, with these files in its folder."""
    layout = cifar.CIFAR100 if "100" in url else cifar.CIFAR10
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"{layout.folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that anything unpacked or parsed."""
    seen: list[str] = []

    def watch(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def watched(path: Any, *arguments: Any, **options: Any) -> Any:
            seen.append(str(path))
            return original(path, *arguments, **options)

        monkeypatch.setattr(owner, name, watched)

    watch(utils, "extract_archive")
    watch(torchvision.datasets.mnist, "extract_archive")
    watch(torchvision.datasets.mnist, "read_sn3_pascalvincent_tensor")
    watch(plain_pickles.pickle, "load")
    watch(cifar, "load_plain_pickle")
    watch(scipy.io, "loadmat")
    return seen


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], bytes]], list[str]]:
    """Put this in place of the network; gives the list of what was asked for."""

    def use(content: Callable[[str], bytes]) -> list[str]:
        asked: list[str] = []

        def retrieve(url: str, filename: Any, *_: Any, **__: Any) -> None:
            asked.append(url)
            Path(filename).write_bytes(content(url))

        monkeypatch.setattr(utils, "_urlretrieve", retrieve)
        monkeypatch.setattr(utils, "_get_redirect_url", lambda url, **_: url)
        return asked

    return use


@pytest.mark.parametrize("name", DOWNLOADED)
def test_a_file_with_another_checksum_is_refused_before_it_is_parsed(
    tmp_path, mirror, parsed, name
):
    asked = mirror(good_looking_file)
    with pytest.raises(DataError, match=r"could it be downloaded \(.*--data-dir"):
        load_training_data(DataSettings("builtin", name, str(tmp_path / "data")))
    assert asked
    assert parsed == []
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_breaks_off_leaves_nothing(tmp_path, mirror, parsed):
    def break_off(url: str) -> bytes:
        raise OSError("connection reset by peer")

    mirror(break_off)
    with pytest.raises(DataError, match="MNIST is neither under"):
        load_training_data(DataSettings("builtin", "mnist", str(tmp_path / "data")))
    assert parsed == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_with_its_checksum_is_taken(tmp_path, mirror, parsed, monkeypatch):
    """The same mirror, once the checksums are those of its files: the test above can fail."""
    contents = {
        name: good_looking_file(name)
        for name, _ in torchvision.datasets.MNIST.resources
        if "train" in name
    } | {
        "t10k-images-idx3-ubyte.gz": gzip.compress(idx_bytes(np.zeros((10_000, 28, 28))), 1),
        "t10k-labels-idx1-ubyte.gz": gzip.compress(idx_bytes(np.zeros(10_000)), 1),
    }
    sums = {name: utils.hashlib.md5(raw).hexdigest() for name, raw in contents.items()}
    resources = [(name, sums[name]) for name, _ in torchvision.datasets.MNIST.resources]
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)
    mirror(lambda url: contents[url.rsplit("/", 1)[1]])
    data = load_training_data(DataSettings("builtin", "mnist", str(tmp_path / "data")))
    assert len(data.train) == 50_000
    assert parsed
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["MNIST"]


def md5(content: bytes) -> str:
    return utils.hashlib.md5(content).hexdigest()


def shrink(monkeypatch: pytest.MonkeyPatch, name: str, num_pool: int, num_test: int) -> None:
    spec = replace(DATASETS[name], num_pool=num_pool, num_test=num_test)
    monkeypatch.setitem(DATASETS, name, spec)


def test_an_archive_of_cifar_is_unpacked_and_its_folder_taken(tmp_path, mirror, monkeypatch):
    shrink(monkeypatch, "cifar100", 12, 4)
    contents = {
        name: cifar_batch(size, "fine_labels") for name, size in (("train", 12), ("test", 4))
    }
    layout = replace(
        cifar.CIFAR100,
        pool={"train": md5(contents["train"])},
        test={"test": md5(contents["test"])},
    )
    monkeypatch.setitem(sources.SOURCES, "cifar100", lambda settings: cifar.Cifar(settings, layout))
    archive = packed("100", contents)
    monkeypatch.setattr(torchvision.datasets.CIFAR100, "tgz_md5", md5(archive))
    asked = mirror(lambda url: archive)
    settings = DataSettings("builtin", "cifar100", str(tmp_path / "data"))
    assert len(load_training_data(settings).train) == 10
    assert len(open_test_split(settings)) == 4
    assert asked == [torchvision.datasets.CIFAR100.url]
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert sorted(path.name for path in files) == ["test", "train"]


def test_both_files_of_svhn_are_downloaded_at_once(tmp_path, mirror, monkeypatch):
    shrink(monkeypatch, "svhn", 12, 4)
    contents = {"train_32x32.mat": svhn_file(12), "test_32x32.mat": svhn_file(4)}
    known = {
        part: (name, md5(content))
        for part, (name, content) in zip(("pool", "test"), contents.items(), strict=True)
    }
    monkeypatch.setattr(svhn, "_FILES", known)
    splits = {
        split: [f"http://example.org/{name}", name, md5(contents[name])]
        for split, name in zip(("train", "test"), contents, strict=True)
    }
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", splits)
    asked = mirror(lambda url: contents[url.rsplit("/", 1)[1]])
    settings = DataSettings("builtin", "svhn", str(tmp_path / "data"))
    assert len(load_training_data(settings).train) == 10
    assert len(asked) == 2
    assert len(open_test_split(settings)) == 4
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == sorted(contents)


def test_the_sums_and_names_of_files_are_torchvisions():
    for layout in (cifar.CIFAR10, cifar.CIFAR100):
        known = getattr(torchvision.datasets, layout.title)
        assert layout.folder == known.base_folder
        assert layout.pool == dict(known.train_list)
        assert layout.test == dict(known.test_list)
    known = torchvision.datasets.SVHN.split_list
    assert {"pool": tuple(known["train"][1:]), "test": tuple(known["test"][1:])} == svhn._FILES
