"""What commands print fits a terminal of every usual width, and what has no room is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import PARAMETERS, make_config, make_metrics, space_mapping, sqlite_url
from rich.cells import cell_len

from sweep.cli.study_text import study_rows, trial_text
from sweep.records import Failure, FailureKind, TrialOutcome, TrialRecord, TrialState
from sweep.store import Store

WIDTHS = [80, 60, 40]
LEFT_OUT = "not shown for want of room: "
FIXED = {"max_shift": {"choices": [0.1, 0.2]}, "augmentation": "shift"}
SPACE = space_mapping(
    parameters={**PARAMETERS, **FIXED},
    constraints=["num_layers * layer_size <= 4096", "num_parameters <= 100000"],
)


def said_to_be_left_out(text: str) -> list[str]:
    """The columns that a text says it does not show."""
    _, found, rest = " ".join(text.split()).partition(LEFT_OUT)
    return rest.split(", ") if found else []


def table(text: str, first: str, between: str | None = None) -> list[list[str]]:
    """Heading and rows of the table whose heading begins with this name.

    Cells of the rows are words, or what stands `between` others.
    """
    lines = text.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith(f"{first}  "))
    rows = [lines[start].split("  ")]
    for line in lines[start + 1 :]:
        if not line[:1].isdigit() or line.startswith(LEFT_OUT):
            break
        rows.append(line.split(between))
    return [[cell.strip() for cell in row if cell.strip()] for row in rows]


@pytest.fixture
def at(main, monkeypatch):
    """Run a command in a terminal so wide, and require that everything fits; returns its output."""

    def run(width: int | None, line: str, code: int = 0) -> str:
        if width is None:
            monkeypatch.delenv("COLUMNS", raising=False)
        else:
            monkeypatch.setenv("COLUMNS", str(width))
        output, errors = main(line, code=code)
        if width is not None:
            assert [each for each in (output + errors).splitlines() if cell_len(each) > width] == []
        return output

    return run


@pytest.mark.parametrize("width", WIDTHS)
def test_what_is_said_of_studies_fits(at, confirmed, width):
    whole = at(None, "list").split()
    shown = at(width, "list")
    assert {"small", "small.confirm"} <= set(shown.split())
    assert (" ".join(said_to_be_left_out(shown)) == "") == (set(whole) <= set(shown.split()))
    for line in ("show small", "show small.confirm"):
        heading, *rows = table(at(width, line), "trial", "  ")
        assert heading[0] == "trial"
        assert "epochs run" in heading
        assert all(len(row) == len(heading) for row in rows)
    assert at(width, "doctor").startswith("store ")
    at(width, "confirm small --top 2 --seeds 2 --workers 1")
    at(width, "show missing", code=2)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_epochs_of_a_trial_have_a_line_each(at, finished, width):
    whole, shown = (at(each, "show small 0") for each in (None, width))
    heading, *rows = table(shown, "epoch")
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    assert "validation accuracy" in heading
    left_out = said_to_be_left_out(shown[shown.index(LEFT_OUT) :].rpartition("\n*")[0])
    assert [*heading, *left_out] != heading
    assert sorted([*heading, *left_out]) == sorted(table(whole, "epoch")[0])


@pytest.mark.parametrize("width", WIDTHS)
def test_a_search_space_fits(at, tmp_path: Path, width):
    (tmp_path / "space.yaml").write_text(json.dumps(SPACE))
    assert "max_shift" in at(width, "check space.yaml")
    (tmp_path / "bad.yaml").write_text("name: x\ndataset: digits\nsamler: tpe\n")
    at(width, "check bad.yaml", code=2)


def test_a_sweep_fits(at, tmp_path: Path):
    (tmp_path / "space.yaml").write_text(json.dumps(SPACE))
    assert at(40, "run space.yaml --workers 1 --engine sequential").startswith("study small: ")
    assert "there is nothing to do" in " ".join(at(40, "resume small").split())
    at(40, "reproduce small 0 --device cpu")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["研究" * 40, "x" * 100, "\x1b[2J" * 20])
def test_strange_names_and_reasons_fit(finished, tmp_path, width, name):
    study = replace(Store(sqlite_url(tmp_path), to_write=False).read_study("small"), name=name)
    history = (make_metrics(0, 1), make_metrics(0, 2))
    failure = Failure(FailureKind.EXCEPTION, f"{name} in {name}", f"File\n\t{name} {name}")
    outcome = TrialOutcome(0, TrialState.FAIL, history, best_epoch=1, failure=failure)
    trial = TrialRecord(0, TrialState.FAIL, make_config().params, {}, outcome)
    for text in (
        study_rows([study, replace(study, name="short")], width),
        trial_text(study, trial, has_weights=False, width=width),
    ):
        assert [line for line in text.splitlines() if cell_len(line) > width] == []
    assert len(study_rows([study], None).splitlines()) == 2


def test_a_pipe_gets_whole_lines_and_tables(at, finished):
    shown = at(None, "show small") + at(None, "show small 0") + at(None, "list")
    assert LEFT_OUT not in shown
    assert max(map(len, shown.splitlines())) > 120
