"""Records survive the way through JSON, and what is no record is refused."""

from __future__ import annotations

import json

import pytest
from helpers import make_config, make_metrics, make_settings

from sweep.codec import decode, encode, from_plain, to_plain
from sweep.records import (
    DataFacts,
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
    DataFacts("abc", ("é", "☃"), bytes(range(256))),
    TrialOutcome(
        trial=3,
        state=TrialState.COMPLETE,
        history=(make_metrics(3, 1), make_metrics(3, 2)),
        environment={"torch": "1"},
        best_epoch=2,
        validation_confusion_matrix=((1, 2), (3, 4)),
        validation_predictions=b"\0\xff",
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
        ({**to_plain(make_config()), "epochs": "many"}, "TrialConfig.epochs: .*integer"),
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
