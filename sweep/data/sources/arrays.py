"""NumPy arrays, a `sweep.data.sources.DataSource`: an `.npz` file, or what Python gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.data.arrays.archive import content_of, is_npy, names_in, read_npz
from sweep.data.arrays.given import PARTS, WHOLE, GivenArrays, require_names
from sweep.data.arrays.inputs import convert_inputs
from sweep.data.arrays.labels import convert_labels
from sweep.data.holding_out import hold_out_test
from sweep.data.parts import Part, Pool
from sweep.errors import DataError
from sweep.records import DataSettings

__all__ = ["Arrays"]


@dataclass(frozen=True, slots=True)
class _Examples:
    pool: Part
    test: Part
    validation: Part | None
    class_names: tuple[str, ...]
    content: str
    notes: tuple[str, ...]


class Arrays:
    """Images or rows with labels; `given` are used in place of a file."""

    def __init__(self, settings: DataSettings, given: GivenArrays | None = None) -> None:
        self._settings = settings
        self._given = given

    def pool(self) -> Pool:
        """What is there for training and validation."""
        found = self._read()
        return Pool(
            found.pool,
            found.class_names,
            len(found.test),
            found.validation,
            content=found.content,
            notes=found.notes,
        )

    def test(self) -> Part:
        """The test part."""
        return self._read().test

    def _read(self) -> _Examples:
        if self._given is not None:
            where, arrays, content = "data", self._given.arrays, self._given.sha256
        else:
            where, arrays = self._settings.path, self._read_file()
            content = content_of(arrays)
            if self._settings.sha256 not in ("", content):
                raise DataError(
                    f"{where}: is damaged: it is not what Python gave; restore it from a copy, or "
                    "call sweep.run again with the same data"
                )
        parts, class_names, notes = _examine(arrays, where)
        pool, test, more = self._split(parts, class_names, where)
        validation = parts.get("validation")
        return _Examples(pool, test, validation, class_names, content, (*notes, *more))

    def _read_file(self) -> dict[str, NDArray[Any]]:
        path = Path(self._settings.path)
        if self._settings.sha256 and not path.exists():
            raise DataError(
                f"{path}: the arrays that Python gave are missing; restore the file from a copy, "
                "or call sweep.run again with the same data"
            )
        if is_npy(path):
            raise DataError(
                f"{path}: is one array, and inputs and labels are needed; save both in one file "
                "with numpy.savez(FILE, x=x, y=y)"
            )
        names = names_in(path)
        require_names(names, str(path))
        return read_npz(path, names)

    def _split(
        self, parts: Mapping[str, Part], class_names: tuple[str, ...], where: str
    ) -> tuple[Part, Part, tuple[str, ...]]:
        """The training pool, the test part, and what is to be said about its size."""
        settings = self._settings
        if "test" in parts:
            if settings.test is not None:
                raise DataError(f"{where}: has a test part of its own: leave out dataset.test")
            return parts["train"], parts["test"], ()
        examples = parts["all"]
        held_out, notes = hold_out_test(settings, examples.labels, class_names)
        pool, test = (examples.take(np.flatnonzero(each)) for each in (~held_out, held_out))
        return pool, test, notes


def _examine(
    arrays: Mapping[str, NDArray[Any]], where: str
) -> tuple[dict[str, Part], tuple[str, ...], tuple[str, ...]]:
    """The parts by name, `all` if there is one, the classes' names, and what was converted."""
    pairs = {"all": WHOLE} if WHOLE[0] in arrays else PARTS
    pairs = {part: pair for part, pair in pairs.items() if pair[0] in arrays}
    for x, y in pairs.values():
        lengths = [arrays[name].shape[:1] for name in (x, y)]
        if lengths[0] != lengths[1]:
            number_x, number_y = (f"{each[0]:,}" if each else "no" for each in lengths)
            raise DataError(
                f"{where}: {x} and {y} must have equal lengths; found {number_x} examples and "
                f"{number_y} labels"
            )
    inputs, notes = convert_inputs({x: arrays[x] for x, _ in pairs.values()}, where)
    labels, class_names = convert_labels({y: arrays[y] for _, y in pairs.values()}, where)
    parts = {part: Part(inputs[x], labels[y]) for part, (x, y) in pairs.items()}
    return parts, class_names, notes
