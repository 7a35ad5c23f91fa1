"""Every argument of every function: what is refused, by a line that names it, and what is read."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import HERE, SMALL

import sweep
from sweep.runner.argument_rules import read_argument

# Functions with what they need, and their other arguments.
FUNCTIONS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "run": ({"space": SMALL}, ["data", "study", "seed", *sweep.StudyOptions.__annotations__]),
    "resume": ({"study": "small"}, ["retry_failed", *sweep.StudyOptions.__annotations__]),
    "confirm": ({"study": "small"}, ["top", "seeds", "front", *sweep.WorkOptions.__annotations__]),
    "reproduce": ({"study": "small", "trial": 0}, [*sweep.PlaceOptions.__annotations__]),
    "check": ({"space": SMALL}, ["data_dir", "model"]),
    "load_study": ({"study": "small"}, ["storage"]),
    "report": ({"studies": "small"}, ["storage", "out", "top", "rope", "data_dir", "model"]),
    "predict": (
        {"study": "small", "inputs": "x.png"},
        ["storage", "trial", "invert", "data_dir", "model"],
    ),
    "export": ({"study": "small"}, ["trial", "format", "out", "storage", "data_dir", "model"]),
    "delete": ({"study": "small"}, ["storage"]),
}
MAY_BE_NONE = {
    *(
        "data",
        "data_dir",
        "invert",
        "model",
        "out",
        "rope",
        "study",
        "seed",
        "seeds",
        "top",
        "trial",
        "trials",
        "timeout",
    ),
    *("max_failures", "keep_weights", "trial_time_limit"),
    *("workers", "threads", "lanes", "engine", "precision"),
    *("ray_address", "worker_resources"),
}
NEEDED = {
    ("reproduce", "trial"),
    ("export", "out"),
    *((name, "study") for name in FUNCTIONS if name != "run"),
}

NO_COUNT = [True, 2.0, math.nan, "two", np.True_, np.float64(2), 10**5000, -(10**30)]
NO_DURATION = [True, math.nan, math.inf, 0, -1, 10**5000, "soon", "", timedelta(0), timedelta(367)]
NO_TEXT = [True, 3, math.nan, Path("x")]
NO_FUNCTION = [True, 3, "print"]
NO_PATH = [True, 3, math.nan, "a\0b"]
NO_FLAG = [0, 1, "yes", math.nan]
NO_DATA = [True, 3, math.nan, "x.npz", Path("x.npz"), (1, 2, 3), [[0, 1]] * 6]
WRONG_FOR_ALL = [b"x", 1j, object(), np.arange(3)]
WRONG: dict[str, list[Any]] = {
    **dict.fromkeys(["checkpoint_every", "trial_time_limit", "timeout"], NO_DURATION),
    **{key: [*NO_COUNT, 0, -1] for key in ["keep_weights", "seeds", "top", "trials"]},
    **{key: [*NO_COUNT, 0, -1, 1025] for key in ["workers", "threads", "lanes"]},
    **dict.fromkeys(["seed", "trial"], NO_COUNT),
    "max_failures": [*NO_COUNT, -1],
    "rope": [True, "0.1", math.nan, math.inf, 0, -0.1, 10**5000],
    **dict.fromkeys(["device", "ray_address", "study"], NO_TEXT),
    "studies": [*NO_TEXT, ["small", 3], [b"small"]],
    **{key: [*NO_TEXT, "warp"] for key in ["engine", "format", "precision"]},
    **dict.fromkeys(["on_event", "stop"], NO_FUNCTION),
    "data": NO_DATA,
    "model": [True, 3, math.nan, [3]],
    "executor": NO_FUNCTION[:-1],
    **dict.fromkeys(["data_dir", "out"], NO_PATH),
    "inputs": [*NO_PATH, ["x.png", 3]],
    "storage": NO_PATH[:-1],
    "worker_resources": [
        *(True, 3, math.nan, "", "CPU", "CPU=", "CPU=two", "CPU=1,CPU=2", "CPU=0", "CPU=inf", "=1"),
        *({"CPU": -1}, {"CPU": None}, {3: 1}, {"": 1}, ["CPU"]),
    ],
    **dict.fromkeys(["front", "invert", "progress", "retry_failed"], NO_FLAG),
}


def wrong_values(function: str, name: str) -> list[Any]:
    values = [*WRONG[name], *WRONG_FOR_ALL]
    if name not in ("studies", "inputs"):
        values += [[], {}]
    if name not in MAY_BE_NONE or (function, name) in NEEDED:
        values.append(None)
    return values


CASES = [
    (function, name)
    for function, (needed, others) in FUNCTIONS.items()
    for name in [*needed, *others]
    if name != "space"
]


@pytest.mark.parametrize(("function", "name"), CASES)
def test_a_wrong_argument_is_one_line_that_names_it_and_creates_nothing(
    tmp_path, monkeypatch, function, name
):
    monkeypatch.chdir(tmp_path)
    needed, _ = FUNCTIONS[function]
    for value in wrong_values(function, name):
        with pytest.raises(sweep.InputError, match=rf"^{name} must be .*; found .*$") as caught:
            getattr(sweep, function)(**{**needed, name: value})
        assert len(str(caught.value)) < 250
        assert list(tmp_path.iterdir()) == []


def test_every_argument_of_every_function_is_tried():
    """A new option needs its line here."""
    options = {*sweep.StudyOptions.__annotations__}
    assert options <= WRONG.keys()
    assert {name for _, name in CASES} == WRONG.keys()


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("trials", np.int64(5), 5),
        ("workers", np.int32(2), 2),
        ("seed", np.uint8(0), 0),
        ("top", np.array(3), 3),
        ("lanes", np.str_("auto"), "auto"),
        ("engine", np.str_("stacked"), "stacked"),
        ("progress", np.True_, True),
        ("timeout", 90, 90.0),
        ("rope", np.float32(0.5), 0.5),
        ("rope", 1, 1.0),
        ("timeout", np.float32(1.5), 1.5),
        ("timeout", "30m", 1800.0),
        ("checkpoint_every", "10s", 10.0),
        ("trial_time_limit", timedelta(minutes=2), 120.0),
        ("trial_time_limit", np.timedelta64(40, "s"), 40.0),
        ("worker_resources", "GPU=1, CPU=4", {"GPU": 1.0, "CPU": 4.0}),
        ("worker_resources", {"CPU": np.int64(2)}, {"CPU": 2.0}),
        ("storage", Path("studies.db"), "sqlite:///studies.db"),
        ("storage", Path("/a b/studies.db"), "sqlite:////a b/studies.db"),
        ("storage", "sqlite:///studies.db", "sqlite:///studies.db"),
        ("out", Path("~/report"), "/home/me/report"),
        ("data_dir", "~/data", "/home/me/data"),
        ("storage", Path("~/studies.db"), "sqlite:////home/me/studies.db"),
        ("studies", ("a", "b"), ["a", "b"]),
        ("inputs", iter([Path("a.png"), "~/b.png"]), ["a.png", "/home/me/b.png"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_read_is_a_plain_value(monkeypatch, name, value, read):
    monkeypatch.setenv("HOME", "/home/me")
    found = read_argument(name, value)
    assert found == read
    assert type(found) is type(read)


def test_a_study_runs_with_numbers_of_numpy_and_a_path(tmp_path):
    study = sweep.run(
        SMALL,
        storage=tmp_path / "studies.db",
        **{**HERE, "workers": np.int64(1)},
        seed=np.int64(3),
        trials=np.int16(2),
        keep_weights=np.uint8(1),
        max_failures=np.int64(0),
        timeout=timedelta(minutes=30),
        trial_time_limit="40s",
        checkpoint_every=np.float32(10),
    )
    assert [len(study.trials), study.keep_weights, study.space["sampler"]["seed"]] == [2, 1, 3]


@pytest.mark.slow
def test_a_path_names_the_store_for_every_function(finished, tmp_path, words_only):
    picture = tmp_path / "seven.png"
    store = tmp_path / "studies.db"
    study = sweep.load_study("small", storage=store)
    assert study == sweep.resume("small", storage=store, **HERE)
    assert sweep.reproduce("small", 0, storage=store, executor="inline").is_identical
    assert sweep.confirm("small", top=1, seeds=1, storage=store, **HERE).finished
    assert sweep.report("small", storage=store, out=tmp_path / "report").html.exists()
    with pytest.raises(sweep.InputError, match=r"cannot read the image .*seven\.png"):
        sweep.predict("small", picture, storage=store)


def test_the_home_may_be_written_short(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir("/")
    for storage in ("sqlite:///~/studies.db", Path("~/studies.db")):
        assert sweep.load_study("small", storage=storage).name == "small"
    (tmp_path / "space.yaml").write_text("name: short\ndataset: digits\n")
    assert sweep.load_space("~/space.yaml").name == "short"
    with pytest.raises(sweep.InputError, match=f"'{tmp_path}/x.png': there is no such file"):
        sweep.predict("small", "~/x.png", storage=finished)


@pytest.mark.parametrize("function", ["resume", "confirm", "reproduce"])
@pytest.mark.parametrize(("name", "value"), [("device", "gpu"), ("executor", "slurm")])
def test_a_wrong_value_changes_nothing(finished, tmp_path, function, name, value):
    needed, _ = FUNCTIONS[function]
    work_left = {"trials": 9} if function == "resume" else {}
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(sweep.InputError, match=f"^{name} must be .*; found '{value}'$"):
        getattr(sweep, function)(**needed, **work_left, storage=finished, **{name: value})
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
