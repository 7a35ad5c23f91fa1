"""The test part of a data set.

Only `sweep.evaluation.openings` may import this module; the lint step holds the contract. It
records in the store that the test part is opened before it is.
"""

from __future__ import annotations

from pathlib import Path

from sweep.data.datasets import Part
from sweep.data.sources import read_part

__all__ = ["open_test_split"]


def open_test_split(name: str, data_dir: Path) -> Part:
    """Read the test part.

    Args:
        name: A name of `sweep.data.DATASETS`.
        data_dir: Folder of local data sets; downloads go there.

    Returns:
        The test images with their labels, in the order of the data set.

    Raises:
        DataError: the data set is missing or damaged.
    """
    return read_part(name, data_dir, test=True)
