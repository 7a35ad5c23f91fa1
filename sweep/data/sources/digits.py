"""scikit-learn's bundled handwriting (Alpaydin and Kaynak, 1998), 8 x 8, values 0 to 16."""

from __future__ import annotations

import csv
import gzip
import importlib.util
from pathlib import Path

import numpy as np

from sweep.data.parts import Part, Pool
from sweep.definitions import DATASETS
from sweep.errors import DataError
from sweep.records import DataSettings

__all__ = ["Digits"]

_TEST_SEED = 20_250_101  # never changes: the test part does not depend on a study


class Digits:
    """scikit-learn's digits, a `sweep.data.sources.DataSource`."""

    def __init__(self, settings: DataSettings) -> None:
        self._spec = DATASETS[settings.name]

    def is_here(self) -> bool:
        """Always: it comes with scikit-learn."""
        return True

    def pool(self) -> Pool:
        """What is there for training and validation."""
        spec = self._spec
        return Pool(self._read(is_test=False), spec.class_names, spec.num_test)

    def test(self) -> Part:
        """The test part."""
        return self._read(is_test=True)

    def _read(self, *, is_test: bool) -> Part:
        # Importing scikit-learn takes two seconds; reading its file does not.
        package = importlib.util.find_spec("sklearn")
        if package is None or not package.submodule_search_locations:
            raise DataError("digits comes with scikit-learn, which is missing: install it")
        path = Path(package.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
        try:
            with gzip.open(path, "rt", encoding="ascii") as file:
                rows = np.array([[int(value) for value in row] for row in csv.reader(file)])
        except (OSError, EOFError, ValueError) as error:
            reason = f"cannot be read: {error}; install scikit-learn again"
            raise DataError(f"{path}: {reason}") from None
        if rows.shape != (1797, 65):
            raise DataError(f"{path}: must have 1,797 rows of 65 values; found shape {rows.shape}")
        images = rows[:, :64].astype(np.uint8).reshape(-1, *self._spec.input_shape)
        digits = Part(images, rows[:, 64].astype(np.int64))
        order = np.random.default_rng(_TEST_SEED).permutation(len(digits))
        num_test = self._spec.num_test
        return digits.take(order[:num_test] if is_test else order[num_test:])
