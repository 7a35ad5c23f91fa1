"""Training data ↔ bytes, for workers: they need no data folder and cannot reach the test part.

The length of a JSON text, the text, which says what the arrays are, and their bytes. The text and
each array take a multiple of 64 bytes.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.codec import from_plain, to_plain
from sweep.data.parts import Part
from sweep.data.splits import TrainingData
from sweep.records import DataSpec

__all__ = ["pack_data", "unpack_data"]

_ALIGNMENT = 64  # bytes; no type of NumPy needs more
_LENGTH = struct.Struct("<Q")


def pack_data(data: TrainingData) -> bytes:
    """Both splits, encoded, with all that an engine needs to know about them."""
    arrays: dict[str, NDArray[Any]] = {
        "train_inputs": data.train.inputs,
        "train_labels": data.train.labels,
        "validation_inputs": data.validation.inputs,
        "validation_labels": data.validation.labels,
        "mean": data.mean,
        "std": data.std,
    }
    about = {
        "fingerprint": data.fingerprint,
        "spec": to_plain(data.spec),
        "arrays": {name: [array.dtype.str, array.shape] for name, array in arrays.items()},
    }
    text = json.dumps(about).encode()
    text += b" " * (-(_LENGTH.size + len(text)) % _ALIGNMENT)
    parts: list[Any] = [_LENGTH.pack(len(text)), text]
    for array in arrays.values():
        parts += [np.ascontiguousarray(array).data, bytes(-array.nbytes % _ALIGNMENT)]
    return b"".join(parts)


def unpack_data(packed: Any) -> TrainingData:
    """The data in a buffer, whose memory they share; a ValueError if they are damaged."""
    view = memoryview(packed)
    try:
        at = _LENGTH.size + _LENGTH.unpack_from(view)[0]
        about = json.loads(bytes(view[_LENGTH.size : at]))
        spec = from_plain(DataSpec, about["spec"])
        fingerprint = str(about["fingerprint"])
        arrays = {}
        for name, (dtype, shape) in about["arrays"].items():
            found = np.frombuffer(view, dtype, int(np.prod(shape)), at).reshape(shape)
            arrays[name] = found
            at += found.nbytes + -found.nbytes % _ALIGNMENT
        train = Part(arrays["train_inputs"], arrays["train_labels"])
        validation = Part(arrays["validation_inputs"], arrays["validation_labels"])
        mean, std = arrays["mean"], arrays["std"]
    except (LookupError, TypeError, ValueError, AttributeError, struct.error) as error:
        raise ValueError(f"not packed training data: {error}") from None
    if at != len(view):
        raise ValueError(f"not packed training data: {len(view)} bytes, {at} announced")
    return TrainingData(spec, train, validation, mean, std, fingerprint)
