"""No line of the package turns data into code, and workers are spoken to in bytes only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sweep

PACKAGE = Path(sweep.__file__).parent
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
BUILT_IN = {"eval", "exec", "compile", "__import__"}
CALLS = {
    "yaml": {"load", "load_all", "full_load", "unsafe_load", "unsafe_load_all"},
    "torch": {"load", "save", "compile"},
    "np": {"load", "save", "savez", "fromfile"},
    "numpy": {"load", "save", "savez"},
    "pd": {"read_pickle", "eval"},
    "os": {"system", "popen"},
    "socket": {"socket", "create_server", "create_connection", "socketpair"},
}
LISTENERS = {"Listener", "Client", "Manager", "HTTPServer", "TCPServer", "UDPServer", "asyncio"}


def findings(text: str, *, between_processes: bool = False) -> Iterator[str]:
    """What in a module could run data, or wait for strangers to call."""
    for node in ast.walk(ast.parse(text)):
        where = f"line {getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            names = {module.split(".")[0], *(alias.name.split(".")[0] for alias in node.names)}
            if names & (MODULES | LISTENERS):
                yield f"{where}: imports {names}"
        elif isinstance(node, ast.Call):
            called, owner = node.func, ""
            if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
                owner = called.value.id
            name = getattr(called, "attr", getattr(called, "id", ""))
            if not isinstance(called, ast.Attribute) and name in BUILT_IN:
                yield f"{where}: {name}()"
            if name in CALLS.get(owner, ()):
                yield f"{where}: {owner}.{name}()"
            if between_processes and isinstance(called, ast.Attribute) and name in ("recv", "send"):
                yield f"{where}: .{name}() pickles"  # send_bytes and recv_bytes do not
            for keyword in node.keywords:
                if (
                    keyword.arg in ("shell", "allow_pickle")
                    and ast.unparse(keyword.value) != "False"
                ):
                    yield f"{where}: {keyword.arg}="


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_a_module_runs_no_data(path):
    between = "execution" in path.parts
    assert list(findings(path.read_text(), between_processes=between)) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import loads",
        "import marshal as m",
        "from multiprocessing.connection import Listener",
        "from http.server import HTTPServer",
        "eval('1')",
        "exec(text)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "torch.load(path)",
        "np.load(path, allow_pickle=True)",
        "read(path, allow_pickle=maybe)",
        "subprocess.run(line, shell=True)",
        "os.system('true')",
        "connection.recv()",
        "self.connection.send(message)",
        "socket.socket()",
    ],
)
def test_what_is_forbidden_is_found(text):
    assert list(findings(text, between_processes=True))


@pytest.mark.parametrize(
    "text",
    ["yaml.parse(text)", "connection.recv_bytes()", "re.compile(x)", "socket.gethostname()"],
)
def test_what_is_harmless_is_not(text):
    assert list(findings(text, between_processes=True)) == []
