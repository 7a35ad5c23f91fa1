"""No line of the package turns data into code, and workers are spoken to in bytes only.

CIFAR's own files are pickles: the one module that reads them is known by name, and may do so only
with an unpickler that looks up nothing but three globals (`tests/unit/data/test_colour_sets.py`
tries others).

The file of a user's own network is run, by one module: what a store holds of it never gets there
(`tests/end_to_end/test_own_network_study.py`).

What ruff's own rules find (`eval`, `exec`, unsafe YAML, shells) is theirs to find.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sweep
from sweep.data.sources import plain_pickles

PACKAGE = Path(sweep.__file__).parent
UNPICKLER = PACKAGE / "data" / "sources" / "plain_pickles.py"
LOADER = PACKAGE / "families" / "own.py"
MODULES = {
    "pickle",
    "cPickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "code",
    "xmlrpc",
}
BUILT_IN = {"compile", "__import__"}
CALLS = {
    "yaml": {"load", "load_all", "full_load", "unsafe_load", "unsafe_load_all"},
    "torch": {"load", "save", "compile"},
    "np": {"load", "save", "savez", "fromfile"},
    "numpy": {"load", "save", "savez"},
    "pd": {"read_pickle", "eval"},
    "socket": {"create_server", "create_connection"},
}
LISTENERS = {"Listener", "Client", "Manager", "HTTPServer", "TCPServer", "UDPServer", "asyncio"}


def findings(text: str) -> Iterator[str]:
    """What in a module could run data, or wait for strangers to call."""
    for node in ast.walk(ast.parse(text)):
        where = f"line {getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            names = {module.split(".")[0], *(alias.name.split(".")[0] for alias in node.names)}
            if names & (MODULES | LISTENERS):
                yield f"{where}: imports {names}"
        elif isinstance(node, ast.Call):
            called = node.func
            owner = ast.unparse(called.value) if isinstance(called, ast.Attribute) else ""
            name = getattr(called, "attr", getattr(called, "id", ""))
            if not isinstance(called, ast.Attribute) and name in BUILT_IN:
                yield f"{where}: {name}()"
            if name in CALLS.get(owner, ()):
                yield f"{where}: {owner}.{name}()"
            if owner.endswith(("connection", "pipe")) and name in ("recv", "send"):
                yield f"{where}: .{name}() pickles"  # send_bytes and recv_bytes do not
            # A socket that is given by its number was made by `socketpair`, and nobody can call it.
            if (owner, name) == ("socket", "socket") and [k.arg for k in node.keywords] != [
                "fileno"
            ]:
                yield f"{where}: socket.socket()"
            for keyword in node.keywords:
                if keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False":
                    yield f"{where}: allow_pickle="


def test_no_module_runs_data_or_waits_for_strangers():
    found = {path: list(findings(path.read_text())) for path in PACKAGE.rglob("*.py")}
    (line,) = found.pop(UNPICKLER)
    assert "'pickle'" in line
    (line,) = found.pop(LOADER)
    assert "compile()" in line
    # They speak to a Ray cluster: as its clients, and nobody can call them.
    (line,) = found.pop(PACKAGE / "execution/ray_host.py")
    assert "'asyncio'" in line
    (line,) = found.pop(PACKAGE / "execution/ray_gateway.py")
    assert "'asyncio'" in line
    (line,) = found.pop(PACKAGE / "execution/ray_nodes.py")
    assert "socket.create_connection()" in line
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_the_one_that_unpickles_uses_its_own_unpickler_alone():
    tree = ast.parse(UNPICKLER.read_text())
    used = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("pickle.")
    ]
    assert set(used) == {"pickle.Unpickler", "pickle.UnpicklingError"}
    (unpickler,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    assert [ast.unparse(base) for base in unpickler.bases] == ["pickle.Unpickler"]
    assert used.count("pickle.Unpickler") == 1, "it is a base, and never called"
    assert [node.name for node in unpickler.body] == ["find_class"]
    assert plain_pickles._ALLOWED.keys() == {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import loads",
        "import marshal as m",
        "from multiprocessing.connection import Listener",
        "from http.server import HTTPServer",
        "compile(text, name, kind)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "torch.load(path)",
        "np.load(path, allow_pickle=True)",
        "read(path, allow_pickle=maybe)",
        "connection.recv()",
        "self.connection.send(message)",
        "socket.socket()",
    ],
)
def test_what_is_forbidden_is_found(text):
    assert list(findings(text))


@pytest.mark.parametrize(
    "text",
    [
        "yaml.parse(text)",
        "connection.recv_bytes()",
        "re.compile(x)",
        "socket.gethostname()",
        "socket.socketpair()",
        "socket.socket(fileno=3)",
    ],
)
def test_what_is_harmless_is_not(text):
    assert list(findings(text)) == []
