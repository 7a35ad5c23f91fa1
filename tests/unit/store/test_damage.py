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
from sweep.store.seal import seal


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
    ("UPDATE study_user_attributes SET key = 'sweep_spacf' WHERE key = 'sweep_space'", "seal"),
    ("UPDATE study_user_attributes SET key = 'sweep_done' WHERE key = 'sweep_finished'", "seal"),
    ("UPDATE study_user_attributes SET key = 'rweep_data' WHERE key = 'sweep_data'", "seal"),
    ("UPDATE trial_user_attributes SET key = 'sweep_lost' WHERE key = 'sweep_outcome'", "seal"),
    ("UPDATE studies SET study_name = 'smaml'", "seal"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "reason"), SILENT)
def test_what_sqlite_does_not_notice_is_noticed(finished, tmp_path, statement, reason):
    edit(tmp_path, statement)
    with pytest.raises(StoreError, match=rf"{reason}") as caught:
        read_all(finished)
    assert "sweep doctor" in str(caught.value)


def test_an_outcome_that_moves_to_another_trial_is_noticed(finished, tmp_path):
    edit(tmp_path, "DELETE FROM trial_user_attributes WHERE key = 'sweep_outcome' AND trial_id = 2")
    edit(
        tmp_path,
        "UPDATE trial_user_attributes SET trial_id = 2 WHERE key = 'sweep_outcome' "
        "AND trial_id = 1",
    )
    with pytest.raises(StoreError, match=r"trial 0: it is COMPLETE and has no outcome"):
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
    edit(tmp_path, "UPDATE study_user_attributes SET value_json = '4' WHERE key = 'sweep_format'")
    with pytest.raises(StoreError, match=r"newer version of sweep \(format 4; this one reads 3\)"):
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


def without_seals(folder: Path) -> None:
    """What the first version wrote: bare values, and no format."""
    edit(folder, "DELETE FROM study_user_attributes WHERE key = 'sweep_format'")
    for table in ("study_user_attributes", "trial_user_attributes"):
        edit(folder, f"UPDATE {table} SET value_json = value_json -> '$.value'")  # noqa: S608


@pytest.mark.parametrize("version", [1, 2])
def test_a_study_of_an_earlier_version_is_refused_and_left_as_it_is(
    finished, tmp_path, main, version
):
    if version == 1:
        without_seals(tmp_path)
    else:
        edit(
            tmp_path, "UPDATE study_user_attributes SET value_json = '2' WHERE key = 'sweep_format'"
        )
    (tmp_path / "space.yaml").write_text(json.dumps(SMALL))
    before = files(tmp_path)
    for line in ("show small", "resume small", "run space.yaml", "report small"):
        output, errors = main(f"{line} --storage {finished}", code=2)
        assert output == ""
        assert errors.count("\n") == 1
        assert "'small' in " in errors
        assert (
            f"was made by an earlier version of sweep (format {version}; this one reads 3); use "
            "that version, or another store with --storage\n"
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


def test_a_seal_does_not_fit_another_owner_key_or_value():
    seals = [
        seal(*arguments)["sha256"]
        for arguments in [
            (["a", 1], "key", 0.5), (["a", 2], "key", 0.5), (["b", 1], "key", 0.5),
            (["a"], "key", 0.5), (["a", 1], "kez", 0.5), (["a", 1], "key", 0.25),
        ]
    ]  # fmt: skip
    assert len(set(seals)) == len(seals)


# ---------------------------------------------------------------- the command line


def test_commands_on_a_damaged_store_say_one_line(finished, tmp_path, main):
    edit(tmp_path, "UPDATE trial_values SET value = 0.99 WHERE trial_id = 1")
    for line in ("list", "show small", "resume small", "report small"):
        output, errors = main(f"{line} --storage {finished}", code=2)
        assert output == ""
        assert errors.count("\n") == 1
        assert "trial 0: its value differ" in errors


def test_text_that_is_no_text_is_one_line_without_optunas_warnings(finished, tmp_path):
    edit(
        tmp_path,
        "UPDATE trial_user_attributes SET value_json = CAST(X'7b22ff227d' AS TEXT) "
        "WHERE key = 'sweep_outcome' AND trial_id = 1",
    )
    done = run_cli("show", "small", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("table", ["studies", "trials", "trial_user_attributes", "alembic_version"])
def test_a_table_that_the_schema_has_lost_is_damage_and_no_empty_store(finished, tmp_path, table):
    """One flipped bit makes `tAble` of a table, and SQLite passes over it without a word."""
    path = tmp_path / "studies.db"
    content = path.read_bytes()
    entry = f"table{table}{table}".encode()
    assert content.count(entry) == 1
    path.write_bytes(content.replace(entry, b"tA" + entry[2:]))
    with pytest.raises(StoreError, match="is damaged"):
        Store(finished, to_write=False).study_names()
