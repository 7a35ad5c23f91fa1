"""Folders, tables and arrays → classes by the chosen network; what does not fit is one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import HERE, space_mapping, sqlite_url
from PIL import Image

import sweep
from sweep.errors import InputError
from sweep.evaluation.networks import compute_logits, load_networks
from sweep.evaluation.prediction import _as_trained, _Look
from sweep.store import Store

PARAMETERS = {"layer_size": 16, "num_layers": 2, "epochs": 12, "learning_rate": 0.02}


def rows_of(number: int, seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    kind = generator.integers(0, 2, number)
    return pd.DataFrame(
        {
            "length": generator.normal(kind * 4.0, 1.0),
            "colour": np.where(kind == 1, "blue", "red"),
            "code": np.where(kind == 1, "7", "x"),
            "kind": np.where(kind == 1, "tall", "short"),
        }
    )


@pytest.fixture(scope="module")
def table_study(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("table")
    rows_of(200, 0).to_csv(folder / "mine.csv", index=False)
    dataset = {"table": str(folder / "mine.csv"), "target": "kind"}
    space = space_mapping(dataset=dataset, parameters=PARAMETERS, budget={"trials": 1})
    sweep.run(space, storage=sqlite_url(folder), **HERE)
    return sqlite_url(folder)


@pytest.fixture(scope="module")
def array_study(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("arrays")
    x, y = arrays_of(200, 0)
    np.savez(folder / "mine.npz", x=x, y=y)
    space = space_mapping(
        dataset={"arrays": str(folder / "mine.npz")}, parameters=PARAMETERS, budget={"trials": 1}
    )
    sweep.run(space, storage=sqlite_url(folder), **HERE)
    return sqlite_url(folder)


def arrays_of(number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 2, number)
    return generator.normal(y[:, None] * 4.0, 1.0, (number, 3)).astype(np.float32), y


# ---------------------------------------------------------------- tables


def test_each_row_of_a_table_has_a_prediction(table_study, tmp_path):
    rows = rows_of(50, 1)
    whole, bare = tmp_path / "whole.csv", tmp_path / "bare.csv"
    rows.assign(remark="new").to_csv(whole, index=False)
    rows.drop(columns="kind")[["code", "length", "colour"]].to_csv(bare, index=False)
    found = sweep.predict("small", [whole, bare], storage=table_study)
    assert [each.file for each in found] == [str(whole)] * 50 + [str(bare)] * 50
    assert [each.row for each in found] == [*range(50), *range(50)]
    for part in (found[:50], found[50:]):
        assert (np.array([each.class_name for each in part]) == rows["kind"]).mean() > 0.95
    assert [e.probabilities for e in found[:50]] == [e.probabilities for e in found[50:]]


def test_a_column_of_text_stays_text_where_all_its_values_are_numbers(table_study, tmp_path):
    rows = rows_of(40, 2)
    rows = rows[rows["code"] == "7"]
    rows.to_csv(tmp_path / "sevens.csv", index=False)
    found = sweep.predict("small", tmp_path / "sevens.csv", storage=table_study)
    assert {each.class_name for each in found} == {"tall"}


def test_tables_that_do_not_fit_are_one_line_each(table_study, tmp_path):
    rows = rows_of(5, 3)
    frames = {
        "missing.csv": rows.drop(columns="length"),
        "misspelt.csv": rows.rename(columns={"length": "lenght"}),
        "words.csv": rows.assign(length="long"),
    }
    for name, frame in frames.items():
        frame.to_csv(tmp_path / name, index=False)
    (tmp_path / "empty.csv").touch()
    expected = {
        "missing.csv": "^cannot predict '.*missing.csv': the table has no column 'length'",
        "misspelt.csv": r"^cannot predict '.*no column 'length' \(did you mean 'lenght'\?\)",
        "words.csv": "^cannot predict '.*column 'length' must hold numbers.*found 'long'",
        "empty.csv": "^table '.*empty.csv' is empty",
        "nowhere.csv": "^table '.*nowhere.csv' cannot be read: No such file",
    }
    for name, words in expected.items():
        with pytest.raises(InputError, match=words) as caught:
            sweep.predict("small", tmp_path / name, storage=table_study)
        assert "\n" not in str(caught.value)


def test_the_command_names_rows_and_prints_nothing_before_a_bad_file(main, table_study, tmp_path):
    rows_of(3, 4).to_csv(tmp_path / "new.csv", index=False)
    storage = f"--storage {table_study}"
    output, _ = main(f"predict small new.csv {storage}", code=0)
    lines = output.splitlines()
    assert [line.split()[:3] for line in lines] == [["new.csv", "row", str(n)] for n in range(3)]
    found = json.loads(main(f"predict small new.csv --json {storage}", code=0)[0])
    assert [each["row"] for each in found] == [0, 1, 2]
    output, errors = main(f"predict small new.csv nope.csv {storage}", code=2)
    assert output == ""
    assert errors.startswith("sweep: table 'nope.csv' cannot be read")
    output, errors = main(f"predict small new.csv --invert {storage}", code=2)
    assert errors == "sweep: invert is for pictures; 'new.csv' is none: leave it out\n"


def test_values_that_training_did_not_see_are_said(main, table_study, tmp_path):
    rows = rows_of(4, 5)
    rows.loc[[1, 3], "colour"] = "Blue"
    rows.to_csv(tmp_path / "new.csv", index=False)
    _, errors = main(f"predict small new.csv --storage {table_study}", code=0)
    assert errors.splitlines()[0] == (
        "sweep: note: new.csv: column 'colour' has values in 2 rows that training did not see, "
        "such as 'Blue'"
    )
    _, errors = main(f"predict small new.csv --json --storage {table_study}", code=0)
    assert "did not see" in errors


def test_a_row_whose_number_is_na_is_read_as_in_training(table_study, tmp_path):
    rows = rows_of(1, 6).assign(length="NA")
    rows.to_csv(tmp_path / "na.csv", index=False)
    rows.assign(length="").to_csv(tmp_path / "empty.csv", index=False)
    found = sweep.predict("small", [tmp_path / "na.csv", tmp_path / "empty.csv"],
                          storage=table_study)  # fmt: skip
    assert found[0].probabilities == found[1].probabilities


# ---------------------------------------------------------------- images of a folder


def test_a_dark_image_of_training_is_predicted_as_it_was_trained(tmp_path):
    """No image is brighter than 90: one that is given is not taken for brighter than it was."""
    generator = np.random.default_rng(0)
    for kind, level in (("dim", 30), ("dimmer", 60)):
        (tmp_path / "photos" / kind).mkdir(parents=True)
        for number in range(20):
            pixels = generator.integers(level - 30, level + 31, (6, 6)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / kind / f"{number}.png")
    space = space_mapping(
        dataset={"folder": str(tmp_path / "photos")}, parameters=PARAMETERS, budget={"trials": 1}
    )
    study = sweep.run(space, storage=sqlite_url(tmp_path), **HERE)
    store = Store(sqlite_url(tmp_path), to_write=False)
    (model,), data = load_networks(store, study, [0], None)
    logits = compute_logits(model, data.validation.inputs, data)
    expected = sorted(logits.double().softmax(1)[:, 0].tolist())
    found = sweep.predict("small", tmp_path / "photos", storage=sqlite_url(tmp_path), invert=False)
    known = [each.probabilities["dim"] for each in found]
    for probability in expected:
        assert min(abs(probability - each) for each in known) < 1e-6


# ---------------------------------------------------------------- arrays


def test_arrays_are_read_from_both_kinds_of_files(array_study, tmp_path):
    x, y = arrays_of(50, 1)
    np.save(tmp_path / "new.npy", x)
    np.savez(tmp_path / "new.npz", x=x)
    for name in ("new.npy", "new.npz"):
        found = sweep.predict("small", tmp_path / name, storage=array_study)
        assert [each.row for each in found] == list(range(50))
        assert (np.array([each.class_name for each in found]) == y.astype(str)).mean() > 0.95


def test_arrays_that_do_not_fit_are_one_line_each(array_study, tmp_path):
    np.save(tmp_path / "wide.npy", np.zeros((4, 5)))
    np.save(tmp_path / "nan.npy", np.full((4, 3), np.nan))
    np.savez(tmp_path / "other.npz", y=np.zeros(3))
    (tmp_path / "text.csv").write_text("a,b\n1,2\n")
    expected = {
        "wide.npy": r"must have shape \(N, 3\); found \(4, 5\)",
        "nan.npy": "must hold finite numbers",
        "other.npz": "must hold an array named 'x'",
        "none.npy": "^cannot read the arrays '.*none.npy': there is no such file",
        "text.csv": "^cannot predict '.*text.csv': the network was trained on arrays of rows",
    }
    for name, words in expected.items():
        with pytest.raises(InputError, match=words):
            sweep.predict("small", tmp_path / name, storage=array_study)


def test_an_array_is_predicted_as_its_file_is(array_study, tmp_path):
    x, _ = arrays_of(20, 2)
    np.save(tmp_path / "new.npy", x)
    expected = sweep.predict("small", tmp_path / "new.npy", storage=array_study)
    for given in (x, torch.tensor(x), pd.DataFrame(x), np.asfortranarray(x)):
        found = sweep.predict("small", given, storage=array_study)
        assert [replace(each, file=None) for each in expected] == found


def test_given_arrays_that_do_not_fit_are_one_line_each(array_study, table_study):
    nan = np.full((4, 3), np.nan)
    for inputs, words in [
        (np.zeros((4, 5)), r"^inputs: must have shape \(N, 3\); found \(4, 5\)"),
        (np.zeros((0, 3)), r"^inputs must not be empty; found shape \(0, 3\)"),
        (nan, "^inputs must hold finite numbers"),
        (np.full((4, 3), "a"), "^inputs must hold numbers; found text"),
        (np.full((4, 3), None), "^inputs has 12 missing values"),
    ]:
        with pytest.raises(InputError, match=words):
            sweep.predict("small", inputs, storage=array_study)
    with pytest.raises(InputError, match=r"^invert is for pictures"):
        sweep.predict("small", np.zeros((4, 3)), storage=array_study, invert=True)
    for table in (np.zeros((4, 3)), rows_of(4, 1)):
        with pytest.raises(InputError, match=r"^the network was trained on a table: .* as CSV$"):
            sweep.predict("small", table, storage=table_study)


# ---------------------------------------------------------------- folders of pictures


def test_a_folder_is_all_files_below_it_by_name(finished, tmp_path, monkeypatch):
    monkeypatch.setattr("sweep.evaluation.prediction._PICTURES", 2)
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for name in ("b.png", "a.png", "more/c.png", ".hidden.png"):
        Image.new("L", (20, 20), 100).save(folder / name)
    found = sweep.predict("small", [folder, folder / "a.png"], storage=finished)
    expected = ["a.png", "b.png", "more/c.png", "a.png"]
    assert [str(Path(each.file).relative_to(folder)) for each in found] == expected
    assert len({tuple(each.probabilities.values()) for each in found}) == 1
    (folder / "notes.txt").write_text("no picture")
    with pytest.raises(InputError, match=r"cannot read the image '.*notes\.txt': it is none of"):
        sweep.predict("small", folder, storage=finished)


def test_folders_that_do_not_fit_are_one_line_each(finished, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "there").symlink_to(tmp_path)
    with pytest.raises(InputError, match=r"^the folder '.*empty' has no files to predict$"):
        sweep.predict("small", tmp_path / "empty", storage=finished)
    with pytest.raises(InputError, match=r"^'.*there' is a link to a folder; name that folder"):
        sweep.predict("small", tmp_path / "linked", storage=finished)


def test_pictures_in_colour_are_never_inverted_unasked():
    dark = np.full((50, 3, 8, 8), 10, np.uint8)
    bright = np.full((2, 3, 8, 8), 240, np.uint8)
    look = _Look.of(np.concatenate([dark, 255 - dark[:1]]), is_folder=True)
    assert _as_trained(bright, look, None)[1].tolist() == [False, False]
    assert _as_trained(bright, look, True)[1].tolist() == [True, True]
    grey = _Look.of(np.concatenate([dark, 255 - dark[:1]])[:, :1], is_folder=True)
    assert _as_trained(bright[:, :1], grey, None)[1].tolist() == [True, True]
