"""The test part of a data set.

Only `sweep.evaluation` may import this module; the lint step holds the contract. Whoever opens
the test part records that in the store first.
"""

from __future__ import annotations

from pathlib import Path

from sweep.data.sources import SOURCES, Part

__all__ = ["open_test_split"]


def open_test_split(name: str, data_dir: Path) -> Part:
    """Read the test part.

    Args:
        name: A name of `sweep.data.sources.SOURCES`.
        data_dir: Folder of local data sets; downloads go there.

    Returns:
        The test images with their labels, in the order of the data set.

    Raises:
        DataError: the data set is missing or damaged.
    """
    return SOURCES[name].read(data_dir, True)
