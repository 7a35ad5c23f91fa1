"""How a study and what it consists of look in a terminal, a traceback and a notebook."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

import sweep
from sweep.records import StudyRecord, TrialState


@pytest.fixture
def study(finished: str) -> StudyRecord:
    """Three COMPLETE trials of 8 × 8 pictures of digits."""
    return sweep.load_study("small", storage=finished)


def cells(html: str) -> list[list[str]]:
    """The cells of a table, row by row."""
    return [re.findall(r"<t[hd]>(.*?)</t[hd]>", row, re.S) for row in html.split("<tr")[1:]]


def test_a_study_is_one_line_and_prints_as_a_table_with_the_best_trial_first(study):
    line = repr(study)
    assert "\n" not in line
    best = study.best
    assert line.startswith(
        f"<study 'small': finished, 3 of 3 trials ended, best trial {best.number}"
    )
    head, *rows = str(study).splitlines()
    assert f"<{head}>" == line
    names = ["trial", "state", "validation_accuracy", "num_layers", "layer_size", "learning_rate"]
    assert rows[0].split() == names
    first = [str(best.number), "COMPLETE", f"{study.value(best):.4g}"]
    assert rows[1].split()[:3] == first
    assert len(rows) == 4


def test_a_notebook_shows_the_same_table(study):
    head, *rows = cells(study._repr_html_())
    assert head == [re.sub(" +", " ", line) for line in str(study).splitlines()[1].split()]
    assert rows == [line.split() for line in str(study).splitlines()[2:]]


def test_thousands_of_trials_are_shown_on_one_screen(study):
    trials = [replace(study.trials[number % 3], number=number) for number in range(3000)]
    many = replace(study, trials=tuple(trials), num_trials=None)
    assert "3,000 trials ended" in repr(many)
    assert "the table shows 10 of 3,000" in repr(many)
    assert len(str(many).splitlines()) == 12
    assert len(cells(many._repr_html_())) == 11
    assert len(repr(many)) < 200


def test_trials_without_a_value_come_last(study):
    first = replace(study.trials[0], state=TrialState.RUNNING, outcome=None)
    under_way = replace(study, trials=(first, *study.trials[1:]))
    assert cells(under_way._repr_html_())[-1][:3] == ["0", "RUNNING", ""]


def test_a_study_without_trials_is_its_line(study):
    empty = replace(study, trials=())
    assert f"<{empty}>" == repr(empty)
    assert empty._repr_html_().startswith("<p>study &#x27;small&#x27;: finished, 0 of 3 trials")


def test_what_a_store_contains_is_text_only(study):
    """A store may be untrusted."""
    bad = "<b>\x1b\n"
    trials = [
        replace(trial, params={**trial.params, "activation": f"{bad}{trial.number}", bad: number})
        for number, trial in enumerate(study.trials)
    ]
    forged = replace(study, name=bad, trials=tuple(trials))
    for text in (repr(forged), str(forged), forged._repr_html_()):
        assert "\x1b" not in text
    assert "<b>" not in forged._repr_html_()
    assert len(cells(forged._repr_html_())) == 4


@pytest.mark.slow
def test_a_trial_and_a_report_do_not_print_their_bulk(study, finished, tmp_path, words_only):
    assert study.best.outcome.history
    assert len(repr(study.best)) < 1500
    assert "bytes" not in repr(study.data)
    report = sweep.report("small", storage=finished, out=tmp_path / "report")
    assert repr(report).startswith("Report(folder=")
    assert len(repr(report)) < 1000
