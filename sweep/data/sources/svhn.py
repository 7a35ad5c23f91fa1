"""Street View House Numbers (Netzer et al., 2011): digits of 32 x 32 in colour, cropped.

In torchvision's layout: MATLAB files in the data directory itself. The extra training images are
left out.
"""

from __future__ import annotations

import io
from pathlib import Path

from sweep.data.parts import Part, Pool
from sweep.data.sources.downloads import PartName, built_in_part, download, read_verified
from sweep.definitions import DATASETS
from sweep.errors import DataError
from sweep.records import DataSettings

__all__ = ["Svhn"]

_FILES: dict[PartName, tuple[str, str]] = {
    "pool": ("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373"),
    "test": ("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3"),
}
"""Names and MD5 sums."""


class Svhn:
    """Colour images in MATLAB files, a `sweep.data.sources.DataSource`."""

    def __init__(self, settings: DataSettings) -> None:
        self._spec = DATASETS[settings.name]
        self._data_dir = Path(settings.path)

    def is_here(self) -> bool:
        """Whether both files are in the data directory."""
        return all((self._data_dir / name).is_file() for name, _ in _FILES.values())

    def pool(self) -> Pool:
        """What is there for training and validation."""
        return Pool(self._read("pool"), self._spec.class_names, self._spec.num_test)

    def test(self) -> Part:
        """The test part."""
        return self._read("test")

    def _read(self, part: PartName) -> Part:
        name, md5 = _FILES[part]
        path = self._data_dir / name
        if not path.is_file():
            download("SVHN", self._data_dir, self._data_dir, _fetch)
        content = read_verified(path, md5)
        from scipy.io import loadmat  # a third of a second, for this data set alone

        try:
            found = loadmat(io.BytesIO(content), variable_names=("X", "y"))
            images, labels = found["X"].transpose(3, 2, 0, 1), found["y"].reshape(-1)
        except (LookupError, NotImplementedError, TypeError, ValueError) as error:
            raise DataError(
                f"{path}: is no file of SVHN: {error}; delete it to download it again"
            ) from None
        # The digit 0 is labelled 10.
        return built_in_part(
            self._spec, part, images, labels % 10, image_path=path, label_path=path
        )


def _fetch(folder: str) -> None:
    # Not torchvision's class itself, which parses what it has downloaded.
    from torchvision import datasets

    for split in ("train", "test"):
        url, name, md5 = datasets.SVHN.split_list[split]
        datasets.utils.download_url(url, folder, name, md5)
