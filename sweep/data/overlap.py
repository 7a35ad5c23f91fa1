"""How many test examples also stand in the training pool.

Inputs of the test part are hashed and dropped at once, and its labels are not looked at: only a
count leaves this module. That is no opening of the test split, for nothing can be chosen by it.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.data.parts import Part, Pool
from sweep.data.sealed import open_test_split
from sweep.records import DataSettings

__all__ = ["num_in_training", "num_shared"]


def num_in_training(settings: DataSettings, pool: Pool) -> int:
    """How many examples of the test part have inputs that stand in the training pool, too.

    Raises `DataError` if the test part is missing or damaged.
    """
    return num_shared(pool, open_test_split(settings))


def num_shared(pool: Pool, test: Part) -> int:
    """How many test examples have inputs that stand in the pool, too, whatever their classes."""
    parts = [pool.examples] if pool.validation is None else [pool.examples, pool.validation]
    known = np.concatenate([_hashes(part.inputs) for part in parts])
    return int(np.isin(_hashes(test.inputs), known).sum())


def _hashes(inputs: Any) -> NDArray[np.uint64]:
    """64 bits for each example; that any two of a million agree by chance is 1 to 40 million."""
    if not isinstance(inputs, np.ndarray):
        return _hashes_of_rows(inputs)
    if inputs.dtype != np.uint8:
        inputs = inputs + 0  # -0.0 becomes 0.0
    examples = np.ascontiguousarray(inputs)
    digests = b"".join(blake2b(each, digest_size=8).digest() for each in examples)
    return np.frombuffer(digests, np.uint64)


def _hashes_of_rows(rows: Any) -> NDArray[np.uint64]:
    """Hashes of a table's rows: a number is the same whether a file's column is whole or not."""
    import pandas as pd

    plain = rows.apply(
        lambda column: column.astype(
            "float64" if pd.api.types.is_numeric_dtype(column) else "object"
        )
    )
    hashes: NDArray[np.uint64] = pd.util.hash_pandas_object(plain, index=False).to_numpy()
    return hashes
