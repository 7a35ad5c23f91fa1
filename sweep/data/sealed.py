"""The test part of a data set.

Only `sweep.evaluation.openings` may import this module; the lint step holds the contract. It
records in the store that the test part is opened before it is.
"""

from __future__ import annotations

from sweep.data.parts import Part
from sweep.data.sources import open_source
from sweep.records import DataSettings

__all__ = ["open_test_split"]


def open_test_split(settings: DataSettings) -> Part:
    """Read the test part.

    Args:
        settings: Name the data set and its folder.

    Returns:
        The test examples with their labels, in the order of the data set.

    Raises:
        DataError: the data set is missing or damaged.
    """
    return open_source(settings).read("test")
