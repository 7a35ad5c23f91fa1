"""`sweep.run(space, data=...)`: the store keeps the arrays, and everything else needs it alone."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import HERE, PARAMETERS, sqlite_url, timeless

import sweep
from sweep.data import load_training_data
from sweep.data.arrays import read_given
from sweep.data.sealed import open_test_split
from sweep.errors import DataError, InputError, SearchSpaceError, StoreError
from sweep.records import DataSettings
from sweep.space import SearchSpace
from sweep.store import Store, examine

X = np.random.default_rng(0).normal(size=(90, 4)) + 3 * (np.arange(90) % 3)[:, None]
Y = np.arange(90) % 3
SPACE: dict[str, Any] = {
    "name": "mine",
    "parameters": {**PARAMETERS, "epochs": 2},
    "sampler": {"type": "random", "seed": 1},
    "pruner": {"type": "none"},
    "budget": {"trials": 2},
}


def run(storage: str, data: Any = (X, Y), **changes: Any) -> sweep.StudyRecord:
    return sweep.run({**SPACE, **changes}, data=data, storage=storage, **HERE)


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.artifacts/.data/*.npz"))


# ---------------------------------------------------------------- what may be given

EXPECTED = {"x": X, "y": Y}


@pytest.mark.parametrize(
    "data",
    [
        (X, Y),
        [X, Y],
        {"x": X, "y": Y},
        {"y": Y, "x": np.asfortranarray(X)},
        (X.tolist(), Y.tolist()),
        (X.astype(">f8"), Y.astype(">i8")),
        (torch.tensor(X), torch.tensor(Y)),
        (pd.DataFrame(X), pd.Series(Y)),
        (pd.DataFrame(X).convert_dtypes(), Y.astype(object)),
    ],
    ids=range(9),
)
def test_equal_values_are_equal_data_whatever_holds_them(data):
    found = read_given(data)
    assert found.sha256 == read_given((X, Y)).sha256
    for name, array in EXPECTED.items():
        np.testing.assert_array_equal(found.arrays[name], array)


def test_an_open_file_of_numpy_is_a_mapping(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    with np.load(tmp_path / "a.npz") as file:
        assert read_given(file).sha256 == read_given((X, Y)).sha256


def test_four_arrays_are_in_the_order_of_their_names():
    found = read_given((X, Y, X[:30], Y[:30]))
    assert list(found.arrays) == ["x_train", "y_train", "x_test", "y_test"]


def test_text_of_pandas_names_the_classes():
    for series in (pd.Series(list("abc")), pd.Series(list("abc"), dtype="category")):
        assert read_given((X[:3], series)).arrays["y"].tolist() == ["a", "b", "c"]


def test_a_table_of_numbers_may_mix_their_types():
    frame = pd.DataFrame({"a": [1, 2], "b": [True, False], "c": [0.5, None]})
    found = read_given((frame, [0, 1])).arrays["x"]
    np.testing.assert_array_equal(found, [[1, 1, 0.5], [2, 0, np.nan]])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (([[1], [1, 2]], [0, 1]), "data: x cannot become an array: .*inhomogeneous"),
        ((torch.ones(2, 2, requires_grad=True), Y), "data: x cannot become an array: "),
        ((torch.ones(2, 2, dtype=torch.bfloat16), Y), "data: x cannot become an array: "),
        ((pd.DataFrame({"job": ["a"]}), [0]), "data: x must hold numbers; column 'job' has type"),
        ((X[:2], pd.Series(["a", None])), r"data: y has 1 missing values, the first at \[1\]"),
        ((X[:2], np.array([1, "a"], object)), "data: y must hold numbers alone or text alone"),
        ((X[:2], [0, object()]), "data: y must hold .* found objects of type int, object"),
        ((np.ma.masked_equal(Y[:, None], 1), Y), "data: x has masked values"),
        ({"x": X, "labels": Y}, "data: unknown array 'labels'"),
        ({"x_train": X, "y_train": Y}, "data: x_test is missing"),
        ((X, Y[:80]), "data: x and y must have equal lengths; found 90 examples and 80 labels"),
        ((X, X[:30], Y, Y[:30]), "x_train and y_train must have equal lengths"),
        ((X, X), "data: y must hold one label for each example"),
        ((X * np.nan, Y), "data: x must hold finite numbers; found 360 NaN"),
    ],
    ids=range(14),
)
def test_a_refusal_is_one_line_and_leaves_nothing(tmp_path, storage, data, message):
    with pytest.raises(InputError, match=message) as caught:
        run(storage, data)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- the search space


def dataset(space: Any, tmp_path: Path) -> Any:
    study = sweep.run(space, data=(X, Y), storage=sqlite_url(tmp_path), **HERE, trials=1)
    return study.space["dataset"]


@pytest.mark.parametrize(
    ("section", "split"),
    [
        (None, (None, None, 0)),
        ("mnist", (None, None, 0)),
        ({"validation": 12, "test": 0.3, "split_seed": 4}, (12, 0.3, 4)),
        ({"folder": "photos", "image_size": 32, "validation": 12}, (12, None, 0)),
    ],
    ids=range(4),
)
@pytest.mark.parametrize("form", ["mapping", "file", "space"])
def test_data_stand_in_for_the_spaces_own_whose_split_stays(tmp_path, section, split, form):
    mapping = {**SPACE, **({} if section is None else {"dataset": section})}
    space: Any = mapping
    if form == "file":
        space = tmp_path / "space.yaml"
        space.write_text(json.dumps(mapping))
    elif form == "space":
        if section is None or (isinstance(section, dict) and "test" in section):
            pytest.skip("a search space has a data set")
        space = sweep.load_space(mapping)
        assert isinstance(space, SearchSpace)
    found = dataset(space, tmp_path)
    assert found["arrays"] == f"sha256:{read_given((X, Y)).sha256}"
    assert (found["validation"], found["test"], found["split_seed"]) == split
    assert set(found) == {"arrays", "validation", "test", "split_seed", "relative_to"}


def test_positions_of_problems_stay_right(tmp_path, storage):
    path = tmp_path / "space.yaml"
    path.write_text("name: x\nsamler: tpe\ndataset:\n  validaton: 3\n  test: 0\n")
    with pytest.raises(SearchSpaceError) as caught:
        sweep.run(path, data=(X, Y), storage=storage, **HERE)
    assert [problem[len(str(path)) :] for problem in caught.value.problems] == [
        ":2:1: unknown key 'samler' (did you mean 'sampler'?); allowed: name, dataset, model, "
        "objective, parameters, sampler, pruner, budget, enqueue, warm_start, constraints",
        ":4:3: dataset: unknown key 'validaton' (did you mean 'validation'?); allowed: validation, "
        "split_seed, test, relative_to, arrays",
        ":5:9: dataset.test: must be a number of examples, at least 1, or a share between 0 and 1; "
        "found 0",
    ]


# ---------------------------------------------------------------- beside the store


@pytest.mark.slow
def test_everything_else_needs_the_store_alone(tmp_path, storage, words_only):
    study = run(storage)
    (file,) = kept(tmp_path)
    with np.load(file) as arrays:
        np.testing.assert_array_equal(arrays["x"], X)
    assert study.data.spec.num_test == 18
    assert sweep.resume("mine", storage=storage, trials=3, **HERE).count("COMPLETE") == 3
    assert sweep.reproduce("mine", 0, storage=storage, executor="inline").is_identical
    assert sweep.confirm("mine", top=1, seeds=2, storage=storage, **HERE).finished
    assert sweep.report("mine", storage=storage, out=tmp_path / "report").html.exists()


def test_the_same_data_continue_and_others_are_refused(tmp_path, storage):
    run(storage)
    again = run(storage, (X.tolist(), Y.tolist()), budget={"trials": 3})
    assert len(again.trials) == 3
    with pytest.raises(StoreError, match=r"study 'mine' is already in .* with other data; choose"):
        run(storage, (X + 1, Y))
    assert len(kept(tmp_path)) == 1


def test_a_file_that_is_missing_or_changed_is_said_and_the_data_mend_it(tmp_path, storage):
    run(storage)
    (file,) = kept(tmp_path)
    whole = file.read_bytes()
    file.unlink()
    with pytest.raises(DataError, match="the arrays that Python gave are missing; restore the fi"):
        sweep.resume("mine", storage=storage, trials=3, **HERE)
    assert [f.what.split()[-1] for f in examine(storage).findings if f.is_damage] == ["missing"]
    with file.open("wb") as opened:
        np.savez(opened, x=X + 1, y=Y)
    with pytest.raises(DataError, match="is damaged: it is not what Python gave; restore it from"):
        sweep.resume("mine", storage=storage, trials=3, **HERE)
    (damage,) = examine(storage).findings
    assert (damage.is_damage, damage.study) == (True, "mine")
    assert "damaged: they are not what was written" in damage.what
    run(storage, budget={"trials": 3})
    assert file.read_bytes() == whole
    assert examine(storage).findings == ()


def test_two_studies_share_a_file_and_the_last_takes_it_along(tmp_path, storage):
    run(storage)
    run(storage, name="other")
    run(storage, (X[:60], Y[:60]), name="third")
    assert len(kept(tmp_path)) == 2
    first = sweep.delete("mine", storage=storage)
    assert len(kept(tmp_path)) == 2
    assert kept(tmp_path)[0] not in first.files
    last = sweep.delete("other", storage=storage)
    assert len(kept(tmp_path)) == 1
    assert any(path.parent.name == ".data" for path in last.files)
    assert sweep.resume("third", storage=storage, trials=3, **HERE).state == "finished"


def test_doctor_names_what_is_kept_and_what_nobody_uses(tmp_path, storage, main):
    run(storage)
    (file,) = kept(tmp_path)
    text, _ = main("doctor", code=0)
    assert f"arrays from Python {file.stem[:12]} (0.0 MB): used by mine\n" in text
    unused = file.with_name("ab" * 32 + ".npz")
    shutil.copy(file, unused)
    text, _ = main("doctor", code=0)
    assert f"note: the file '{unused}' belongs to no study of this store" in text
    shown = json.loads(main("doctor --json", code=0)[0])
    assert [(each["sha256"], each["studies"]) for each in shown["kept_data"]] == sorted(
        [("ab" * 32, []), (file.stem, ["mine"])]
    )


def test_a_renamed_store_finds_them_and_no_link_is_followed(tmp_path, storage):
    run(storage)
    (tmp_path / "studies.db").rename(tmp_path / "renamed.db")
    renamed = f"sqlite:///{tmp_path / 'renamed.db'}"
    assert len(sweep.resume("mine", storage=renamed, trials=3, **HERE).trials) == 3
    (file,) = kept(tmp_path)
    file.rename(tmp_path / "elsewhere.npz")
    file.symlink_to(tmp_path / "elsewhere.npz")
    with pytest.raises(DataError, match="the arrays that Python gave are missing"):
        sweep.resume("mine", storage=renamed, trials=4, **HERE)


def test_a_forged_name_leads_to_no_file_outside(tmp_path, storage):
    run(storage)
    store = Store(storage, to_write=True)
    space = store.require_study("mine").space
    forged = {**space, "dataset": {**space["dataset"], "arrays": "sha256:../../x"}}
    store.change_study("mine", space=forged)
    with pytest.raises(StoreError, match="must be a file, or sha256: and the 64 digits"):
        sweep.resume("mine", storage=storage, trials=4, **HERE)


# ---------------------------------------------------------------- the slow reference


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sequential", "stacked"])
def test_the_split_of_digits_as_arrays_gives_the_outcomes_of_digits(tmp_path, engine):
    settings = DataSettings("builtin", "digits", "")
    data, test = load_training_data(settings), open_test_split(settings)
    arrays = {
        "x_train": data.train.inputs,
        "y_train": data.train.labels,
        "x_validation": data.validation.inputs,
        "y_validation": data.validation.labels,
        "x_test": test.inputs,
        "y_test": test.labels,
    }
    options = {**HERE, "engine": engine, "lanes": 1}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    own = sweep.run({**SPACE, "dataset": "digits"}, storage=sqlite_url(tmp_path / "one"), **options)
    given = sweep.run(SPACE, data=arrays, storage=sqlite_url(tmp_path / "two"), **options)
    assert [trial.params for trial in own.trials] == [trial.params for trial in given.trials]
    for mine, theirs in zip(own.trials, given.trials, strict=True):
        one, two = timeless(mine.outcome), timeless(theirs.outcome)
        assert one is not None
        assert two is not None
        assert one == replace(two, data_fingerprint=one.data_fingerprint)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sequential", "stacked"])
@pytest.mark.parametrize("kind", ["rows", "images"])
def test_both_engines_learn_rows_and_colour_images(storage, engine, kind):
    x = X
    if kind == "images":
        x = np.clip(X @ np.ones((4, 75)) * 4 + 100, 0, 255).astype(np.uint8).reshape(-1, 5, 5, 3)
    parameters = {**PARAMETERS, "epochs": 40, "batch_size": 16, "learning_rate": 0.01}
    study = sweep.run(
        {**SPACE, "parameters": parameters},
        data=(x, np.array(["low", "mid", "top"])[Y]),
        storage=storage,
        **{**HERE, "engine": engine},
        lanes=1,
    )
    assert study.data.spec.class_names == ("low", "mid", "top")
    assert study.value(study.best) > 0.8
