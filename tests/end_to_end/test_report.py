"""`sweep report`: the contract of its files, and one reading of the test split for ever."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers import run_cli, space_mapping, sqlite_url

import sweep
from sweep.store import Store


def read_report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text())["studies"]


@pytest.fixture(scope="module")
def reported(tmp_path_factory) -> Path:
    """Two finished studies, large enough for importances, and a report on both."""
    folder = tmp_path_factory.mktemp("reported")
    for seed, name in enumerate(("one", "two")):
        space = space_mapping(
            name=name,
            parameters={**space_mapping()["parameters"], "epochs": 2},
            sampler={"type": "random", "seed": seed},
            budget={"trials": 12},
        )
        sweep.run(space, storage=sqlite_url(folder), workers=1, device="cpu")
    done = run_cli("report", "one", "two", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / done.stdout.strip()).resolve() == folder / "report" / "report.html"
    return folder


@pytest.mark.parametrize("name", ["one", "two"])
def test_a_report_holds_what_the_design_promises(reported, name):
    record = Store(sqlite_url(reported), to_write=False).read_study(name)
    (reading,) = record.test_readings
    study = read_report(reported / "report")[name]
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


def test_the_table_of_trials_has_a_row_for_each(reported):
    with (reported / "report" / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["number"] for row in rows] == [str(number) for number in range(12)] * 2
    assert {row["state"] for row in rows} == {"COMPLETE"}


def test_figures_are_images(reported):
    figures = list((reported / "report" / "figures").iterdir())
    assert figures
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in figures)


def test_the_page_needs_nothing_from_outside(reported):
    page = (reported / "report" / "report.html").read_text()
    loaded = re.findall(r"""(?:src|href|action)\s*=\s*["']?([^"'\s>]+)""", page)
    assert loaded
    assert [url[:60] for url in loaded if not url.startswith(("data:", "#"))] == []
    assert not re.search(r"@import|url\((?!['\"]?(data:|#))", page)


def test_a_second_report_does_not_read_the_test_split_again(reported, tmp_path):
    shutil.copy(reported / "studies.db", tmp_path)  # and neither weights nor data
    before = Store(sqlite_url(tmp_path), to_write=False).read_study("one").test_readings
    done = run_cli("report", "one", "--data-dir", "nowhere", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = read_report(tmp_path / "report")["one"]
    assert again["best"] == read_report(reported / "report")["one"]["best"]
    after = Store(sqlite_url(tmp_path), to_write=False).read_study("one").test_readings
    assert after == before
    assert {path.name for path in tmp_path.iterdir()} == {"studies.db", "report"}


def test_an_unfinished_study_is_reported_with_its_seal_unbroken(cli, finished, tmp_path):
    Store(finished, to_write=True).write_finished("small", None)
    done = cli("report", "small")
    assert done.returncode == 0, done.stderr
    assert "sealed" in done.stderr
    assert read_report(tmp_path / "report")["small"]["best"].get("test_accuracy") is None
    assert Store(finished, to_write=False).read_study("small").test_readings == ()


def test_without_weights_the_report_says_what_it_cannot_show(cli, finished, tmp_path):
    shutil.rmtree(tmp_path / "studies.artifacts")
    done = cli("report", "small")
    assert done.returncode == 0, done.stderr
    assert "weights" in done.stderr
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


def test_python_gets_the_same_report_and_prints_nothing(finished, tmp_path, capfd):
    written = sweep.report("small", storage=finished, out=tmp_path / "mine")
    assert written.folder == tmp_path / "mine"
    assert written.html.is_file()
    assert written.data == json.loads((tmp_path / "mine" / "report.json").read_text())
    assert capfd.readouterr() == ("", "")
