"""Names and texts in a stranger's store stay text: on the page, in file names, on the terminal."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from helpers import sqlite_url

import sweep
from sweep.codec import from_plain, to_plain
from sweep.records import Failure, FailureKind, TrialOutcome
from sweep.store import Store
from sweep.store.seal import seal

MARKUP = '"><img src=x onerror=alert(1)><svg onload=alert(2)>{{7*7}}'
SCRIPT = f"</td></script><script>alert(3)</script>{MARKUP}"
TERMINAL = "evil\x1b]0;owned\x07\x1b[31m\x9b1m\u202egnp\r"


ATTRIBUTES = {
    "study": "SELECT study_user_attribute_id, study_name, NULL, key, value_json "
    "FROM study_user_attributes JOIN studies USING (study_id)",
    "trial": "SELECT trial_user_attribute_id, study_name, number, key, value_json "
    "FROM trial_user_attributes JOIN trials USING (trial_id) JOIN studies USING (study_id)",
}
"""For each attribute: row, study name, trial number or None, key, value."""


def reseal(database: sqlite3.Connection, change: Callable[[str, int | None, Any], Any]) -> None:
    """Change every value that has a digest, given its key and its trial, and renew the digest.

    Digests find damage; whoever writes a store can compute them.
    """
    for kind, query in ATTRIBUTES.items():
        for row, study, trial, key, text in database.execute(query).fetchall():
            stored = json.loads(text)
            if key != "sweep_format":
                owner = [study] if trial is None else [study, trial]
                stored = seal(owner, key, change(key, trial, stored["value"]))
            table = f"{kind}_user_attributes"
            database.execute(
                f"UPDATE {table} SET value_json = ? WHERE {table[:-1]}_id = ?",  # noqa: S608
                (json.dumps(stored), row),
            )


def edit(folder: Path, wanted: str, change: Callable[[Any], Any]) -> None:
    """Change an attribute of the study or of all its trials, as a stranger would."""
    with closing(sqlite3.connect(folder / "studies.db")) as database, database:
        reseal(database, lambda key, _, value: change(value) if key == wanted else value)


def rename(folder: Path, name: str) -> None:
    with closing(sqlite3.connect(folder / "studies.db")) as database, database:
        database.execute("UPDATE studies SET study_name = ? WHERE study_name = 'small'", (name,))
        reseal(database, lambda _key, _trial, value: value)


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
        outcome = to_plain(from_plain(TrialOutcome, plain))
        environment = {text: text, "torch": text}
        return {**outcome, "device": text, "precision": text, "environment": environment}

    return change


def make_hostile(folder: Path, text: str) -> None:
    """This text wherever a store keeps text, and one trial that failed with it as the reason."""
    edit(folder, "sweep_data", in_spec(class_names=[text] * 10))
    edit(folder, "sweep_outcome", hostile_outcome(text))
    edit(folder, "sweep_config", in_params(activation=text))
    edit(
        folder,
        "sweep_test_readings",
        lambda readings: [{**r, "opened_at": text, "fingerprint": text} for r in readings],
    )
    store = Store(sqlite_url(folder), to_write=False)
    last = store.read_study("small").trials[-1].outcome
    failure = to_plain(Failure(FailureKind.EXCEPTION, text, text))
    with closing(sqlite3.connect(folder / "studies.db")) as database, database:
        database.execute("UPDATE trials SET state = 'FAIL' WHERE number = 2")
        database.execute(
            "DELETE FROM trial_values WHERE trial_id = "
            "(SELECT trial_id FROM trials WHERE number = 2)"
        )
        failed = {**to_plain(last), "state": "FAIL", "failure": failure}
        reseal(
            database,
            lambda key, trial, value: failed if (key, trial) == ("sweep_outcome", 2) else value,
        )


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


@pytest.mark.parametrize("name", ["../../outside", "..", "", "/etc/x", "a\\b", SCRIPT])
def test_a_name_that_leaves_its_folder_is_refused_in_one_line(folder, run, name):
    rename(folder, name)
    outside = set(folder.parent.iterdir())
    for line in ("list", "show", "report", "resume"):
        code, output, errors = run(line, *([] if line == "list" else ["--", name]))
        assert (code, output) == (2, "")
        assert "cannot be named" in errors
        assert len(errors.splitlines()) == 1
    assert set(folder.parent.iterdir()) == outside


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


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("sweep_test_readings", in_mistakes(true=99)),
        ("sweep_test_readings", in_mistakes(image="")),
        ("sweep_test_readings", in_readings(image_shape=[3, 3])),
        ("sweep_test_readings", in_readings(confusion_matrix=[[1, 2], [3]])),
        ("sweep_config", in_params(num_layers=10**12, activation="?")),
        ("sweep_outcome", lambda outcome: {**outcome, "history": [], "best_epoch": 7}),
        ("sweep_space", lambda space: {**space, "dataset": "digits"}),
        ("sweep_config", in_params(momentum=float("inf"))),
        ("sweep_config", lambda _: None),
        ("sweep_config", in_params(num_heads=3)),
        ("sweep_config", lambda config: {**config, "params": {}}),
        ("sweep_data", lambda data: {**data, "validation_labels": ""}),
        ("sweep_data", in_spec(class_names=["only one"])),
        ("sweep_data", in_spec(class_names=[])),
        ("sweep_data", in_spec(kind="table", input_shape=[])),
        ("sweep_outcome", in_values(validation_accuracy=2.0)),
        ("sweep_outcome", in_values(validation_f1_macro=-5.0)),
        ("sweep_outcome", in_values(surprise=1.0)),
        ("sweep_outcome", in_values(surprise=None)),
        ("sweep_outcome", without_value("validation_accuracy")),
        ("sweep_outcome", without_value("train_accuracy")),
        ("sweep_outcome", without_value("validation_loss", epoch=2)),
        ("sweep_outcome", lambda outcome: {**outcome, "validation_predictions": "////"}),
        ("sweep_outcome", lambda outcome: {**outcome, "validation_losses": "AAA="}),
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
        assert code in (0, 2)
        assert len(errors.splitlines()) <= 1
        if code == 2:
            assert "study 'small'" in errors
            assert "cannot be" in errors


@pytest.mark.parametrize("dataset", [None, {}, {"name": 7}, []])
def test_a_list_shows_a_study_whose_space_is_not_valid(folder, run, dataset):
    edit(folder, "sweep_space", lambda space: {**space, "dataset": dataset})
    for line in (["list"], ["list", "--json"], ["show", "small", "0"]):
        code, output, errors = run(*line)
        assert (code, errors) == (0, "")
        assert "small" in output
    code, _, errors = run("show", "small")
    assert code == 2
    assert errors.startswith("sweep: the search space of study 'small' is not valid")
