"""The section `dataset`: a built-in data set, or own images, arrays or a table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
)

from sweep.definitions import DATASETS
from sweep.space.base import StrictModel, Text, WholeNumber, named, one_of, shorten

__all__ = [
    "DATASET_FORMS",
    "KEPT",
    "ArraysFile",
    "BuiltIn",
    "Dataset",
    "DatasetSpec",
    "ImageFolder",
    "OwnData",
    "TableFile",
]

KEPT = "sha256:"
"""Starts the name of arrays that Python gave and the store keeps beside it."""

DATASET_FORMS = {
    "name": "built-in",
    "folder": "of images",
    "arrays": "of arrays",
    "table": "of rows",
}
"""The key that tells a form of the section, and the form's tag, which is no key of the file."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_PIXELS = 4096  # of a side: larger images are not for small networks


def _read_amount(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not (0 < value < 1 or (isinstance(value, int) and value >= 1)):
        found = shorten(repr(value)) if isinstance(value, int | float | str) else "no number"
        raise ValueError(
            f"must be a number of examples, at least 1, or a share between 0 and 1; found {found}"
        )
    return value


Amount = Annotated[
    int | float,
    BeforeValidator(_read_amount),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            ]
        }
    ),
]


def _read_size(value: Any) -> Any:
    sides = [value, value] if isinstance(value, int) else value
    if (
        not isinstance(sides, list | tuple)
        or len(sides) != 2
        or not all(type(side) is int and 1 <= side <= _MAX_PIXELS for side in sides)
    ):
        raise ValueError(
            f"must be [height, width], whole numbers from 1 to {_MAX_PIXELS:,}; found "
            f"{shorten(repr(value))}"
        )
    return tuple(sides)


class _Split(StrictModel):
    validation: Amount | None = Field(
        None,
        description="Examples held out for validation: a number, or a share of the training pool; "
        "a sixth of it if unset.",
    )
    split_seed: Annotated[WholeNumber, Field(ge=0, lt=2**63)] = Field(
        0, description="Seed of the split; it decides which examples are held out."
    )


class BuiltIn(_Split):
    """A data set that is read from the data directory or downloaded."""

    name: one_of(DATASETS) = Field(  # type: ignore[valid-type]
        description="Read from the data directory or downloaded; digits comes with scikit-learn."
    )

    @property
    def title(self) -> str:
        """What the data set is called."""
        return str(self.name)


class OwnData(_Split):
    """What the forms of own data share."""

    test: Amount | None = Field(
        None,
        description="Examples that are sealed as the test split, if the data have no test part of "
        "their own: a number, or a share; a fifth if unset.",
    )
    relative_to: Text | None = Field(
        None, description="Folder that a path starts from; the search space's own if unset."
    )


class ImageFolder(OwnData):
    """Images in a folder for each class, perhaps below folders for each split."""

    folder: Text = Field(
        min_length=1,
        description="A folder for each class, or train/ and test/ (and perhaps val/) with them.",
    )
    image_size: (
        Annotated[
            tuple[int, int],
            BeforeValidator(_read_size),
            WithJsonSchema(
                {
                    "anyOf": [
                        {"type": "integer", "minimum": 1, "maximum": _MAX_PIXELS},
                        {
                            "type": "array",
                            "items": {"type": "integer", "minimum": 1, "maximum": _MAX_PIXELS},
                            "minItems": 2,
                            "maxItems": 2,
                        },
                    ]
                }
            ),
        ]
        | None
    ) = Field(
        None,
        description="[height, width], or one number for both, to which images are brought; needed "
        "if they differ in size.",
    )
    channels: Literal["grey", "colour"] | None = Field(
        None, description="To which images are converted; grey if all of them are, if unset."
    )

    @property
    def title(self) -> str:
        """What the data set is called: its path, as written."""
        return self.folder


def _read_arrays(value: Any) -> Any:
    is_kept = isinstance(value, str) and value.startswith(KEPT)
    if is_kept and not _SHA256.fullmatch(value.removeprefix(KEPT)):
        raise ValueError(
            f"must be a file, or {KEPT} and the 64 digits of arrays that a store keeps; found "
            f"{shorten(repr(value))}"
        )
    return value


class ArraysFile(OwnData):
    """NumPy arrays in one file."""

    arrays: Annotated[Text, BeforeValidator(_read_arrays)] = Field(
        min_length=1,
        description="An .npz file with x and y, or x_train, y_train, x_test and y_test, and "
        "perhaps x_validation and y_validation.",
    )

    @property
    def title(self) -> str:
        """What the data set is called: its path, as written."""
        return "arrays from Python" if self.is_kept else self.arrays

    @property
    def is_kept(self) -> bool:
        """Whether Python gave the arrays, which the store keeps beside it."""
        return self.arrays.startswith(KEPT)


class TableFile(OwnData):
    """Rows of a table, each with its class."""

    table: Text = Field(min_length=1, description="A .csv file; .parquet with the extra parquet.")
    target: Text = Field(min_length=1, description="The column of classes.")
    test_table: Text | None = Field(
        None, min_length=1, description="The test part, a file of the same columns."
    )
    group: Text | None = Field(
        None,
        min_length=1,
        description="A column whose rows of one value stay in one split; it is no input.",
    )

    @property
    def title(self) -> str:
        """What the data set is called: its path, as written."""
        return self.table


def _form(value: Any) -> str | None:
    if not isinstance(value, Mapping):
        value = getattr(type(value), "model_fields", {})
    return next((tag for form, tag in DATASET_FORMS.items() if form in value), None)


DatasetSpec = BuiltIn | ImageFolder | ArraysFile | TableFile

Dataset = Annotated[
    Annotated[BuiltIn, Tag(DATASET_FORMS["name"])]
    | Annotated[ImageFolder, Tag(DATASET_FORMS["folder"])]
    | Annotated[ArraysFile, Tag(DATASET_FORMS["arrays"])]
    | Annotated[TableFile, Tag(DATASET_FORMS["table"])],
    Discriminator(_form),
    named("name", DatasetSpec, DATASETS),
]
"""The section's type."""
