"""Training data as bytes: the same on the other side, and damage is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.data import Part, TrainingData, pack_data, unpack_data
from sweep.records import DataSpec


def same(data: TrainingData, other: TrainingData) -> bool:
    pairs = [
        (data.mean, other.mean),
        (data.std, other.std),
        *((getattr(data.train, n), getattr(other.train, n)) for n in ("inputs", "labels")),
        *(
            (getattr(data.validation, n), getattr(other.validation, n))
            for n in ("inputs", "labels")
        ),
    ]
    return (data.spec, data.fingerprint) == (other.spec, other.fingerprint) and all(
        a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True) for a, b in pairs
    )


def test_images_are_the_same_on_the_other_side(digits):
    packed = pack_data(digits)
    assert same(digits, unpack_data(packed))
    assert len(packed) < 1.01 * (digits.train.inputs.nbytes + digits.validation.inputs.nbytes) + (
        digits.train.labels.nbytes + digits.validation.labels.nbytes + 10_000
    )


@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 4),
    st.lists(st.text(min_size=1, max_size=40), min_size=2, max_size=4, unique=True),
)
def test_tables_of_any_size_with_any_names_are_too(num_train, num_validation, columns, names):
    chance = np.random.default_rng(num_train)

    def part(rows: int) -> Part:
        inputs = chance.normal(size=(rows, columns)).astype(np.float32)
        return Part(inputs, chance.integers(0, len(names), rows))

    spec = DataSpec("table", (columns,), tuple(names), num_train + num_validation, 3)
    data = TrainingData(
        spec, part(num_train), part(num_validation), np.zeros(columns), np.ones(columns), "f" * 64
    )
    assert same(data, unpack_data(pack_data(data)))


def test_the_arrays_share_the_memory_of_the_buffer_and_cannot_change_it(digits):
    found = unpack_data(pack_data(digits))
    assert not found.train.inputs.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        found.train.inputs[0] = 1
    for array in (found.train.inputs, found.train.labels, found.mean, found.std):
        assert array.flags.aligned


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 100, 1000, -1, -64, -1000])
def test_a_part_is_refused(digits, cut):
    with pytest.raises(ValueError, match="not packed training data"):
        unpack_data(pack_data(digits)[:cut])


def test_what_has_more_or_says_nothing_of_it_is_refused(digits):
    for damaged in (pack_data(digits) + bytes(64), b"\0" * 200, b"\xff" * 200, b"nonsense" * 20):
        with pytest.raises(ValueError, match="not packed training data"):
            unpack_data(damaged)


def test_an_array_of_another_type_is_refused(digits):
    packed = pack_data(digits)
    assert b'"|u1"' in packed
    with pytest.raises(ValueError, match="not packed training data"):
        unpack_data(packed.replace(b'"|u1"', b'"|O8"', 1))


def test_a_pool_that_is_not_contiguous_is_packed_as_it_reads(digits):
    data = replace(digits, train=digits.train.take(np.arange(0, 100, 3)))
    turned = replace(data.train, inputs=np.asfortranarray(data.train.inputs))
    assert same(data, unpack_data(pack_data(replace(data, train=turned))))
