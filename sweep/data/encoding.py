"""A table's rows → numbers, by what the training split shows. Imports scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sweep.control_groups import available_host_bytes
from sweep.data.table_columns import is_text, listed, words_in
from sweep.errors import DataError
from sweep.words import counted, did_you_mean

__all__ = ["Categories", "EncoderRules", "TableEncoder"]

_RARE = 10  # rows of the training split; categories with fewer share one input
_MOST_CATEGORIES = 100  # inputs of one column
_FAR = 1e4  # standard deviations; what is farther from the mean counts as this far
_ROWS_AT_ONCE = 2**15  # scikit-learn computes in float64 and copies
_SHARE_OF_MEMORY = 0.5
_MISSING = None  # among categories


@dataclass(frozen=True, slots=True)
class Categories:
    """The inputs of a column of text, numbered from 0; -1 stands for none of them.

    Attributes:
        codes: Of the categories that have an input of their own.
        missing: Code of a missing value.
        other: Code of all other values.
    """

    codes: dict[str, int]
    missing: int
    other: int

    @property
    def num_inputs(self) -> int:
        """How many inputs the column has."""
        return 1 + max(*self.codes.values(), self.missing, self.other)


@dataclass(frozen=True, slots=True)
class EncoderRules:
    """What an encoder has learnt, for use without scikit-learn.

    A row becomes its numbers, `(number - mean) / scale`, with `median` for missing ones and at most
    `farthest` in absolute value; then an input for each of the columns at `flagged`, 1 where its
    number is missing; then the inputs of each column of text.

    Attributes:
        median: Like `mean` and `scale`, of each column of numbers, float64.
        flagged: Positions of columns of numbers.
        farthest: In standard deviations.
        categories: Of each column of text.
    """

    median: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    flagged: NDArray[np.int64]
    farthest: float
    categories: tuple[Categories, ...]


@dataclass(frozen=True, slots=True)
class TableEncoder:
    """Encodes the rows of a table as float32.

    Numbers are standardised, with the median for missing ones and an input that flags them. Text
    becomes an input for each category, missing values included; rare categories, and those that
    the training split does not have, share one.

    Attributes:
        numbers: The columns of numbers that are used.
        texts: The columns of text that are used.
        notes: What was left out or put together, a sentence each.
    """

    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    notes: tuple[str, ...]
    _transformer: ColumnTransformer

    @classmethod
    def fit(cls, rows: pd.DataFrame) -> TableEncoder:
        """Learn medians, scales and categories from the training split.

        Raises:
            DataError: no column has anything to learn from.
        """
        useful, notes = _useful_columns(rows)
        if not useful:
            raise DataError(
                "no column of the table can be an input: in the training split each has one value "
                f"only, or none in {_RARE} rows"
            )
        texts = [name for name in useful if is_text(rows[name])]
        numbers = [name for name in useful if name not in texts]
        transformer = ColumnTransformer(
            [
                (
                    "numbers",
                    make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
                    numbers,
                ),
                ("missing", MissingIndicator(error_on_new=False), numbers),
                (
                    "categories",
                    OneHotEncoder(
                        handle_unknown="infrequent_if_exist",
                        min_frequency=_RARE,
                        max_categories=_MOST_CATEGORIES,
                        sparse_output=False,
                    ),
                    texts,
                ),
            ]
        )
        transformer.fit(_selected(rows, numbers, texts))
        return cls(tuple(numbers), tuple(texts), tuple(notes), transformer)

    @property
    def num_inputs(self) -> int:
        """How many numbers a row becomes."""
        return len(self._transformer.get_feature_names_out())

    def transform(self, rows: pd.DataFrame) -> NDArray[np.float32]:
        """Rows as numbers, all finite, shape (N, inputs); columns that are not used may be there.

        Raises:
            DataError: a column is missing or has text in place of numbers, or memory is short.
        """
        self._check(rows)
        encoded = np.empty((len(rows), self.num_inputs), np.float32)
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            part = _selected(rows.iloc[first : first + _ROWS_AT_ONCE], self.numbers, self.texts)
            values = np.asarray(self._transformer.transform(part), np.float64)
            encoded[first : first + len(part)] = np.clip(values, -_FAR, _FAR)
        return encoded

    @property
    def rules(self) -> EncoderRules:
        """What was learnt."""
        parts = self._transformer.named_transformers_
        median = mean = scale = np.empty(0)
        flagged = np.empty(0, np.int64)
        if self.numbers:
            imputer, scaler = parts["numbers"]
            median, mean, scale = imputer.statistics_, scaler.mean_, scaler.scale_
            flagged = parts["missing"].features_.astype(np.int64)
        known: list[Categories] = []
        if self.texts:
            encoder = parts["categories"]
            known = list(map(_codes, encoder.categories_, encoder.infrequent_categories_))
        return EncoderRules(median, mean, scale, flagged, _FAR, tuple(known))

    def unseen(self, rows: pd.DataFrame) -> list[str]:
        """A sentence on each column of text with values that the training split does not have."""
        notes = []
        known = (
            self._transformer.named_transformers_["categories"].categories_ if self.texts else []
        )
        for name, categories in zip(self.texts, known, strict=True):
            strange = rows[name].notna() & ~rows[name].isin(categories)
            if strange.any():
                notes.append(
                    f"column {name!r} has values in {counted(int(strange.sum()), 'row')} that "
                    f"training did not see, such as {rows[name][strange].iloc[0]!r}"
                )
        return notes

    def _check(self, rows: pd.DataFrame) -> None:
        for name in (*self.numbers, *self.texts):
            if name not in rows:
                raise DataError(
                    f"the table has no column {name!r}{did_you_mean(name, rows)}, which the "
                    "training split has"
                )
        for name in self.numbers:
            if is_text(rows[name]) and rows[name].notna().any():
                raise DataError(
                    f"column {name!r} must hold numbers, as in the training split; found "
                    f"{listed(words_in(rows[name]))}"
                )
        needed, there = 4 * len(rows) * self.num_inputs, available_host_bytes()
        if there is not None and needed > _SHARE_OF_MEMORY * there:
            raise DataError(
                f"{len(rows):,} rows of {self.num_inputs:,} numbers each take "
                f"{needed / 2**30:.1f} GiB, more than half of the {there / 2**30:.1f} GiB of "
                "memory that are available; leave out rows, or columns with many categories"
            )


def _selected(rows: pd.DataFrame, numbers: Sequence[str], texts: Sequence[str]) -> pd.DataFrame:
    """These columns, as scikit-learn takes them whatever file they were read from."""
    columns = {name: rows[name].astype(np.float64) for name in numbers}
    for name in texts:
        known = rows[name].notna()
        columns[name] = rows[name].astype(str).astype(object).where(known, np.nan)
    return pd.DataFrame(columns, index=rows.index)


def _codes(categories: NDArray[Any], rare: NDArray[Any] | None) -> Categories:
    """Numbers of scikit-learn's outputs: one for each category, then one for all that are rare."""
    shared = [] if rare is None else [_MISSING if pd.isna(value) else value for value in rare]
    all_of_them = [_MISSING if pd.isna(value) else value for value in categories]
    own = [value for value in all_of_them if value not in shared]
    other = len(own) if shared else -1
    codes = {value: code for code, value in enumerate(own)}
    missing = codes.pop(_MISSING, other)
    return Categories({str(value): code for value, code in codes.items()}, missing, other)


def _useful_columns(rows: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Names of the columns that tell rows apart, and what is to be said about the others."""
    useful, notes = [], []
    constant, rare = [], []
    for name in rows:
        counts = rows[name].value_counts(dropna=False)
        if len(counts) < 2:
            constant.append(name)
        elif is_text(rows[name]) and counts.iloc[0] < _RARE:
            rare.append(name)
        else:
            useful.append(name)
            if is_text(rows[name]) and (counts >= _RARE).sum() >= _MOST_CATEGORIES:
                notes.append(
                    f"Column {name!r} has {len(counts):,} categories: the "
                    f"{_MOST_CATEGORIES - 1} most frequent ones have an input each, the others one "
                    "together."
                )
    if constant:
        notes.append(
            f"Left out as inputs, since they have one value only in the training split: "
            f"{listed(constant)}."
        )
    if rare:
        notes.append(
            f"Left out as inputs, since no value stands in {_RARE} rows of the training split: "
            f"{listed(rare)}."
        )
    return useful, notes
