"""Messages as bytes, and back."""

from __future__ import annotations

import pytest
from helpers import make_config, make_metrics

from sweep.execution.wire import pack, unpack
from sweep.records import (
    Assignment,
    Checkpoint,
    CheckpointRefused,
    Decide,
    Decision,
    Epoch,
    Failure,
    FailureKind,
    Notice,
    OutOfMemory,
    Paused,
    Resumed,
    Save,
    Saved,
    Train,
    TrialOutcome,
    TrialState,
    WorkerReady,
    trials_of,
    without,
)

LARGE = bytes(range(256)) * 40_000
MESSAGES = [
    Train(
        (
            Assignment(3, make_config(number=1), Checkpoint(1, 2, 5, LARGE)),
            Assignment(4, make_config(number=2)),
            Assignment(5, make_config(number=3), Checkpoint(3, 2, 5, b"short")),
        )
    ),
    Decide((3, 1), (Decision.CONTINUE, Decision.PRUNE)),
    Save(),
    Saved(),
    WorkerReady("abc", "cpu (a processor)", 2**40),
    WorkerReady("abc", "cpu (a processor)", None),
    Epoch((make_metrics(1, 2), make_metrics(2, 1))),
    Resumed(1, (make_metrics(1, 1),)),
    Checkpoint(1, 2, 3, LARGE),
    CheckpointRefused(1, "it was made with another précision"),
    OutOfMemory((1, 2), 2),
    Paused(TrialOutcome(3, TrialState.PRUNED, (make_metrics(3, 1),), best_epoch=1)),
    Notice("é\n"),
    TrialOutcome(
        1,
        TrialState.COMPLETE,
        (make_metrics(1, 1),),
        best_epoch=1,
        validation_predictions=bytes(range(256)),
        weights=LARGE,
    ),
    TrialOutcome(1, TrialState.FAIL, failure=Failure(FailureKind.EXCEPTION, "é", "a\nb")),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_arrives_as_it_was_sent(message):
    leases = {trial: 10 + trial for trial in trials_of(message)}
    assert unpack(pack(message, leases)) == (message, leases)


def test_large_parts_are_not_written_as_text():
    assert len(pack(Checkpoint(1, 2, 3, LARGE))) < len(LARGE) + 200


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"nothing",
        b'["Nothing", [], {}]\n',
        b'["Save", []]\n',
        b'["Notice", [], {}]\n',
        b"[]\n",
        pack(Checkpoint(1, 2, 3, b"state"))[:-1],
        pack(Checkpoint(1, 2, 3, b"state")) + b"!",
        LARGE,
    ],
)
def test_other_bytes_are_refused(data):
    with pytest.raises(ValueError, match="not a message"):
        unpack(data)


def test_a_message_may_be_about_some_trials_only():
    epoch = Epoch((make_metrics(1, 2), make_metrics(2, 1)))
    assert without(epoch, {3}) is epoch
    assert without(epoch, {1}) == Epoch((make_metrics(2, 1),))
    assert without(epoch, {1, 2}) is None
    assert without(OutOfMemory((1, 2), 4), {2}) == OutOfMemory((1,), 4)
    assert without(OutOfMemory((2,), 4), {2}) is None
    assert without(Resumed(2, ()), {2}) is None
    paused = Paused(TrialOutcome(2, TrialState.PRUNED))
    assert (without(paused, {1}), without(paused, {2})) == (paused, None)
    assert without(Saved(), {2}) == Saved()
