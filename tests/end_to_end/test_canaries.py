"""Files from strangers (stores, weights, checkpoints, data, YAML) never run as code.

Each file here would create a folder, the canary, if anything unpickled or evaluated it.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import shutil
import sqlite3
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from forging import forge
from helpers import SMALL, idx_bytes, space_mapping

from sweep.records import Checkpoint
from sweep.store import Store
from sweep.study import RECORD

pytestmark = pytest.mark.usefixtures("sketched")

DATABASE = "studies.db"


class Bomb:
    """Unpickling this creates a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.folder),)


def as_pickle(folder: Path) -> bytes:
    return pickle.dumps(Bomb(folder))


def as_torch_file(folder: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save({"layers.0.weight": Bomb(folder)}, buffer)
    return buffer.getvalue()


def as_numpy_file(folder: Path) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Bomb(folder)], dtype=object), allow_pickle=True)
    return buffer.getvalue()


FORMS = {"pickle": as_pickle, "torch": as_torch_file, "numpy": as_numpy_file}
FORM = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.fixture
def run_all(run: Callable[..., Any], canary: Path) -> Callable[..., dict[str, tuple[int, str]]]:
    """Run commands in this process, where exceptions would surface, and look for the canary.

    Returns exit code and standard error by command.
    """

    def run_each(*lines: str) -> dict[str, tuple[int, str]]:
        done = {}
        for line in lines:
            code, _, errors = run(*line.split())
            assert not canary.exists(), line
            assert "Traceback" not in errors
            done[line] = code, errors
        return done

    return run_each


EVERY_COMMAND = (
    "list",
    "list --json",
    "show small",
    "show small --json",
    "show small 0",
    "report small",
    "resume small --trials 4 --workers 1",
    "run space.yaml --trials 5 --workers 1",
    "check space.yaml",
)


def execute(folder: Path, statement: str, *values: Any) -> int:
    with closing(sqlite3.connect(folder / DATABASE)) as database, database:
        return database.execute(statement, values).rowcount


# ---------------------------------------------------------------- the canary itself


@pytest.mark.parametrize(
    ("form", "load"),
    [
        (as_pickle, pickle.loads),
        (as_torch_file, lambda raw: torch.load(io.BytesIO(raw), weights_only=False)),
        (as_numpy_file, lambda raw: np.load(io.BytesIO(raw), allow_pickle=True)),
    ],
)
def test_the_canary_would_appear(form, load, canary):
    load(form(canary))
    assert canary.is_dir()


def test_the_canary_would_appear_from_yaml(canary):
    yaml.load(f"!!python/object/apply:os.mkdir ['{canary}']", Loader=yaml.UnsafeLoader)  # noqa: S506
    assert canary.is_dir()


# ---------------------------------------------------------------- the store


def plant_attributes(folder: Path, canary: Path) -> None:
    """Pickles where Optuna's CMA-ES keeps them, and under user attributes."""
    bomb = as_pickle(canary).hex()
    for prefix in ("cma", "sepcma", "cmawm", "lr_adapt_cma"):
        for key in (f"{prefix}:optimizer", f"{prefix}:optimizer:0", f"{prefix}:generation"):
            for owner in ("trial", "study"):
                for kind in ("system", "user"):
                    execute(
                        folder,
                        f"INSERT INTO {owner}_{kind}_attributes ({owner}_id, key, value_json) "  # noqa: S608
                        f"SELECT {'trial_id' if owner == 'trial' else 'study_id'}, ?, ? "
                        f"FROM {'trials' if owner == 'trial' else 'studies'}",
                        key,
                        json.dumps(bomb),
                    )


@pytest.mark.slow
def test_pickles_among_the_attributes_stay_text(finished, tmp_path, canary, run_all):
    (tmp_path / "space.yaml").write_text(json.dumps(SMALL))
    plant_attributes(tmp_path, canary)
    done = run_all(*EVERY_COMMAND)
    assert {line: answer for line, answer in done.items() if answer[0]} == {}


@pytest.mark.parametrize(("form", "owner"), [(as_pickle, "trial"), (as_torch_file, "study")])
def test_a_pickle_in_place_of_a_record_is_refused(finished, tmp_path, canary, run_all, form, owner):
    value = json.dumps(form(canary).hex())
    assert execute(
        tmp_path,
        f"UPDATE {owner}_system_attributes SET value_json = ? WHERE key = ?",  # noqa: S608
        value,
        RECORD,
    )
    commands = run_all("list", "show small", "report small", "resume small")
    for command, (code, said) in commands.items():
        assert code == (1 if command == "list" else 2)
        assert len(said.splitlines()) == 1


# ---------------------------------------------------------------- weights and checkpoints


@FORM
def test_weights_that_are_pickles_are_refused(finished, tmp_path, canary, run_all, form):
    raw = form(canary)
    for file in tmp_path.rglob("trial-*.safetensors"):
        file.write_bytes(raw)
    digest = sha256(raw).hexdigest()
    forge(tmp_path, trial=lambda _, record: {**record, "weights_sha256": digest})
    code, said = run_all("report small")["report small"]
    assert code == 0
    (line,) = said.splitlines()
    assert line.startswith("sweep: small: Test split not read: the weights of trial ")
    assert Store(finished, to_write=False).read_study("small").test_readings == ()


@FORM
def test_a_checkpoint_that_is_a_pickle_costs_its_trial_again(
    finished, tmp_path, canary, run_all, form
):
    store = Store(finished, to_write=True)
    execute(tmp_path, "UPDATE trials SET state = 'RUNNING' WHERE number = 2")
    store.trials("small").write_checkpoints([Checkpoint(2, 1, 0, form(canary))])
    store.change_study("small", finished_by=None)
    (found,) = store.trials("small").read_checkpoints(2)
    assert found.state == form(canary)
    done = run_all("show small", "resume small --workers 1")
    assert [code for code, _ in done.values()] == [0, 0]
    record = Store(finished, to_write=False).read_study("small")
    assert [str(trial.state) for trial in record.trials] == ["COMPLETE"] * 3


# ---------------------------------------------------------------- data


def mnist_files(folder: Path, suffix: str, content: bytes) -> None:
    """A search space for MNIST, with this content in each of its files."""
    space = space_mapping(name="mnist", dataset="mnist", parameters={"epochs": 1})
    (folder / "space.yaml").write_text(json.dumps(space))
    raw = folder / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("images-idx3", "labels-idx1"):
        for part in ("train", "t10k"):
            (raw / f"{part}-{name}-ubyte{suffix}").write_bytes(content)


@pytest.mark.parametrize(
    ("form", "suffix"),
    [(as_pickle, ""), (as_torch_file, ""), (as_numpy_file, ""), (as_pickle, ".gz")],
)
def test_images_that_are_pickles_are_refused(tmp_path, canary, run_all, form, suffix):
    content = form(canary)
    mnist_files(tmp_path, suffix, gzip.compress(content) if suffix else content)
    code, said = run_all("run space.yaml")["run space.yaml"]
    assert code == 2
    assert said.startswith("sweep: data/MNIST/raw/train-images-idx3-ubyte")
    assert "is not an IDX file of bytes" in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / DATABASE).exists()


def test_torchvisions_old_files_are_not_looked_at(tmp_path, canary, run_all, monkeypatch):
    # torchvision would read them with torch.load. Without a network, nothing is downloaded.
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    mnist_files(tmp_path, "", b"")
    shutil.rmtree(tmp_path / "data" / "MNIST" / "raw")
    processed = tmp_path / "data" / "MNIST" / "processed"
    processed.mkdir()
    for name in ("training.pt", "test.pt"):
        (processed / name).write_bytes(as_torch_file(canary))
    code, said = run_all("run space.yaml")["run space.yaml"]
    assert code == 2
    assert "MNIST is neither under" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("promised", [60_000, 2**32 - 1])
def test_an_archive_that_grows_to_gigabytes_is_refused(tmp_path, run_all, promised):
    header = bytearray(idx_bytes(np.zeros((1, 28, 28))))[:16]
    header[4:8] = promised.to_bytes(4, "big")
    # Concatenated members of an archive: 4 GiB in a few MB, made quickly.
    mnist_files(tmp_path, ".gz", gzip.compress(bytes(header)) + gzip.compress(bytes(2**24)) * 256)
    tracemalloc.start()
    try:
        code, said = run_all("run space.yaml")["run space.yaml"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert code == 2
    assert "is damaged: its header promises" in said
    assert peak < 200e6


# ---------------------------------------------------------------- YAML


@pytest.mark.parametrize(
    "text",
    [
        "name: x\ndataset: digits\nparameters: !!python/object/apply:os.mkdir ['{canary}']\n",
        "!!python/object/apply:os.mkdir ['{canary}']\n",
        "name: !!python/object/new:os.mkdir ['{canary}']\ndataset: digits\n",
        "? !!python/object/apply:os.mkdir ['{canary}']\n: x\n",
    ],
)
def test_yaml_that_would_make_objects_is_refused(tmp_path, canary, run_all, text):
    (tmp_path / "space.yaml").write_text(text.format(canary=canary))
    for code, said in run_all("check space.yaml", "run space.yaml").values():
        assert code == 2
        assert "tags are not allowed" in said or "a key must be a word" in said
    assert {path.name for path in tmp_path.iterdir()} == {"space.yaml"}
