"""The test part of a data set.

Only `sweep.evaluation.openings` may import this, which records each reading before it reads, and
`sweep.data.overlap`, which hands out nothing but a count.
"""

from __future__ import annotations

from sweep.data.parts import Part
from sweep.data.sources import open_source
from sweep.records import DataSettings

__all__ = ["open_test_split"]


def open_test_split(settings: DataSettings) -> Part:
    """Read the test part in the data set's order; `DataError` if it is missing or damaged."""
    return open_source(settings).test()
