"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009), photographs of 32 x 32 in colour.

In torchvision's layout, whose files are pickles; see `plain_pickles` for how they are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.data.parts import Part, Pool
from sweep.data.sources.downloads import PartName, built_in_part, download, read_verified
from sweep.data.sources.plain_pickles import load_plain_pickle
from sweep.definitions import DATASETS
from sweep.errors import DataError
from sweep.records import DataSettings

__all__ = ["CIFAR10", "CIFAR100", "Cifar", "Layout"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where torchvision keeps one of the two, and what is in its files.

    Attributes:
        title: The data set's name, and that of torchvision's class.
        labels: The key of the labels.
        pool: MD5 sums of the training files, by name.
        test: Of the test file.
    """

    title: str
    folder: str
    labels: str
    pool: dict[str, str]
    test: dict[str, str]


CIFAR10 = Layout(
    "CIFAR10",
    "cifar-10-batches-py",
    "labels",
    pool={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    },
    test={"test_batch": "40351d587109b95175f43aff81a1287e"},
)
CIFAR100 = Layout(
    "CIFAR100",
    "cifar-100-python",
    "fine_labels",
    pool={"train": "16019d7e3df5f24257cddd939b257f8d"},
    test={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
)


class Cifar:
    """Colour images in pickles, a `sweep.data.sources.DataSource`."""

    def __init__(self, settings: DataSettings, layout: Layout) -> None:
        self._spec = DATASETS[settings.name]
        self._data_dir = Path(settings.path)
        self._layout = layout
        self._folder = self._data_dir / layout.folder

    def is_here(self) -> bool:
        """Whether all files are in the data directory."""
        names = (*self._layout.pool, *self._layout.test)
        return all((self._folder / name).is_file() for name in names)

    def pool(self) -> Pool:
        """What is there for training and validation."""
        return Pool(self._read("pool"), self._spec.class_names, self._spec.num_test)

    def test(self) -> Part:
        """The test part."""
        return self._read("test")

    def _read(self, part: PartName) -> Part:
        sums = self._layout.test if part == "test" else self._layout.pool
        if not all((self._folder / name).is_file() for name in sums):
            download(self._layout.title, self._data_dir, self._folder, self._fetch)
        batches = [self._read_batch(self._folder / name, md5) for name, md5 in sums.items()]
        images, labels = map(np.concatenate, zip(*batches, strict=True))
        return built_in_part(
            self._spec, part, images, labels, image_path=self._folder, label_path=self._folder
        )

    def _read_batch(self, path: Path, md5: str) -> tuple[NDArray[Any], NDArray[Any]]:
        content = read_verified(path, md5)
        try:
            batch = load_plain_pickle(content)
            images, labels = batch["data"], np.array(batch[self._layout.labels])
            return images.reshape(len(images), *self._spec.input_shape), labels
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise DataError(
                f"{path}: is no batch of {self._layout.title}: {error}; delete it to download it "
                "again"
            ) from None

    def _fetch(self, folder: str) -> None:
        # Not torchvision's class itself, which unpickles what it has downloaded.
        from torchvision import datasets

        known = getattr(datasets, self._layout.title)
        datasets.utils.download_and_extract_archive(
            known.url, folder, filename=known.filename, md5=known.tgz_md5, remove_finished=True
        )
