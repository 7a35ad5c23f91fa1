"""What the documentation names works: its Python examples, its reference studies."""

from __future__ import annotations

import json
import linecache
import re
from pathlib import Path
from typing import Any

import pytest
from helpers import space_mapping

import sweep
from sweep.execution import LAUNCHERS, InlineLauncher
from sweep.reporting.contradictions import require_sound
from sweep.reporting.statistics.values import validation_matrix
from sweep.store import Store

ROOT = Path(sweep.__file__).parents[1]
# The search spaces that they name, in small.
SPACES = {"README.md": "my-study.yaml", "docs/guide.md": "search_spaces/digits.yaml"}


def examples(document: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / document).read_text(), re.M | re.S)


def test_every_document_with_examples_is_tried():
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("bench/*.md")]
    names = {str(path.relative_to(ROOT)) for path in documents}
    assert {name for name in names if examples(name)} == SPACES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("document", SPACES)
def test_examples_run(document, tmp_path, monkeypatch, capfd, words_only):
    monkeypatch.setitem(LAUNCHERS, "processes", InlineLauncher)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / SPACES[document]
    path.parent.mkdir(exist_ok=True)
    space = space_mapping(name=path.stem, sampler="tpe", budget={"trials": 5})
    path.write_text(json.dumps(space))
    names: dict[str, Any] = {}
    for number, example in enumerate(examples(document)):  # as cells of a notebook
        cell = str(tmp_path / f"ipykernel_1/{number}.py")
        linecache.cache[cell] = (len(example), None, example.splitlines(keepends=True), cell)
        exec(compile(example, cell, "exec"), names)  # noqa: S102
    output, _ = capfd.readouterr()
    assert names["report"].html.exists()
    if document == "docs/guide.md":
        assert names["study"].state == "interrupted"
        assert "what was trained is saved: `sweep resume watched" in output


def test_the_reference_studies_are_read_by_this_version():
    store = Store(f"sqlite:///{ROOT / 'studies.db'}", to_write=False)
    searches = ["mnist", "mnist-random", "mnist-extended", "mnist-augmented", "mnist-cnn"]
    names = ["article", *searches, "letter", "adult"]
    assert {*store.all_names()} == {*names, *(f"{name}.confirm" for name in names)}
    for name in store.all_names():
        study = store.read_study(name)
        require_sound(study)
        assert study.best is not None
        matrix = validation_matrix(study, study.best)
        assert matrix is not None
        right = sum(row[label] for label, row in enumerate(matrix))
        accuracy = right / sum(map(sum, matrix))
        assert accuracy == study.best.outcome.best.values["validation_accuracy"]


def test_the_reference_studies_name_no_folder_of_the_machine_that_made_them():
    content = (ROOT / "studies.db").read_bytes()
    assert not re.findall(rb'"/[\w./-]+"', content)
