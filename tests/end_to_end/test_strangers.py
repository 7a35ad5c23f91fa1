"""Names and texts in a stranger's store stay text: on the page, in file names, on the terminal."""

from __future__ import annotations

import csv
import shlex
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from forging import forge, in_part
from helpers import sqlite_url

import sweep
from sweep.codec import to_plain
from sweep.records import Failure, FailureKind

MARKUP = '"><img src=x onerror=alert(1)><svg onload=alert(2)>{{7*7}}'
SCRIPT = f"</td></script><script>alert(3)</script>{MARKUP}"
TERMINAL = "evil\x1b]0;owned\x07\x1b[31m\x9b1m\u202egnp\r"


def edit(folder: Path, part: str, change: Callable[[Any], Any]) -> None:
    """Change a part of the study's record or of the records of all its trials."""

    def changed(record: dict[str, Any]) -> dict[str, Any]:
        return {**record, part: change(record[part])} if part in record else record

    forge(folder, study=changed, trial=lambda _, record: changed(record))


def rename(folder: Path, name: str) -> None:
    with closing(sqlite3.connect(folder / "studies.db")) as database, database:
        database.execute("UPDATE studies SET study_name = ? WHERE study_name = 'small'", (name,))
    forge(folder)


@pytest.fixture(scope="module")
def tested_folder(finished_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished study with its test split read, so that weights are no longer needed."""
    folder = tmp_path_factory.mktemp("tested")
    shutil.copytree(finished_folder, folder, dirs_exist_ok=True)
    sweep.report("small", storage=sqlite_url(folder), out=folder / "first")
    return folder


@pytest.fixture
def folder(tested_folder: Path, tmp_path: Path) -> Path:
    shutil.copy(tested_folder / "studies.db", tmp_path)
    return tmp_path


def hostile_outcome(text: str) -> Callable[[Any], Any]:
    def change(plain: dict[str, Any]) -> dict[str, Any]:
        environment = {text: text, "torch": text}
        return {**plain, "device": text, "precision": text, "environment": environment}

    return change


def make_hostile(folder: Path, text: str) -> None:
    """This text everywhere where a store keeps text, and one trial that failed because of it."""
    edit(folder, "data", in_spec(class_names=[text] * 10))
    edit(folder, "outcome", hostile_outcome(text))
    edit(folder, "config", in_params(activation=text))
    edit(
        folder,
        "test_readings",
        lambda readings: [{**r, "opened_at": text, "fingerprint": text} for r in readings],
    )
    failure = to_plain(Failure(FailureKind.EXCEPTION, text, text))
    with closing(sqlite3.connect(folder / "studies.db")) as database, database:
        database.execute("UPDATE trials SET state = 'FAIL' WHERE number = 2")
        database.execute(
            "DELETE FROM trial_values WHERE trial_id = "
            "(SELECT trial_id FROM trials WHERE number = 2)"
        )

    def fail(number: int, record: dict[str, Any]) -> dict[str, Any]:
        if number != 2:
            return record
        return in_part(record, "outcome", state="FAIL", failure=failure)

    forge(folder, trial=fail)


def in_params(**changes: Any) -> Callable[[Any], Any]:
    return lambda config: {**config, "params": {**config["params"], **changes}}


def in_spec(**changes: Any) -> Callable[[Any], Any]:
    return lambda data: {**data, "spec": {**data["spec"], **changes}}


def in_values(**changes: Any) -> Callable[[Any], Any]:
    return lambda outcome: {
        **outcome,
        "history": [{**m, "values": {**m["values"], **changes}} for m in outcome["history"]],
    }


def without_value(name: str, epoch: int | None = None) -> Callable[[Any], Any]:
    """Remove a metric from this epoch, or from all."""

    def change(metrics: dict[str, Any]) -> dict[str, Any]:
        if epoch not in (None, metrics["epoch"]):
            return metrics
        return {**metrics, "values": {n: v for n, v in metrics["values"].items() if n != name}}

    return lambda outcome: {**outcome, "history": [change(m) for m in outcome["history"]]}


class Page(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


def assert_harmless(page: Page) -> None:
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert {"iframe", "object", "embed", "base", "form"}.isdisjoint(t for t, _ in page.elements)
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png")), attributes


@pytest.mark.slow
def test_the_page_escapes_every_text_of_the_store(folder):
    make_hostile(folder, SCRIPT)
    rename(folder, MARKUP)
    written = sweep.report(MARKUP, storage=sqlite_url(folder), out=folder / "report")
    page = Page(written.html.read_text())
    assert_harmless(page)
    # Name, device, reason, class names, versions: all are shown, and none is evaluated.
    assert page.text.count(MARKUP) >= 8
    assert page.text.count(SCRIPT) >= 5
    assert "49" not in page.text.split(MARKUP)[0]
    descriptions = [a["aria-label"] for tag, a in page.elements if tag == "svg"]
    assert descriptions
    assert any(MARKUP in (a.get("alt") or "") for tag, a in page.elements if tag == "img")


def test_the_checks_of_the_page_would_find_what_they_look_for():
    for text in (MARKUP, SCRIPT, "<a href='javascript:alert(1)'>"):
        with pytest.raises(AssertionError, match=r"."):
            assert_harmless(Page(f"<script></script><p>{text}</p>"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [MARKUP, "..", "x" * 3000, "=1+1", "_hidden", "Ünï ☃", ".git"])
def test_files_of_a_report_stay_in_their_folder(folder, sketched, name):
    if name == "..":
        name = ".. .."  # a bare '..' is not a valid name: see below
    rename(folder, name)
    before = set(folder.iterdir())
    sweep.report(name, storage=sqlite_url(folder), out=folder / "report")
    assert set(folder.iterdir()) - before == {folder / "report"}
    names = [path.name for path in (folder / "report" / "figures").iterdir()]
    assert names
    assert all(not n.startswith(".") and n.isascii() and len(n) < 120 for n in names)
    with (folder / "report" / "trials.csv").open(newline="") as file:
        studies = {row["study"] for row in csv.DictReader(file)}
    assert studies == {f"'{name}" if name.startswith("=") else name}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["../../outside", "..", "", "/etc/x", "a\\b", SCRIPT])
def test_a_name_that_leaves_its_folder_is_refused_in_one_line(folder, run, name):
    rename(folder, name)
    outside = set(folder.parent.iterdir())
    for line in ("list", "show", "report", "resume"):
        code, output, errors = run(line, *([] if line == "list" else ["--", name]))
        assert (code, output) == (1 if line == "list" else 2, "")
        assert "cannot be named" in errors
        assert len(errors.splitlines()) == 1
    assert set(folder.parent.iterdir()) == outside


@pytest.mark.slow
def test_the_terminal_is_told_nothing(folder, sketched, run):
    make_hostile(folder, TERMINAL)
    rename(folder, TERMINAL)
    lines: list[tuple[str, ...]] = [
        ("list",),
        ("list", "--json"),
        ("show", TERMINAL),
        ("show", TERMINAL, "--json"),
        ("show", TERMINAL, "0"),
        ("show", TERMINAL, "2"),
        ("show", "nothing"),
        ("report", TERMINAL),
        ("resume", TERMINAL, "--device", "cuda:99"),
    ]
    for arguments in lines:
        code, output, errors = run(*arguments)
        said = output + errors
        obeyed = {c for c in said if not c.isprintable()} - {"\n", "\t", "\u00a0"}
        assert obeyed == set(), shlex.join(arguments)
        assert "Traceback" not in said.replace("evil", "")
        assert code in (0, 1, 2)
        if arguments[0] in ("list", "show"):
            assert r"evil\x1b]0;owned" in said or r"evil\u001b]0;owned" in said


def in_readings(**changes: Any) -> Callable[[Any], Any]:
    return lambda readings: [{**reading, **changes} for reading in readings]


def in_mistakes(**changes: Any) -> Callable[[Any], Any]:
    return lambda readings: [
        {**reading, "mistakes": [{**mistake, **changes} for mistake in reading["mistakes"]]}
        for reading in readings
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("test_readings", in_mistakes(true=99)),
        ("test_readings", in_mistakes(image="")),
        ("test_readings", in_readings(image_shape=[3, 3])),
        ("test_readings", in_readings(confusion_matrix=[[1, 2], [3]])),
        ("config", in_params(num_layers=10**12, activation="?")),
        ("outcome", lambda outcome: {**outcome, "history": [], "best_epoch": 7}),
        ("space", lambda space: {**space, "dataset": "digits"}),
        ("config", in_params(momentum=float("inf"))),
        ("config", lambda _: None),
        ("config", in_params(num_heads=3)),
        ("config", lambda config: {**config, "params": {}}),
        ("data", lambda data: {**data, "validation_labels": ""}),
        ("data", in_spec(class_names=["only one"])),
        ("data", in_spec(class_names=[])),
        ("data", in_spec(kind="table", input_shape=[])),
        ("outcome", in_values(validation_accuracy=2.0)),
        ("outcome", in_values(validation_f1_macro=-5.0)),
        ("outcome", in_values(surprise=1.0)),
        ("outcome", in_values(surprise=None)),
        ("outcome", without_value("validation_accuracy")),
        ("outcome", without_value("train_accuracy")),
        ("outcome", without_value("validation_loss", epoch=2)),
        ("outcome", lambda outcome: {**outcome, "validation_predictions": "////"}),
        ("outcome", lambda outcome: {**outcome, "validation_losses": "AAA="}),
    ],
    ids=[
        "class",
        "image",
        "shape",
        "matrix",
        "config",
        "epoch",
        "space",
        "inf",
        "none",
        "unknown parameter",
        "no parameters",
        "labels",
        "one class",
        "no class",
        "table",
        "share above 1",
        "share below 0",
        "unknown metric",
        "no number",
        "no objective",
        "no train accuracy",
        "no loss in an epoch",
        "predictions",
        "losses",
    ],
)
def test_records_that_contradict_each_other_get_an_answer(folder, sketched, run, key, change):
    edit(folder, key, change)
    lines = ("list", "list --json", "show small", "show small --json", "show small 0")
    for line in (*lines, "show small 0 --json", "report small"):
        code, _, errors = run(*line.split())
        bad = 1 if line.startswith("list") else 2
        assert code in (0, bad)
        assert len(errors.splitlines()) <= 1
        if code == bad:
            assert "study 'small'" in errors
            assert "cannot be" in errors


@pytest.mark.parametrize("dataset", [None, {}, {"name": 7}, []])
def test_a_list_shows_a_study_whose_space_is_not_valid(folder, run, dataset):
    edit(folder, "space", lambda space: {**space, "dataset": dataset})
    for line in (["list"], ["list", "--json"], ["show", "small", "0"]):
        code, output, errors = run(*line)
        assert (code, errors) == (0, "")
        assert "small" in output
    code, _, errors = run("show", "small")
    assert code == 2
    assert errors.startswith("sweep: the search space of study 'small' is not valid")
