"""The test part of a data set.

Only `sweep.evaluation.openings` may import this module; the lint step holds the contract. That
module records each reading in the store before it opens the test part.
"""

from __future__ import annotations

from sweep.data.parts import Part
from sweep.data.sources import open_source
from sweep.records import DataSettings

__all__ = ["open_test_split"]


def open_test_split(settings: DataSettings) -> Part:
    """Read the test part, in the order of the data set.

    Raises:
        DataError: the data set is missing or damaged.
    """
    return open_source(settings).read("test")
