"""What a caller's own function raises comes out as it is, and the study can be resumed."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

import pytest
from helpers import HERE, space_mapping

import sweep
from sweep.records import Epoch, StudyOpened, StudyState, TrialOutcome, TrialStarted
from sweep.store import Store

ERRORS = [
    BrokenPipeError(32, "Broken pipe"),
    OSError(28, "No space left on device"),
    sqlite3.OperationalError("the caller's own database is locked"),
    KeyError("the caller's own key"),
    ValueError("the caller's own value"),
]


def stopped_by(error: Exception, storage: str, **functions: Any) -> None:
    with pytest.raises(type(error), match=re.escape(str(error))) as caught:
        sweep.run(space_mapping(), storage=storage, **functions, **HERE)
    assert caught.value is error
    assert caught.value.__cause__ is None
    study = Store(storage, to_write=False).read_study("small")
    assert study.state is StudyState.INTERRUPTED
    again = sweep.resume("small", storage=storage, **HERE)
    assert (again.state, len(again.trials)) == (StudyState.FINISHED, 3)


@pytest.mark.slow
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_of_on_event_is_the_callers(storage, error):
    def on_event(event: Any) -> None:
        if isinstance(event, Epoch):
            raise error

    stopped_by(error, storage, on_event=on_event)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [StudyOpened, TrialStarted, TrialOutcome])
def test_an_error_at_any_event_is_the_callers(storage, kind):
    error = BrokenPipeError(32, "Broken pipe")

    def on_event(event: Any) -> None:
        if isinstance(event, kind):
            raise error

    stopped_by(error, storage, on_event=on_event)


def test_an_error_of_stop_is_the_callers(storage):
    error = BrokenPipeError(32, "Broken pipe")

    def stop() -> bool:
        raise error

    stopped_by(error, storage, stop=stop)
