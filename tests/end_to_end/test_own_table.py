"""A table of one's own through the real command line: killed, resumed, confirmed, reported."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from helpers import read_until, start_cli

pytestmark = pytest.mark.slow

SPACE = """\
name: mine
dataset: {table: mine.csv, target: kind, group: person}
parameters:
  layer_size: {choices: [16, 32]}
  learning_rate: {low: 1e-3, high: 1e-2, log: true}
  epochs: 12
  batch_size: 32
budget: {trials: 4}
"""


def write_table(path, number=600):
    generator = np.random.default_rng(3)
    kind = generator.permutation(np.arange(number) % 3)
    size = kind + generator.normal(0, 0.4, number)
    colour = np.where(generator.random(number) < 0.8, np.array(["red", "green", "blue"])[kind], "?")
    frame = pd.DataFrame({"size": size, "colour": colour, "same": 1})
    frame["kind"] = np.array(["small", "medium", "large"])[kind]
    frame["person"] = np.arange(number) // 3
    frame.loc[::7, "size"] = np.nan
    frame.to_csv(path, sep=";", decimal=",", index=False)


def test_killed_resumed_confirmed_and_reported(cli, tmp_path):
    write_table(tmp_path / "mine.csv")
    (tmp_path / "space.yaml").write_text(SPACE)
    with start_cli("run", "space.yaml", "--workers", 1, cwd=tmp_path) as driver:
        read_until(driver.stderr, "[1/4]")
        driver.kill()
        driver.wait()
    resumed = cli("resume", "mine")
    assert resumed.returncode == 0, resumed.stderr
    confirmed = cli("confirm", "mine", "--top", 2, "--seeds", 2)
    assert confirmed.returncode == 0, confirmed.stderr
    reported = cli("report", "mine", "--out", "report")
    assert reported.returncode == 0, reported.stderr
    found = json.loads((tmp_path / "report/report.json").read_text())["studies"]["mine"]
    assert len(found["best"]["test_confusion_matrix"]) == 3
    assert "medium" in (tmp_path / "report/report.html").read_text()
    shown = json.loads(cli("show", "mine", "--json").stdout)
    assert (shown["state"], shown["dataset"]) == ("finished", "mine.csv")
    assert shown["best"]["value"] > 0.85


def test_a_study_refuses_a_table_that_changed(cli, tmp_path):
    table = tmp_path / "mine.csv"
    write_table(table)
    (tmp_path / "space.yaml").write_text(SPACE.replace("trials: 4", "trials: 1"))
    assert cli("run", "space.yaml", "--workers", 1).returncode == 0
    text = table.read_text()
    table.write_text(text.replace(";red;", ";blue;", 1))
    refused = cli("resume", "mine", "--trials", 2)
    assert refused.returncode == 2
    assert "fingerprint" in refused.stderr
    refused = cli("confirm", "mine", "--top", 1, "--seeds", 2)
    assert refused.returncode == 2
    assert "the data have changed since study 'mine' was made" in refused.stderr
    assert [each["study"] for each in json.loads(cli("list", "--json").stdout)] == ["mine"]
    table.write_text(text)
    assert cli("resume", "mine", "--trials", 2).returncode == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("size;kind\n1;a\n2\n", "has 1 value in line 3, and 2 columns"),
        ("size;kinds\n1;a\n2;b\n", "no column 'kind' (did you mean 'kinds'?)"),
        ("size;kind\n1;0,5\n2;1,7\n", "regression is not supported"),
    ],
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_refused_table_leaves_nothing_behind(cli, tmp_path, command, content, words):
    (tmp_path / "mine.csv").write_text(content)
    (tmp_path / "space.yaml").write_text(SPACE.replace(", group: person", ""))
    refused = cli(command, "space.yaml")
    assert refused.returncode == 2
    assert words in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"mine.csv", "space.yaml"}
