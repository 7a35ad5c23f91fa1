"""Messages through a real pipe."""

from __future__ import annotations

from multiprocessing import Pipe
from threading import Thread

import pytest
from helpers import make_config, make_metrics, make_settings

from sweep.execution.wire import Decisions, Epoch, Train, WorkerReady, receive, send
from sweep.records import Decision, Failure, FailureKind, TrialOutcome, TrialState

MESSAGES = [
    make_settings(),
    Train((make_config(number=1), make_config(number=2))),
    Decisions((3, 1), (Decision.CONTINUE, Decision.PRUNE)),
    WorkerReady("abc", "cpu (a processor)"),
    Epoch((make_metrics(1, 2), make_metrics(2, 1))),
    TrialOutcome(
        1,
        TrialState.COMPLETE,
        (make_metrics(1, 1),),
        best_epoch=1,
        validation_predictions=bytes(range(256)),
        weights=bytes(range(256)) * 40_000,  # more than a pipe holds
    ),
    TrialOutcome(1, TrialState.FAIL, failure=Failure(FailureKind.EXCEPTION, "é", "a\nb")),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_arrives_as_it_was_sent(message):
    ours, theirs = Pipe()
    with ours, theirs:
        sender = Thread(target=send, args=(ours, message))
        sender.start()
        assert receive(theirs) == message
        sender.join()


def test_the_end_of_the_other_side_is_told():
    ours, theirs = Pipe()
    ours.close()
    with theirs, pytest.raises(EOFError, match=r"^$"):
        receive(theirs)
