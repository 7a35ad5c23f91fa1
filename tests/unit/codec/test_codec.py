"""Records survive the way through JSON, and what is no record is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from helpers import make_config, make_metrics, make_settings

from sweep.codec import decode, encode, from_plain, pack_labels, to_plain, unpack_labels
from sweep.records import (
    DataFacts,
    DataSpec,
    Failure,
    FailureKind,
    Mistake,
    TestReading,
    TrialConfig,
    TrialOutcome,
    TrialState,
)

RECORDS = [
    make_config(learning_rate=0.1 + 0.2),
    make_settings(),
    make_metrics(3, 4, accuracy=1 / 3),
    DataFacts(DataSpec("table", (3,), ("é", "☃"), 5, 0), "abc", bytes(range(256))),
    TrialOutcome(
        trial=3,
        state=TrialState.COMPLETE,
        history=(make_metrics(3, 1), make_metrics(3, 2)),
        environment={"torch": "1"},
        best_epoch=2,
        validation_predictions=b"\0\xff",
        validation_losses=np.float32([0.1, 2.5]).tobytes(),
        weights=bytes(range(256)) * 3,
    ),
    TrialOutcome(
        trial=0,
        state=TrialState.FAIL,
        failure=Failure(FailureKind.NAN, "épouvantable\nline", "Traceback"),
    ),
    TestReading(1, "now", 5, 2, "x", ((1, 0), (0, 1)), (Mistake(0, 1, 2, 0.5, b"\x80"),), (8, 8)),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_survives_both_ways(record):
    assert decode(type(record), encode(record)) == record
    plain = json.loads(json.dumps(to_plain(record)))
    assert from_plain(type(record), plain) == record


@pytest.mark.parametrize(
    ("plain", "problem"),
    [
        ({}, "TrialConfig.number: Field required"),
        ({**to_plain(make_config()), "seed": "many"}, "TrialConfig.seed: .*integer"),
        ({**to_plain(make_config()), "seed": "1"}, "TrialConfig.seed: .*integer"),
        ({**to_plain(make_config()), "seed": 1.0}, "TrialConfig.seed: .*integer"),
        ({**to_plain(make_config()), "seed": True}, "TrialConfig.seed: .*integer"),
        ({**to_plain(make_config()), "params": {"epochs": [1]}}, "TrialConfig.params.epochs"),
        ({**to_plain(make_config()), "params": {"epochs": None}}, "TrialConfig.params.epochs"),
        ({**to_plain(make_config()), "params": [1]}, "TrialConfig.params"),
        ([1, 2], "TrialConfig"),
        (None, "TrialConfig"),
        ("text", "TrialConfig"),
    ],
)
def test_what_is_no_record_is_refused(plain, problem):
    with pytest.raises(ValueError, match=problem):
        from_plain(TrialConfig, plain)


def test_text_that_is_not_json_is_refused():
    with pytest.raises(ValueError, match=r"TrialConfig.*JSON"):
        decode(TrialConfig, b"{")


@pytest.mark.parametrize("value", [1, 1.0, 0.1 + 0.2, 2**53 + 1, "1", "relu"])
def test_a_parameter_keeps_its_type(value):
    """1.0 units are none, and 1 is a learning rate that says so."""
    config = TrialConfig(0, 0, {"x": value})
    for again in (decode(TrialConfig, encode(config)), from_plain(TrialConfig, to_plain(config))):
        assert again == config
        assert type(again.params["x"]) is type(value)


# ---------------------------------------------------------------- labels


@pytest.mark.parametrize(
    ("num_classes", "bits"),
    [(1, 1), (2, 1), (3, 2), (10, 4), (256, 8), (257, 9), (65_536, 16), (65_537, 17)],
)
@pytest.mark.parametrize("number", [1, 2, 3, 7, 1000])
def test_labels_survive_both_ways(num_classes, bits, number):
    labels = np.random.default_rng(0).integers(0, num_classes, number)
    labels[0] = num_classes - 1
    packed = pack_labels(labels, num_classes)
    again = unpack_labels(packed, num_classes)
    assert len(packed) == 1 + math.ceil(number * bits / 8)
    assert again.dtype == np.int64
    np.testing.assert_array_equal(again, labels)


def test_labels_are_bits_behind_the_number_of_those_left_over():
    assert pack_labels([1, 299], 300) == bytes([6, 0b00000000, 0b11001010, 0b11_000000])


@pytest.mark.parametrize("labels", [[0, 300], [-1, 0], [2**16], [2**32]])
def test_a_label_that_would_read_as_another_is_refused(labels):
    for num_classes in (10, 300):
        with pytest.raises(ValueError, match=rf"from 0 to {num_classes - 1}; found -?\d+ to \d+"):
            pack_labels(labels, num_classes)
    assert pack_labels([], 10) == b""


@pytest.mark.parametrize("packed", [b"\0\1\2", b"\6\1\2", b"\x08\1\2", b"\1", b"\xff\xff\xff"])
def test_half_a_label_is_refused(packed):
    with pytest.raises(ValueError, match="not a whole number of labels"):
        unpack_labels(packed, 300)
    assert unpack_labels(b"", 300).tolist() == []
