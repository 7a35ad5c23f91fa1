"""`sweep report`: the contract of its files, and a single reading of the test split."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers import sqlite_url

import sweep
from sweep.store import Store


def read_report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text())["studies"]


@pytest.mark.slow
def test_a_report_holds_what_the_design_promises(reported):
    record = Store(sqlite_url(reported), to_write=False).read_study("digits-random")
    (reading,) = record.test_readings
    study = read_report(reported / "report")["digits-random"]
    best = study["best"]
    assert best["number"] == record.best.number
    assert best["params"].items() <= record.best.params.items()
    assert best["params"].keys() >= {"num_layers", "learning_rate", "epochs"}
    assert best["validation_accuracy"] == record.value(record.best)
    assert best["test_accuracy"] == reading.num_correct / 360
    low, high = best["test_accuracy_interval"]
    assert 0 < low < best["test_accuracy"] < high < 1
    assert best["test_confusion_matrix"] == [list(row) for row in reading.confusion_matrix]
    assert sum(map(sum, best["test_confusion_matrix"])) == 360
    assert study["importances"].keys() == {"num_layers", "layer_size", "learning_rate"}


@pytest.mark.slow
def test_the_table_of_trials_has_a_row_for_each(reported):
    with (reported / "report" / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name, num_trials in (("digits-random", 12), ("digits-pruned", 14)):
        numbers = [row["number"] for row in rows if row["study"] == name]
        assert numbers == [str(number) for number in range(num_trials)]
    states = {row["state"] for row in rows if row["study"] == "digits-random"}
    assert states == {"COMPLETE"}


@pytest.mark.slow
def test_figures_are_images(reported):
    figures = list((reported / "report" / "figures").iterdir())
    assert figures
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in figures)


@pytest.mark.slow
def test_the_page_needs_nothing_from_outside(reported):
    page = (reported / "report" / "report.html").read_text()
    loaded = re.findall(r"""(?:src|href|action)\s*=\s*["']?([^"'\s>]+)""", page)
    assert loaded
    assert [url[:60] for url in loaded if not url.startswith(("data:", "#"))] == []
    assert not re.search(r"@import|url\((?!['\"]?(data:|#))", page)


@pytest.mark.slow
def test_a_second_report_does_not_read_the_test_split_again(reported, sketched, run, tmp_path):
    shutil.copy(reported / "studies.db", tmp_path)  # and neither weights nor data
    before = Store(sqlite_url(tmp_path), to_write=False).read_study("digits-random").test_readings
    code, _, errors = run("report", "digits-random", "--data-dir", "nowhere")
    assert code == 0, errors
    again = read_report(tmp_path / "report")["digits-random"]
    assert again["best"] == read_report(reported / "report")["digits-random"]["best"]
    after = Store(sqlite_url(tmp_path), to_write=False).read_study("digits-random").test_readings
    assert after == before
    assert {path.name for path in tmp_path.iterdir()} == {"studies.db", "report"}


def test_an_unfinished_study_is_reported_with_its_seal_unbroken(finished, sketched, run, tmp_path):
    Store(finished, to_write=True).change_study("small", finished_by=None)
    code, _, errors = run("report", "small")
    assert code == 0, errors
    assert "sealed" in errors
    assert read_report(tmp_path / "report")["small"]["best"].get("test_accuracy") is None
    assert Store(finished, to_write=False).read_study("small").test_readings == ()


def test_without_weights_the_report_says_what_it_cannot_show(finished, sketched, run, tmp_path):
    shutil.rmtree(tmp_path / "studies.artifacts")
    code, _, errors = run("report", "small")
    assert code == 0, errors
    assert "weights" in errors
    assert read_report(tmp_path / "report")["small"]["best"].get("test_accuracy") is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("report smal", "no study 'smal'"),
        ("report small smal", "no study 'smal'"),
        ("report ..", "no study '..'"),
        ("report small --out studies.db", "studies.db"),
        ("report small --top 0", "--top"),
        ("report small --storage sqlite:///nothing.db", "no study 'small'"),
        ("report", "Missing argument"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(main, finished, tmp_path, line, words):
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    output, errors = main(line, code=2)
    assert output == ""
    assert len(errors.splitlines()) == 1
    assert words in errors
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    assert Store(finished, to_write=False).read_study("small").test_readings == ()


@pytest.mark.slow
def test_python_gets_the_same_report_and_prints_nothing(finished, sketched, tmp_path, capfd):
    written = sweep.report("small", storage=finished, out=tmp_path / "mine")
    assert written.folder == tmp_path / "mine"
    assert written.html.is_file()
    assert written.data == json.loads((tmp_path / "mine" / "report.json").read_text())
    assert capfd.readouterr() == ("", "")
