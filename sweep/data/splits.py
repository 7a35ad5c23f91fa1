"""A data set's training pool, split into training and validation examples.

The test part cannot be reached from here: see `sweep.data.sealed`.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sweep.codec import pack_labels
from sweep.data.arrays import GivenArrays
from sweep.data.holding_out import hold_out, size_note, size_of
from sweep.data.parts import Part, Pool
from sweep.data.sources import SOURCES, open_source
from sweep.errors import DataError
from sweep.records import DataFacts, DataSettings, DataSpec

if TYPE_CHECKING:
    from sweep.data.encoding import TableEncoder

__all__ = [
    "TrainingData",
    "fingerprint",
    "is_here",
    "load_training_data",
    "num_validation",
    "read_pool",
    "read_validation",
    "split_pool",
]

_MOST_AT_ONCE = 2**20  # pixels


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What engines may see: two disjoint splits and how to normalise them.

    Attributes:
        mean: Of each input over the training split before any scaling, float64 of shape (inputs,);
            an image's inputs share those of their channel.
        std: Likewise; 1 where it would be 0.
        fingerprint: SHA-256 of both splits, in their order; of own data, of the test part, too.
        encoder: Of a table, as learnt on the training split.
        notes: What was left out or converted, a sentence each.
    """

    spec: DataSpec
    train: Part
    validation: Part
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    fingerprint: str
    encoder: TableEncoder | None = None
    notes: tuple[str, ...] = ()

    @property
    def facts(self) -> DataFacts:
        """What a study remembers of its data."""
        labels = pack_labels(self.validation.labels, self.spec.num_classes)
        return DataFacts(self.spec, self.fingerprint, labels, self.notes)

    def encoded(self, part: Part) -> Part:
        """Other examples of the same source, as a network takes them."""
        if part.is_encoded or self.encoder is None:
            return part
        return Part(self.encoder.transform(part.inputs), part.labels)


def is_here(settings: DataSettings) -> bool:
    """Whether nothing has to be downloaded to read the data set."""
    return settings.kind != "builtin" or SOURCES[settings.name](settings).is_here()


def read_pool(settings: DataSettings) -> Pool:
    """The training pool, before it is split; `DataError` if it is missing, damaged or unusable."""
    return open_source(settings).pool()


def load_training_data(settings: DataSettings, given: GivenArrays | None = None) -> TrainingData:
    """Read a data set's training pool, or that of the given arrays, and split it.

    The split depends only on its seed, the sizes and, for own data, the labels, so that all trials
    of a study see the same one on any machine. Raises `DataError` if the data set is missing or
    damaged, or if a split is left without examples.
    """
    return split_pool(settings, open_source(settings, given).pool())


def read_validation(settings: DataSettings) -> Part:
    """The validation examples alone, the rows of a table as they stand in its file."""
    return _split(settings, read_pool(settings))[1]


def split_pool(settings: DataSettings, pool: Pool) -> TrainingData:
    """Split a training pool, and encode the rows of a table; raises as `load_training_data`."""
    raw_train, raw_validation, held_out, notes = _split(settings, pool)
    encoder = None
    if not raw_train.is_encoded:
        from sweep.data.encoding import TableEncoder  # scikit-learn takes a second

        encoder = TableEncoder.fit(raw_train.inputs)
    train, validation = (
        part if encoder is None else Part(encoder.transform(part.inputs), part.labels)
        for part in (raw_train, raw_validation)
    )
    kind = "image" if train.inputs.dtype == np.uint8 else "table"
    shape = train.inputs.shape[1:]
    num_pool = len(train) + len(validation)
    spec = DataSpec(kind, shape, pool.class_names, num_pool, pool.num_test)
    if encoder is None:
        mean, std = _moments(spec, train)
    else:  # it has scaled them
        mean, std = np.zeros(spec.num_inputs), np.ones(spec.num_inputs)
    if pool.content:
        digest = hashlib.sha256(pool.content.encode() + np.packbits(held_out).tobytes()).hexdigest()
    else:
        digest = fingerprint(train, validation)
    notes = pool.notes + notes + (encoder.notes if encoder else ())
    return TrainingData(spec, train, validation, mean, std, digest, encoder, notes)


def _split(
    settings: DataSettings, pool: Pool
) -> tuple[Part, Part, NDArray[np.bool_], tuple[str, ...]]:
    """Training and validation examples, which of the pool are held out, and notes about that."""
    examples = pool.examples
    if pool.validation is not None:
        if settings.validation is not None:
            raise DataError(
                f"{settings.name} has a validation split of its own: leave out dataset.validation"
            )
        return examples, pool.validation, np.zeros(len(examples), bool), ()
    total = len(examples)
    size = num_validation(settings, total)
    if settings.kind == "builtin":
        order = np.random.default_rng(settings.split_seed).permutation(total)
        held_out = np.zeros(total, bool)
        held_out[order[:size]] = True
        return examples.take(order[size:]), examples.take(order[:size]), held_out, ()
    held_out = hold_out(
        examples.labels,
        size,
        settings.split_seed,
        class_names=pool.class_names,
        what="validation",
        groups=pool.groups,
    )
    train, validation = (examples.take(np.flatnonzero(each)) for each in (~held_out, held_out))
    notes = size_note(settings.validation, size, held_out, what="validation", groups=pool.groups)
    return train, validation, held_out, notes


def num_validation(settings: DataSettings, num_pool: int) -> int:
    """How many examples of the training pool are held out; `DataError` if that leaves none."""
    return size_of(settings.validation, num_pool, default=num_pool // 6, what="validation")


def _moments(spec: DataSpec, train: Part) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each column, or of each channel's pixels."""
    if spec.kind == "image":
        channels = [_moments_of_bytes(train.inputs[:, c]) for c in range(spec.input_shape[0])]
        mean, std = np.repeat(channels, spec.num_inputs // len(channels), axis=0).T
    else:
        columns = train.inputs.reshape(len(train), -1)
        mean, std = columns.mean(0, dtype=np.float64), columns.std(0, dtype=np.float64)
    return mean, np.where(std > 0, std, 1.0)


def _moments_of_bytes(pixels: NDArray[np.uint8]) -> tuple[float, float]:
    # A histogram gives the same numbers without a large float copy; of a few examples at a time,
    # because `bincount` makes eight bytes of each.
    counts = np.zeros(256, np.int64)
    for few in np.array_split(pixels, math.ceil(pixels.size / _MOST_AT_ONCE)):
        counts += np.bincount(few.reshape(-1), minlength=256)
    values = np.arange(256)
    mean = float(counts @ values / counts.sum())
    return mean, float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))


def fingerprint(*parts: Part) -> str:
    """SHA-256 of the parts' shapes, inputs and labels."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part.inputs.dtype.name}{part.inputs.shape}".encode())
        digest.update(np.ascontiguousarray(part.inputs).reshape(-1).view(np.uint8).data)
        digest.update(part.labels.astype("<i8").tobytes())
    return digest.hexdigest()
