"""An exported network predicts what the study's does, and needs nothing of this package."""

from __future__ import annotations

import ast
import csv
import json
import runpy
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import linear_family
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import HERE, space_mapping, sqlite_url
from PIL import Image

import sweep
from sweep.errors import InputError, SweepFailedError
from sweep.evaluation import exporting, openings
from sweep.store import Store

SMALL_TABLE = {"layer_size": 8, "num_layers": 2, "epochs": 2, "dropout": 0.2}
WITHOUT_SWEEP = """
import runpy, sys
sys.modules["sweep"] = None
script, *sys.argv = sys.argv[1:]
runpy.run_path(script, run_name="__main__")
"""


def rows_of(number: int, seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    kind = generator.integers(0, 2, number)
    rows = pd.DataFrame(
        {
            "length": generator.normal(kind * 4.0, 1.0),
            "count": generator.integers(0, 9, number).astype(float),
            "colour": np.where(kind == 1, "blue", "red, dark"),
            "code": generator.choice(["7", "x", "NA"], number),
            "kind": np.where(kind == 1, "tall", "short"),
        }
    )
    rows.loc[generator.random(number) < 0.2, "length"] = np.nan
    rows.loc[generator.random(number) < 0.2, "colour"] = np.nan
    return rows


@pytest.fixture(scope="module")
def table_storage(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("table")
    rows = rows_of(200, 0)
    rows.loc[:3, "code"] = ["a", "b", "c", "d"]  # rare
    rows.to_csv(folder / "mine.csv", index=False)
    dataset = {"table": str(folder / "mine.csv"), "target": "kind"}
    space = space_mapping(dataset=dataset, parameters=SMALL_TABLE, budget={"trials": 1})
    sweep.run(space, storage=sqlite_url(folder), **HERE)
    return sqlite_url(folder)


@pytest.fixture(scope="module")
def exported(finished_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> sweep.Export:
    """The best network of `small`, as `safetensors`."""
    out = tmp_path_factory.mktemp("exports") / "digits"
    return sweep.export("small", storage=sqlite_url(finished_folder), out=out)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """White on black, and larger than the network's images."""
    pixels = np.zeros((40, 30), np.uint8)
    pixels[8:32, 12:18] = 255
    Image.fromarray(pixels).save(tmp_path / "one.png")
    return tmp_path / "one.png"


@pytest.fixture
def strange_rows(tmp_path: Path) -> Path:
    """Rows with missing, rare and unseen values, in a table that a spreadsheet wrote."""
    file = tmp_path / "strange.csv"
    file.write_text(
        'name;code; colour ;count;"length"\r\n'
        "first;7;blue;3;1,25\r\n"
        'second;?;"red, dark";NA;\r\n'
        "third;a;green;1e30;-2,5e0\r\n"
        "\r\n"
        "fourth;NA;;;?\r\n",
        encoding="utf-8-sig",
    )
    return file


@pytest.fixture(scope="module")
def exported_table(table_storage: str, tmp_path_factory: pytest.TempPathFactory) -> sweep.Export:
    out = tmp_path_factory.mktemp("exports") / "table"
    return sweep.export("small", storage=table_storage, out=out)


@pytest.fixture(scope="module")
def exported_rows(tmp_path_factory: pytest.TempPathFactory) -> sweep.Export:
    """Of a study of arrays of two columns."""
    folder = tmp_path_factory.mktemp("rows")
    y = np.arange(60) % 2
    x = np.random.default_rng(0).normal(y[:, None] * 4.0, [1.0, 9.0], (60, 2)).astype(np.float32)
    space = space_mapping(dataset=None, parameters=SMALL_TABLE, budget={"trials": 1})
    del space["dataset"]
    sweep.run(space, data=(x, y), storage=sqlite_url(folder), **HERE)
    return sweep.export("small", storage=sqlite_url(folder), out=folder / "export")


def used(folder: Path) -> dict[str, Any]:
    return runpy.run_path(str(folder / "use.py"))


def classified(folder: Path, file: Path) -> np.ndarray:
    functions = used(folder)
    return functions["classify"](functions["read"](file))


def predicted(file: Path | list[Path], storage: str, **options: Any) -> list[list[float]]:
    found = sweep.predict("small", file, storage=storage, **options)
    return [pytest.approx(list(each.probabilities.values()), abs=1e-5) for each in found]


def test_a_picture_is_classified_as_by_predict(exported, finished, picture):
    assert classified(exported.folder, picture).tolist() == predicted(picture, finished)
    assert exported.num_checked == 239
    assert exported.largest_difference < 1e-5
    names = {"model.json", "model.safetensors", "network.py", "use.py"}
    assert {file.name for file in exported.files} == names


def test_rows_are_classified_as_by_predict(exported_table, table_storage, strange_rows):
    assert exported_table.num_checked == 26
    expected = predicted(strange_rows, table_storage)
    assert len(expected) == 4
    assert classified(exported_table.folder, strange_rows).tolist() == expected


def test_rows_of_arrays_are_classified_as_by_predict(exported_rows, tmp_path):
    np.save(tmp_path / "new.npy", np.linspace(-4.0, 8.0, 10).reshape(5, 2))
    expected = predicted(tmp_path / "new.npy", sqlite_url(exported_rows.folder.parent))
    assert classified(exported_rows.folder, tmp_path / "new.npy").tolist() == expected


HEAD = "length,count,colour,code\n"
WIDE = "length;count;colour;code\n"
READ = {
    "plain": f"{HEAD}1.5,2,blue,7\n",
    "quoted decimal commas": f'{HEAD}"1,5","2","red, dark",7\n"1,500",3,blue,x\n',
    "decimal commas that another column shows": 'length;count;colour;code;more\n1,500;2;;;"0,5"\n',
    "decimal commas that a column of text shows": f'{WIDE}1,500;2;;"7,5"\n',
    "points and no thousands": f"{WIDE}1,5;1.50;blue;7\n",
    "a long number": f"{HEAD}1,123456789012345678901234567890,blue,7\n",
    "missing numbers": f"{HEAD}NA,null,,?\n-,nan,NA,NA\n",
    "spaces": " length ,count, colour,code\n 1. , +.5,  blue ,7 \n",
    "blank lines": f"\n{HEAD}\n1.5,2,blue,7\n\n",
    "lines that end as on Windows": f'{HEAD}1.5,2,"a\nb",7\n'.replace("\n", "\r\n"),
    "unused columns": 'id,length,count,colour,code,2\n"1,500",1.5,2,blue,7,inf\n',
}
REFUSED = {
    "commas of thousands": f'{HEAD}"1,500",2,blue,7\n',
    "commas of thousands beside semicolons": f"{WIDE}1,500;2;blue;7\n",
    "points of thousands": f"{WIDE}1,5;1.500;blue;7\n",
    "several commas": f"{WIDE}0,5;2;blue;7\n1,500,000;2;blue;7\n",
    "both signs": f"{WIDE}0,5;2;blue;7\n1.5;2;blue;7\n",
    "a doubled column": "length,length,count,colour,code\n1.5,9,2,blue,7\n",
    "a column without a name": "length,,count,colour,code\n1.5,9,2,blue,7\n",
    "a missing column": "length,colour,code\n1.5,blue,7\n",
    "too many values": f"{HEAD}1.5,2,blue,7\n1.5,2,red, dark,7\n",
    "too few values": f"{HEAD}1.5,2\n",
    "infinity": f"{HEAD}inf,2,blue,7\n",
    "beyond float32": f"{HEAD}1e39,2,blue,7\n",
    "beyond float64": f"{HEAD}1,-1e400,blue,7\n",
    "underscores": f"{HEAD}1_000,2,blue,7\n",
    "other digits": f"{HEAD}\u0663,2,blue,7\n",
    "other digits with commas": f"{WIDE}\u0661,\u0665;0,5;blue;7\n",
    "a word": f"{HEAD}long,2,blue,7\n",
    "a truth value": f"{HEAD}True,2,blue,7\n",
    "another name of no number": f"{HEAD}NAN,2,blue,7\n",
    "a header and no rows": HEAD,
    "nothing": "",
    "an open quote": f'{HEAD}1.5,2,"blue,7\n',
    "text after a quote": f'{HEAD}"1.5"0,2,blue,7\n',
    "a NUL byte": f"{HEAD}1.5,2,bl\0ue,7\n",
    "UTF-16": f"{HEAD}1.5,2,blue,7\n".encode("utf-16"),
    "Latin-1": f"{HEAD}1.5,2,bl\xe9,7\n".encode("latin-1"),
}


def test_use_reads_the_tables_that_predict_reads(exported_table, table_storage, tmp_path):
    functions = used(exported_table.folder)
    files = []
    for number, text in enumerate(READ.values()):
        files.append(tmp_path / f"{number}.csv")
        files[-1].write_text(text, "utf-8", newline="")
    expected = predicted(files, table_storage)
    found = np.concatenate([functions["classify"](functions["read"](file)) for file in files])
    assert found.tolist() == expected


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_use_refuses_the_tables_that_predict_refuses(
    exported_table, table_storage, tmp_path, content
):
    file = tmp_path / "t.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError):
        predicted(file, table_storage)
    read = used(exported_table.folder)["read"]
    with pytest.raises((ValueError, csv.Error), match=r"^.+\Z"):
        read(file)


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("table", None, "No such file or directory"),
        ("table", b"", "must be a header and rows of text; found ''"),
        ("table", b"length,count\n1,2\n", "must have a column 'colour'; found ['length', 'count']"),
        ("table", b"length,count\n1,2\n1\n", "row 1 must have 2 values; found 1"),
        (
            "table",
            b"length,count,colour,code\n1,2,,\n1,many,,\n",
            "row 1, column 'count': must be a number; found 'many'",
        ),
        ("digits", None, "No such file or directory"),
        ("digits", b"no picture", "cannot identify image file '{file}'"),
        (
            "digits",
            np.zeros((9, 9), np.uint16),
            "must have pixels of 8 bits; found those of mode I;16",
        ),
        ("rows", None, "No such file or directory"),
        ("rows", b"no array", "the magic string is not correct; expected b'\\x93NUMPY', got "),
        ("rows", np.zeros((4, 3)), "must hold numbers of shape (N, 2); found float64, (4, 3)"),
        ("rows", np.array([["a", "b"]]), "must hold numbers of shape (N, 2); found <U1, (1, 2)"),
        ("rows", np.array([[0, 1], [2, 1e39]]), "row 1, column 1: must be finite; found 1e+39"),
    ],
)
def test_use_says_in_one_line_what_it_cannot_read(
    request, tmp_path, monkeypatch, capsys, kind, content, said
):
    fixture = {"table": "exported_table", "digits": "exported", "rows": "exported_rows"}[kind]
    folder, file = request.getfixturevalue(fixture).folder, tmp_path / "file"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif kind == "digits" and content is not None:
        Image.fromarray(content).save(file, format="png")
    elif content is not None:
        with file.open("wb") as opened:
            np.save(opened, content)
    monkeypatch.setattr(sys, "argv", ["use.py", str(file)])
    with pytest.raises(SystemExit) as caught:  # with text, Python prints it and exits with 1
        runpy.run_path(str(folder / "use.py"), run_name="__main__")
    assert caught.value.code.startswith(f"{file}: {said}".format(file=file))
    assert "\n" not in caught.value.code
    assert capsys.readouterr() == ("", "")


def test_the_files_import_nothing_of_this_package(exported, exported_table):
    imported = set()
    for file in (*exported.files, *exported_table.files):
        if file.suffix == ".py":
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    imported |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    imported.add(str(node.module))
    others = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names
    assert others == {"numpy", "torch", "safetensors", "PIL"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file_format", "kind"), [("safetensors", "pictures"), ("pt2", "table"), ("onnx", "table")]
)
def test_use_runs_without_this_package(
    cli, finished, table_storage, picture, strange_rows, tmp_path, file_format, kind
):
    if file_format == "onnx" and not find_spec("onnxruntime"):
        pytest.skip("onnxruntime is not installed")
    storage, file = (table_storage, strange_rows) if kind == "table" else (finished, picture)
    out = tmp_path / "export"
    # ONNX Runtime starts threads, which the forked processes of other tests could not stand.
    done = cli("export", "small", "--format", file_format, "--out", out, "--storage", storage)
    assert (done.returncode, done.stdout) == (0, f"{out}\n")
    words = [sys.executable, "-I", "-c", WITHOUT_SWEEP, out / "use.py", out / "use.py", file]
    output = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    expected = [
        f"{file} {each.row} {each.class_name}".replace(" None", "")
        for each in sweep.predict("small", file, storage=storage)
    ]
    assert [line.rpartition(" ")[0] for line in output.splitlines()] == expected
    written = b"".join(each.read_bytes() for each in out.iterdir())
    assert b"site-packages" not in written, "names of files of this machine"
    assert str(Path(sweep.__file__).parent).encode() not in written


def test_model_json_describes_the_network(exported, finished_folder):
    about = json.loads((exported.folder / "model.json").read_text())
    study = Store(sqlite_url(finished_folder), to_write=False).read_study("small")
    assert about["classes"] == [str(digit) for digit in range(10)]
    assert about["input"] == {"dtype": "uint8", "shape": ["N", 1, 8, 8], "white": 16}
    assert (about["study"], about["trial"]) == ("small", study.best.number)
    assert about["params"] == study.best.params
    assert about["validation_accuracy"] == study.value(study.best)
    assert about["test_accuracy"] is None
    assert about["data_fingerprint"] == study.data.fingerprint


def test_the_test_split_stays_sealed(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(openings, "open_test_split", None)
    sweep.export("small", storage=finished, out=tmp_path / "export", trial=1)
    assert Store(finished, to_write=False).read_study("small").test_readings == ()


def test_defaults_of_the_caller_have_no_part(finished, tmp_path, exported):
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        found = sweep.export("small", storage=finished, out=tmp_path / "export")
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    assert contents(found.folder).items() == contents(exported.folder).items()


def test_what_predict_uses_is_exported(confirmed, tmp_path, picture):
    (prediction,) = sweep.predict("small", picture, storage=confirmed)
    found = sweep.export("small", storage=confirmed, out=tmp_path / "export")
    assert (found.study, found.trial) == (prediction.study, prediction.trial)


# ---------------------------------------------------------------- the folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_only_an_unchanged_export_is_replaced(exported, finished, tmp_path):
    out = tmp_path / "deep" / "export"
    shutil.copytree(exported.folder, out)
    assert sweep.export("small", storage=finished, out=out, trial=0).trial == 0
    assert json.loads((out / "model.json").read_text())["trial"] == 0
    assert [file.name for file in out.parent.iterdir()] == ["export"]
    (out / "notes.txt").touch()
    before = contents(out)
    with pytest.raises(InputError, match=r"holds something else than an earlier export, or one th"):
        sweep.export("small", storage=finished, out=out)
    assert contents(out) == before
    with pytest.raises(InputError, match=r"'.*notes.txt', which is a file; name a folder"):
        sweep.export("small", storage=finished, out=out / "notes.txt")
    with pytest.raises(InputError, match=r"cannot be written to '.*notes.txt/x': Not a direc"):
        sweep.export("small", storage=finished, out=out / "notes.txt" / "x")
    with pytest.raises(InputError, match=r"cannot be written to '.*nnn': File name too long"):
        sweep.export("small", storage=finished, out=out / ("n" * 300))
    (out / "notes.txt").unlink()
    (out / "use.py").write_text("print('mine')")
    with pytest.raises(InputError, match="an earlier export, or one that was changed since"):
        sweep.export("small", storage=finished, out=out)
    assert (out / "use.py").read_text() == "print('mine')"
    assert list(out.parent.iterdir()) == [out]


def test_the_folder_of_the_shell_is_not_taken_away(main, exported, finished, tmp_path, monkeypatch):
    out = tmp_path / "export"
    shutil.copytree(exported.folder, out)
    (out / "deep").mkdir()
    before = contents(out)
    for place, words in ((out, "."), (out / "deep", "..")):
        monkeypatch.chdir(place)
        _, errors = main(f"export small --out {words} --storage {finished}", code=2)
        assert f"cannot be written to '{words}', as this command runs in it; name an" in errors
    assert contents(out) == before


def test_what_predicts_otherwise_is_not_left(exported, finished, tmp_path, monkeypatch):
    out = tmp_path / "export"
    shutil.copytree(exported.folder, out)
    before = contents(out)
    packaged = exporting.packaged

    def damaged(*arguments: Any) -> torch.nn.Sequential:
        package = packaged(*arguments)
        package[0].std *= 1.01
        return package

    monkeypatch.setattr(exporting, "packaged", damaged)
    with pytest.raises(SweepFailedError, match="do not predict what the study's network does"):
        sweep.export("small", storage=finished, out=out)
    assert contents(out) == before
    with pytest.raises(SweepFailedError):
        sweep.export("small", storage=finished, out=tmp_path / "new")
    assert not list(tmp_path.glob("*new*"))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_a_layer_that_is_not_pytorchs_needs_another_format(storage, tmp_path, monkeypatch, picture):
    linear_family.register(monkeypatch)
    parameters = {"scale": 2.0, "epochs": 1}
    sweep.run(
        space_mapping(model="linear", parameters=parameters, budget={"trials": 1}),
        storage=storage,
        **HERE,
    )
    with pytest.raises(SweepFailedError, match="Linear, cannot be written as plain code; the form"):
        sweep.export("small", storage=storage, out=tmp_path / "export")
    assert not (tmp_path / "export").exists()
    found = sweep.export("small", storage=storage, out=tmp_path / "export", format="pt2")
    assert classified(found.folder, picture).tolist() == predicted(picture, storage)


def test_a_format_that_is_not_there_is_one_line(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"needs onnxscript and onnxruntime: pip install 'sweep\["):
        sweep.export("small", storage=finished, out=tmp_path / "export", format="onnx")
    with pytest.raises(InputError, match=r"found 'onx' \(did you mean 'onnx'\?\)$"):
        sweep.export("small", storage=finished, out=tmp_path / "export", format="onx")


def test_the_command_names_the_folder_and_what_was_checked(main, finished):
    output, errors = main(f"export small --trial 2 --storage {finished}", code=0)
    assert output == "export\n"
    assert "network of trial 2 of study small" in errors
    assert "checked on 239 validation examples: the same predictions" in errors
    _, errors = main(f"export small --trial 9 --storage {finished}", code=2)
    assert errors == "sweep: study 'small' has no trial 9; it has 3, numbered from 0\n"
