"""A table's rows → numbers, by what the training split shows. Imports scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

__all__ = ["TableEncoder"]

_RARE = 10  # rows of the training split; categories with fewer share one column


@dataclass(frozen=True, slots=True)
class TableEncoder:
    """Encodes the rows of a table as float32.

    Numbers are standardised, with the median for missing ones and a column that flags them. Text
    becomes a column for each category; rare categories, and those that the training split does not
    have, share one.
    """

    transformer: ColumnTransformer

    @classmethod
    def fit(cls, rows: pd.DataFrame) -> TableEncoder:
        """Learn medians, scales and categories from the training split."""
        numbers = [name for name in rows if pd.api.types.is_numeric_dtype(rows[name])]
        texts = [name for name in rows if name not in numbers]
        categories = OneHotEncoder(
            handle_unknown="infrequent_if_exist", min_frequency=_RARE, sparse_output=False
        )
        transformer = ColumnTransformer(
            [
                (
                    "numbers",
                    make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
                    numbers,
                ),
                ("missing", MissingIndicator(error_on_new=False), numbers),
                ("categories", categories, texts),
            ]
        )
        return cls(transformer.fit(rows))

    def transform(self, rows: pd.DataFrame) -> NDArray[np.float32]:
        """Rows of the same columns as numbers, shape (N, inputs)."""
        return np.asarray(self.transformer.transform(rows), np.float32)
