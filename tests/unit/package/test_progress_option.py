"""`progress=True` shows what the command line shows; nothing is shown without it."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
import rich.console
from helpers import HERE, space_mapping

import sweep


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_is_shown_by_default(storage, capfd):
    sweep.run(space_mapping(), storage=storage, **HERE)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_lines_are_shown_where_there_is_no_terminal(storage, main, capfd):
    events: list[Any] = []
    options = {"storage": storage, "progress": True, **HERE}
    sweep.run(space_mapping(), on_event=events.append, **options)
    output, shown = capfd.readouterr()
    assert output == ""
    assert re.fullmatch(
        r"study small: 0/3 trials done; 1 worker on cpu\n"
        r"(\[\d/3\] trial \d COMPLETE  validation_accuracy .*\n){3}",
        shown,
    )
    assert isinstance(events[0], sweep.StudyOpened)
    assert sum(isinstance(event, sweep.TrialOutcome) for event in events) == 3

    sweep.resume("small", trials=4, **options)
    output, shown = capfd.readouterr()
    assert output == ""
    assert shown.startswith("study small: 3/4 trials done; 1 worker on cpu\n[4/4] trial 3 ")
    sweep.confirm("small", top=1, seeds=1, **options)
    output, shown = capfd.readouterr()
    assert output == ""
    assert shown.startswith("study small.confirm: 0/3 trials done; 1 worker on cpu\n[1/3] trial 0 ")


def test_a_notebook_shows_lines(storage, monkeypatch, capfd):
    monkeypatch.setattr(rich.console, "_is_jupyter", lambda: True)
    sweep.run(space_mapping(), storage=storage, progress=True, **HERE)
    assert capfd.readouterr().err.startswith("study small: 0/3 trials done; 1 worker on cpu\n[1/3]")


def test_a_terminal_shows_a_table_and_what_is_printed_goes_where_it_did(
    storage, monkeypatch, capsys
):
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal)

    def tell(event: Any) -> None:
        if isinstance(event, sweep.TrialOutcome):
            print("mine:", event.trial)  # noqa: T201

    sweep.run(space_mapping(), storage=storage, progress=True, on_event=tell, **HERE)
    assert re.search(r"3 of 3 trials.*best so far: trial \d", terminal.getvalue(), re.DOTALL)
    assert capsys.readouterr().out == "mine: 0\nmine: 1\nmine: 2\n"


def test_the_display_ends_with_the_work(storage, monkeypatch):
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal)
    with pytest.raises(sweep.Interrupted, match="what was trained is saved"):
        sweep.run(space_mapping(), storage=storage, progress=True, stop=lambda: True, **HERE)
    hidden, shown = "\x1b[?25l", "\x1b[?25h"  # the cursor
    assert terminal.getvalue().count(hidden) == terminal.getvalue().count(shown) == 1
