"""Where a user's own network comes from, and whether it is the one that a study was made with."""

from __future__ import annotations

import functools
import linecache
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sweep.errors import InputError
from sweep.records import NetworkSource, OwnNetwork
from sweep.runner.own_network import read_networks, with_source

SIZE = 3
CODE = "def build(input_shape, num_classes):\n    return None\n"


def build(input_shape: Any, num_classes: int, *, width: int = 8) -> nn.Module:
    return nn.Linear(width, num_classes)


def cell(code: str, **names: Any) -> Any:
    """The function `build` of a notebook's cell, in a notebook that has these names."""
    file = "ipykernel_1/2.py"  # much as ipykernel names cells
    linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
    space = {**names}
    exec(compile(code, file, "exec"), space)  # noqa: S102 - as a notebook does
    return space["build"]


@pytest.mark.parametrize(("suffix", "function"), [("", "build"), (":make_it", "make_it")])
def test_a_file_and_its_function(tmp_path: Path, suffix: str, function: str) -> None:
    file = tmp_path / "my net.py"
    file.write_bytes(CODE.replace("\n", "\r\n").encode())
    (found,) = read_networks(f"{file}{suffix}")
    assert (found.file, found.function) == ("my net.py", function)
    assert found.code.encode() == file.read_bytes(), "the digest is of the whole file"


def test_a_function_of_a_file_brings_the_whole_file() -> None:
    (found,) = read_networks(build)
    assert (found.file, found.function) == ("test_network_sources.py", "build")
    assert found.code == Path(__file__).read_text()


def test_a_decorated_function_is_one_of_its_file() -> None:
    @functools.wraps(build)
    def decorated(*arguments: Any, **options: Any) -> nn.Module:
        return build(*arguments, **options)

    assert read_networks(decorated) == read_networks(build)
    assert read_networks(torch.no_grad()(build)) == read_networks(build)


def test_several() -> None:
    assert read_networks([build, build]) == read_networks(build) * 2
    assert read_networks(read_networks(build)) == read_networks(build)


def test_a_cell_brings_its_function_and_the_modules_that_it_needs() -> None:
    code = (
        "def build(input_shape, num_classes, *, width: int = 8) -> nn.Module:\n"
        "    def inner():\n"
        "        return torch.zeros(np.prod(input_shape))\n"
        "    return nn.Linear(len(inner()), num_classes)\n"
    )
    (found,) = read_networks(cell(code, nn=nn, torch=torch, np=np, unrelated=SIZE))
    assert found.file == "notebook"
    imports = "import torch.nn as nn\nimport numpy as np\nimport torch as torch\n"
    assert sorted(found.code.splitlines()) == sorted((imports + code).splitlines())
    namespace: dict[str, Any] = {}
    exec(found.code, namespace)  # noqa: S102 - what a worker does
    assert namespace["build"]((2, 3), 4).weight.shape == (4, 6)


@pytest.mark.parametrize(
    "line",
    [
        "return Block(SIZE)",
        "return [Block(SIZE) for _ in range(2)]",
        "return (lambda: Block(SIZE))()",
    ],
)
def test_what_a_cell_needs_otherwise_is_refused_by_name(line: str) -> None:
    function = cell(f"def build(input_shape, num_classes):\n    {line}\n", Block=nn.Linear, SIZE=3)
    with pytest.raises(ValueError, match=r"build uses Block, SIZE of the notebook.*inside"):
        read_networks(function)


def test_a_cells_default_and_an_unknown_name_count_too() -> None:
    code = "def build(input_shape, num_classes, *, width: int = SIZE):\n    return unheard_of()\n"
    with pytest.raises(ValueError, match="build uses SIZE, unheard_of of the notebook"):
        read_networks(cell(code, SIZE=3))


def test_functions_that_have_no_source_of_their_own() -> None:
    def nested(input_shape: Any, num_classes: int) -> None: ...

    with pytest.raises(ValueError, match="must be a function at the top level"):
        read_networks(nested)
    with pytest.raises(ValueError, match="must be a function at the top level"):
        read_networks(lambda input_shape, num_classes: None)
    namespace: dict[str, Any] = {}
    exec(CODE, namespace)  # noqa: S102 - a function without a file
    with pytest.raises(ValueError, match="the source of build cannot be found"):
        read_networks(namespace["build"])


def test_files_that_are_no_python(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"missing\.py' cannot be read: No such file"):
        read_networks(tmp_path / "missing.py")
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        read_networks(tmp_path)
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="is not UTF-8 text"):
        read_networks(tmp_path / "binary.py")
    (tmp_path / "large.py").write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(ValueError, match="has more than 1024 KiB"):
        read_networks(tmp_path / "large.py")


def test_a_notebooks_function_has_no_file_to_name() -> None:
    made = OwnNetwork(NetworkSource("notebook", "build", CODE), ())
    with pytest.raises(InputError, match=r"notebook:build: pass its function, model=build, in"):
        with_source(made, [], "s")


MADE = OwnNetwork(NetworkSource("net.py", "build", CODE), ())


def test_the_same_source_under_any_name_of_the_file() -> None:
    given = NetworkSource("copy.py", "build", CODE)
    found = with_source(MADE, [NetworkSource("net.py", "build", "x\n"), given], "s")
    assert isinstance(found, OwnNetwork)
    assert found.source.file == "copy.py"
    assert with_source("mlp", [], "s") == "mlp"


@pytest.mark.parametrize(
    "line",
    [
        "resume small",
        "resume small --trials 4",
        "confirm small",
        "report small",
        "predict small x.npy",
        "export small",
        "reproduce small 0",
    ],
)
def test_a_study_of_a_built_in_network_refuses_one(
    main: Any, confirmed: str, tmp_path: Path, line: str
) -> None:
    (tmp_path / "net.py").write_text(CODE)
    before = sorted(tmp_path.rglob("*"))
    output, errors = main(f"{line} --model net.py --storage {confirmed}", code=2)
    said = r"sweep: study 'small(\.confirm)?' trains the built-in mlp, not net\.py:build: leave --m"
    assert re.match(said, errors)
    assert (output, errors.count("\n")) == ("", 1)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], r"study 's' trains a network of its own, net\.py:build: name its file with --model"),
        (
            [NetworkSource("net.py", "build", CODE.replace("None", "3"))],
            r"has SHA-256 \w{12}, recorded is \w{12}; line 2 is 'return 3' and was 'return None'",
        ),
        ([NetworkSource("a.py", "build", CODE + "#\n")], r"it has 3 lines and had 2"),
        ([NetworkSource("net.py", "other", CODE)], r"its function is build; found other"),
    ],
)
def test_another_source_is_refused_and_the_difference_named(
    given: list[NetworkSource], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        with_source(MADE, given, "s")


def test_the_difference_is_to_the_file_of_that_name() -> None:
    other = NetworkSource("a.py", "build", "x = 3\n")
    changed = NetworkSource("net.py", "build", CODE.replace("None", "3"))
    with pytest.raises(InputError, match=r"net\.py has SHA-256 .* line 2 is 'return 3'"):
        with_source(MADE, [other, changed], "s")
