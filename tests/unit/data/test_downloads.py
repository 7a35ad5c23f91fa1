"""A download is checked before it is parsed, and nothing is left of one that was not whole."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets
from helpers import idx_bytes
from torchvision.datasets import utils

from sweep.data import load_training_data
from sweep.errors import DataError
from sweep.records import DataSettings

FAMILY = ["mnist", "fashion-mnist", "kmnist", "emnist-balanced"]


def good_looking_file(url: str) -> bytes:
    """What a mirror could send that parses well and is not what it should be."""
    if url.endswith(".zip"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("gzip/emnist-balanced-train-images-idx3-ubyte.gz", gzip.compress(b"x"))
        return buffer.getvalue()
    shape = (60_000, 28, 28) if "images" in url else (60_000,)
    return gzip.compress(idx_bytes(np.zeros(shape)), 1)


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


@pytest.mark.parametrize("name", FAMILY)
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
