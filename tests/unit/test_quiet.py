"""Messages of other libraries are kept back in one thread, and stay as they were in the others."""

from __future__ import annotations

import io
import logging
import threading
import warnings

import pytest
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection

from sweep.quiet import without_optuna_messages, without_warnings


@pytest.fixture
def said(monkeypatch):
    """What Optuna writes."""
    logger, stream = logging.getLogger("optuna"), io.StringIO()
    monkeypatch.setattr(logger, "handlers", [logging.StreamHandler(stream)])
    return stream


def create(name: str) -> None:
    InMemoryStorage().create_new_study([StudyDirection.MINIMIZE], study_name=name)


def test_two_threads_keep_back_optunas_messages_each_for_itself(said):
    second_is_in, first_is_out = threading.Event(), threading.Event()

    def second() -> None:
        with without_optuna_messages(logging.WARNING):
            second_is_in.set()
            assert first_is_out.wait(60)
            create("inside")

    thread = threading.Thread(target=second)
    with without_optuna_messages(logging.WARNING):
        thread.start()
        assert second_is_in.wait(60)
        create("inside")
    create("outside, beside a block")
    first_is_out.set()
    thread.join()
    create("after all blocks")
    assert [line.split("name: ")[1] for line in said.getvalue().splitlines()] == [
        "outside, beside a block",
        "after all blocks",
    ]


def test_what_optuna_says_at_the_level_or_above_is_kept(said):
    with without_optuna_messages(logging.WARNING):
        logging.getLogger("optuna.study").warning("a warning")
    assert said.getvalue() == "a warning\n"


def test_threads_take_turns_with_pythons_warnings():
    before = list(warnings.filters)
    second_is_in, second_is_done = threading.Event(), threading.Event()

    def second() -> None:
        with without_warnings(UserWarning):
            second_is_in.set()
            warnings.warn("kept back", UserWarning, stacklevel=1)
        second_is_done.set()

    thread = threading.Thread(target=second)
    with without_warnings(), without_warnings(UserWarning):  # the thread whose turn it is goes on
        thread.start()
        assert not second_is_in.wait(0.2)
    assert second_is_done.wait(60)
    thread.join()
    assert list(warnings.filters) == before
    with pytest.warns(UserWarning, match="said"):
        warnings.warn("said", UserWarning, stacklevel=1)
