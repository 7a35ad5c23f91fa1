"""Damaged files give an error or the truth; a few dozen cases (`make soak` tries a thousand)."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from damage_cases import damaged_copies, journal_cases, outcome_of, read_all
from helpers import SMALL, run_cli, sqlite_url

from sweep.errors import StoreError
from sweep.store import Store
from sweep.store.digests import with_digest


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def edit(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / "studies.db")) as database, database:
        assert database.execute(statement, values).rowcount


def test_damaged_copies_are_refused_or_unharmed(finished_folder, tmp_path):
    truth = read_all(sqlite_url(finished_folder))
    outcomes = {
        words: outcome_of(tmp_path, truth)
        for words, _ in damaged_copies(finished_folder, tmp_path, 60, seed=7)
    }
    assert {words: o for words, o in outcomes.items() if o not in ("refused", "unharmed")} == {}
    assert set(outcomes.values()) == {"refused", "unharmed"}


def test_journals_that_no_driver_wrote_do_no_harm(finished_folder, tmp_path):
    truth = read_all(sqlite_url(finished_folder))
    for words in journal_cases(finished_folder, tmp_path, 15, seed=7):
        assert outcome_of(tmp_path, truth) in ("refused", "unharmed"), words


# ---------------------------------------------------------------- numbers and texts, one by one


SILENT = [
    ("UPDATE trial_values SET value = 0.99 WHERE trial_id = 1", r"trial 0: its value differ"),
    ("UPDATE trial_intermediate_values SET intermediate_value = 0.99", r"its reports differ"),
    ("UPDATE trials SET state = 'PRUNED' WHERE trial_id = 1", r"trial 0: its state differ"),
    ("UPDATE trials SET state = 'COMPLETF' WHERE trial_id = 1", r"COMPLETF"),
    ("UPDATE trials SET number = 7 WHERE trial_id = 2", r"number differ"),
    ("UPDATE trials SET number = NULL WHERE trial_id = 2", r"cannot be understood"),
    ("UPDATE trial_params SET param_value = 0.005 WHERE param_id = 3", "parameters differ"),
    ("UPDATE study_directions SET direction = 'MINIMIZE'", r"direction"),
    ("UPDATE study_system_attributes SET key = 'sweep:recore'", "digest"),
    ("UPDATE study_system_attributes SET value_json = replace(value_json, 'sha256', 'sha257')",
     "digest"),
    ("UPDATE study_system_attributes SET value_json = replace(value_json, '\"mlp\"', '\"mlq\"')",
     "digest"),
    ("DELETE FROM study_system_attributes", "record is missing"),
    ("DELETE FROM trial_system_attributes WHERE trial_id = 2", "trial 1: its record is missing"),
    ("UPDATE trial_system_attributes SET key = 'sweep;record' WHERE trial_id = 1", "digest"),
    ("UPDATE trial_system_attributes SET value_json = replace(value_json, '\"seed\"', '\"sfed\"')",
     "trial 0: 'sweep:record' is not what was written there"),
    ("UPDATE trial_user_attributes SET value_json = '3' WHERE key = 'best_epoch' AND trial_id = 1",
     "trial 0: its best_epoch differ"),
    ("UPDATE trial_user_attributes SET key = 'seee' WHERE key = 'seed'", "0: its seed differ"),
    ("INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (2, 'reason', '\"x\"')",
     "trial 1: its reason differ"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "reason"), SILENT)
def test_what_sqlite_does_not_notice_is_noticed(finished, tmp_path, statement, reason):
    edit(tmp_path, statement)
    with pytest.raises(StoreError, match=rf"{reason}") as caught:
        read_all(finished)
    assert "sweep doctor" in str(caught.value)


def test_a_record_that_moves_to_another_trial_is_noticed(finished, tmp_path):
    edit(tmp_path, "DELETE FROM trial_system_attributes WHERE trial_id = 2")
    edit(tmp_path, "UPDATE trial_system_attributes SET trial_id = 2 WHERE trial_id = 1")
    with pytest.raises(StoreError, match=r"trial 0: its record is missing"):
        read_all(finished)
    edit(tmp_path, "UPDATE trial_system_attributes SET trial_id = 1 WHERE trial_id = 3")
    with pytest.raises(StoreError, match=r"trial 0: its parameters differ"):
        read_all(finished)
    edit(tmp_path, "DELETE FROM trials WHERE trial_id = 1")
    with pytest.raises(StoreError, match=r"cannot be understood"):
        read_all(finished)


def test_a_range_that_is_another_one_in_one_trial_is_noticed(finished, tmp_path):
    edit(
        tmp_path,
        "UPDATE trial_params SET distribution_json = replace(distribution_json, '\"high\": 2', "
        "'\"high\": 3') WHERE param_name = 'num_layers' AND trial_id = 2",
    )
    with pytest.raises(StoreError, match=r"trial 1: its range of num_layers differ"):
        read_all(finished)


def test_a_newer_format_is_refused_by_name(finished, tmp_path):
    edit(tmp_path, "UPDATE study_user_attributes SET value_json = '7' WHERE key = 'sweep_format'")
    with pytest.raises(StoreError, match=r"newer version of sweep \(format 7; this one reads 6\)"):
        read_all(finished)


@pytest.mark.parametrize(
    ("version", "advice"),
    [("v2.6.0.a", "older Optuna .*optuna storage upgrade"), ("v9.0.0.a", "newer Optuna")],
)
def test_other_versions_of_optunas_tables_are_told_apart(finished, tmp_path, version, advice):
    edit(tmp_path, "UPDATE alembic_version SET version_num = ?", version)
    with pytest.raises(StoreError, match=advice):
        read_all(finished)


# ---------------------------------------------------------------- earlier versions


def as_format(folder: Path, version: int) -> None:
    """User attributes in place of records, as earlier versions wrote them; the first: no format."""
    edit(folder, "DELETE FROM study_system_attributes")
    edit(folder, "DELETE FROM study_user_attributes")
    values = {"sweep_space": "{}"} | ({"sweep_format": str(version)} if version > 1 else {})
    for value in values.items():
        edit(
            folder,
            "INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (1, ?, ?)",
            *value,
        )


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_a_study_of_an_earlier_version_is_refused_and_left_as_it_is(
    finished, tmp_path, main, version
):
    as_format(tmp_path, version)
    (tmp_path / "space.yaml").write_text(json.dumps(SMALL))
    before = files(tmp_path)
    for line in ("show small", "resume small", "run space.yaml", "report small"):
        output, errors = main(f"{line} --storage {finished}", code=2)
        assert output == ""
        assert errors.count("\n") == 1
        assert "'small' in " in errors
        assert (
            f"was made by an earlier version of sweep (format {version}; this one reads 6); use "
            "that version"
        ) in errors
        assert files(tmp_path) == before


def test_attributes_of_other_programs_are_left_alone(finished, tmp_path):
    value = json.dumps({"value": "looked at"})
    edit(
        tmp_path,
        "INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (1, 'note', ?)",
        value,
    )
    assert list(read_all(finished)) == ["small"]


CHANGED = [
    ("UPDATE study_user_attributes SET key = 'sweep_formau' WHERE key = 'sweep_format'",
     "sweep_format"),
    ("UPDATE study_user_attributes SET key = 'dat' WHERE key = 'dataset'", "dataset"),
    ("UPDATE study_user_attributes SET value_json = '\"cnn\"' WHERE key = 'model'", "model"),
    ("DELETE FROM study_user_attributes WHERE key = 'finished_by'", "finished_by"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("statement", "key"), CHANGED)
def test_what_another_program_shows_of_a_study_is_named_and_not_read(
    finished, tmp_path, main, statement, key
):
    truth = read_all(finished)
    edit(tmp_path, statement)
    assert read_all(finished) == truth
    output, _ = main(f"doctor {finished}", code=0)
    assert f"another program changed what the study shows of itself: {key}\n" in output
    main(f"resume small --trials 4 --workers 1 --storage {finished}", code=0)
    assert "another program" not in main(f"doctor {finished}", code=0)[0]


def test_a_digest_does_not_fit_another_owner_or_value():
    owners = [["a", 1], ["a", 2], ["b", 1], ["a"], ["a1"], ["a", "1"]]
    digests = [with_digest(owner, value)["sha256"] for owner in owners for value in (0.5, 0.25)]
    assert len(set(digests)) == len(digests)


# ---------------------------------------------------------------- the command line


def test_commands_on_a_damaged_store_say_one_line(finished, tmp_path, main):
    edit(tmp_path, "UPDATE trial_values SET value = 0.99 WHERE trial_id = 1")
    lines = {"list": 1, "show small": 2, "resume small": 2, "report small": 2}
    for line, code in lines.items():
        output, errors = main(f"{line} --storage {finished}", code=code)
        assert output == ""
        assert errors.count("\n") == 1
        assert "trial 0: its value differ" in errors


@pytest.mark.slow
def test_text_that_is_no_text_is_one_line_without_optunas_warnings(finished, tmp_path):
    edit(
        tmp_path,
        "UPDATE trial_system_attributes SET value_json = CAST(X'7b22ff227d' AS TEXT) "
        "WHERE key = 'sweep:record' AND trial_id = 1",
    )
    done = run_cli("show", "small", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "table", ["studies", "trials", "trial_system_attributes", "alembic_version"]
)
def test_a_table_that_the_schema_has_lost_is_damage_and_no_empty_store(finished, tmp_path, table):
    """One flipped bit makes `tAble` of a table, and SQLite passes over it without a word."""
    path = tmp_path / "studies.db"
    content = path.read_bytes()
    entry = f"table{table}{table}".encode()
    assert content.count(entry) == 1
    path.write_bytes(content.replace(entry, b"tA" + entry[2:]))
    with pytest.raises(StoreError, match="is damaged"):
        Store(finished, to_write=False).all_names()
