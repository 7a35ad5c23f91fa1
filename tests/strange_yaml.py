"""Search-space files of any kind that a person, a program or an attacker could write.

Hypothesis strategies, and `Judge`, which has each file checked in a separate process.
"""

from __future__ import annotations

import codecs
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from hypothesis import strategies as st
from patience import HANGS_AFTER_SECONDS

from sweep.definitions import parameters_of
from sweep.space import load_space

__all__ = ["FILES", "MEGABYTES", "Judge", "assert_have_places"]

LOADS = 1100  # of 1,480 calls each
MEGABYTES = 200
SHIPPED = {
    path.name: path.read_bytes()
    for path in sorted((Path(__file__).parents[1] / "search_spaces").glob("*.yaml"))
}


def assert_have_places(problems: Sequence[str], path: Path) -> None:
    """Each problem of a file is one line that begins with its position."""
    for problem in problems:
        assert re.match(re.escape(str(path)) + r":[1-9]\d*:[1-9]\d*: \S", problem), problem
        assert problem.isprintable(), problem


class Judge:
    """Checks files in a process with limited memory (`judge_space.py`); a context manager.

    Attributes:
        counts: Number of files by verdict.
        most_loads: The most work for one file, in loads of a shipped search space.
        megabytes: Peak growth of the process's memory.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "space.yaml"
        self.counts = {"valid": 0, "refused": 0}
        self.most_loads = 0.0
        self.megabytes = 0.0

    def __enter__(self) -> Self:
        script = Path(__file__).parent / "judge_space.py"
        self._process = subprocess.Popen(
            [sys.executable, str(script), str(MEGABYTES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def judge(self, text: bytes) -> None:
        """Assert that a file is valid, or refused with positions, within the limits."""
        self.path.write_bytes(text)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{self.path}\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        problems = answer["problems"]
        assert answer["verdict"] in self.counts, "\n".join(problems)
        assert bool(problems) == (answer["verdict"] == "refused")
        assert_have_places(problems, self.path)
        assert answer["loads"] < LOADS, f"{answer['loads']:.0f} loads"
        assert answer["seconds"] < HANGS_AFTER_SECONDS
        assert answer["megabytes"] < MEGABYTES
        self.counts[answer["verdict"]] += 1
        self.most_loads = max(self.most_loads, answer["loads"])
        self.megabytes = max(self.megabytes, answer["megabytes"])


# ---------------------------------------------------------------- pieces


class Raw(str):
    """Text that is written to the file unchanged."""


NUMBERS = st.sampled_from(
    [
        "0x1F", "0o17", "0b1", "1_000", ".5", "5.", "1e400", "-1e400", "1e-400", "5e-324", ".nan",
        ".inf", "-.INF", "-0.0", "007", "+3", "1:30", "1e", "--1", "9" * 19, "9" * 400, "9" * 5000,
        "1" + "0" * 100, "0." + "0" * 300 + "1", "1e-3", "0", "-1", "1", "2", "3", "16384", "16385",
        "100000", "0.99", "0.9999", "9223372036854775808", "2026-01-01", "12e03", "1.5", "٣", "１",
    ]
).map(Raw)  # fmt: skip
TOKENS = st.sampled_from(
    [
        "&a x", "*a", "&a [*a]", "!!python/object/apply:os.system [true]", "!!python/none", "!x y",
        "!!binary aGk=", "!!set {a, b}", "!!float 3", "!<%1b%07> z", "<<: {epochs: 3}", "{<<: *a}",
        "? [a]", "[a, b", "{a: b", "]", "}", "|\n  text", ">-\n  text", "'a''b'", '"\\e[31m"',
        '"\\ud800"', '"\\x00"', '"\\U0010ffff"', "@x", "`x`", "%x", "%YAML 1.1", "---", "...",
        "- -", ": :", "null", "~", "true", "yes", "Off", "", "#", "a: b: c", "\t", "\u2028",
        "\x85", "\ufeff", "\u202e", "\x00", "\x1b", "\x7f", "é", "日本語", "🙂", "\\", "0x",
        "=", "<<",
    ]
).map(Raw)  # fmt: skip
WORDS = st.sampled_from(
    [
        *parameters_of("mlp"), "low", "high", "step", "log", "choices", "when", "type", "seed",
        "name", "model", "mlp", "dataset", "validation", "split_seed", "objective", "metric",
        "goal", "parameters", "sampler", "pruner", "budget", "trials", "timeout", "enqueue",
        "constraints", "epochs <= 3", "num_parameters < 2 *", "1 < a",
        "patience", "min_resource",
        "tpe", "random", "grid", "gp", "qmc", "hyperband", "median", "patient", "threshold", "none",
        "mnist", "digits", "emnist-balanced", "relu", "tanh", "sgd", "adamw", "validation_loss",
        "validation_f1_macro",
        "1h30m", "30m", "1e9h", "٣s", "epoch", "Low", "x" * 2000, "a b", "", " ",
    ]
)  # fmt: skip


def many(count: int) -> list[int]:
    return list(range(1, count + 1))


def nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


BIG = st.one_of(
    st.integers(0, 30_000).map(many),
    st.integers(0, 2000).map(lambda count: {"choices": many(count)}),
    st.integers(0, 3000).map(lambda count: {f"k{index}": index for index in range(count)}),
    st.integers(0, 12_000).map(lambda count: [{"epochs": 20}] * count),
    st.integers(0, 12_000).map(lambda count: [{"epochs": "x", "nothing": []}] * count),
    st.integers(0, 300).map(nested),
    st.integers(0, 300_000).map(lambda count: "y" * count),
    st.integers(0, 3000).map(lambda count: {"layer_size": many(count)}),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | NUMBERS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=6), inner),
    max_leaves=8,
)
VALUES = st.one_of(NUMBERS, TOKENS, WORDS, JSON, BIG)


def flow(value: Any) -> str:
    """A value in YAML flow style."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return json.dumps(value)


def block(value: Any, indent: int = 0) -> str:
    """Mappings in block style; lists stay in flow style."""
    if not isinstance(value, dict) or not value:
        return " " + flow(value) + "\n"
    margin = " " * indent
    lines = [f"{margin}{flow(key)}:{block(inner, indent + 2)}" for key, inner in value.items()]
    return ("\n" if indent else "") + "".join(lines)


# ---------------------------------------------------------------- files

_RICH: dict[str, Any] = {
    "name": "rich",
    "dataset": {"name": "digits", "validation": 200, "split_seed": 1},
    "objective": {"metric": "validation_loss", "goal": "minimize"},
    "parameters": {
        "num_layers": {"low": 1, "high": 4},
        "layer_size": {"choices": [16, 32, 64]},
        "optimizer": {"choices": ["adam", "sgd"]},
        "momentum": {"low": 0.0, "high": 0.9, "step": 0.1, "when": {"optimizer": "sgd"}},
        "dropout": {"low": 0.0, "high": 0.5, "when": {"layer_size": [32, 64], "num_layers": 2}},
        "weight_decay": {"low": 1e-6, "high": 0.1, "log": True},
        "batch_size": {"low": 16, "high": 64, "step": 16},
        "epochs": 4,
    },
    "sampler": {"type": "tpe", "seed": 1},
    "pruner": {"type": "patient", "pruner": {"type": "median"}, "patience": 2},
    "budget": {"trials": 5, "timeout": "30m"},
    "enqueue": [{"num_layers": 2, "layer_size": 32}],
    "constraints": ["num_layers * layer_size <= 128", "1 <= num_parameters < 1e6"],
}
_BASES = [_RICH, load_space(_RICH).to_json()]


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, inner in entries:
        found.append((*path, key))
        if isinstance(inner, dict | list):
            found += _places(inner, (*path, key))
    return found


@st.composite
def changed_spaces(draw: st.DrawFn) -> bytes:
    """A valid space with some entries changed, removed, renamed or added."""

    def drawn() -> Raw:  # as text, so that a later change does not apply to a thousand copies
        return Raw(flow(draw(VALUES)))

    space = json.loads(json.dumps(draw(st.sampled_from(_BASES))))
    for _ in range(draw(st.integers(0, 4))):
        path = draw(st.sampled_from(_places(space) or [("name",)]))
        parent: Any = space
        for key in path[:-1]:
            parent = parent[key]
        match draw(st.sampled_from(["change", "change", "change", "remove", "rename", "add"])):
            case "change":
                parent[path[-1]] = drawn()
            case "remove":
                parent.pop(path[-1], None) if isinstance(parent, dict) else parent.clear()
            case "rename" if isinstance(parent, dict):
                parent[draw(WORDS | TOKENS)] = parent.pop(path[-1], None)
            case _ if isinstance(parent, dict):
                parent[draw(WORDS | TOKENS)] = drawn()
            case _:
                parent.append(drawn())
    text = flow(space) if draw(st.booleans()) else block(space)
    return _encoded(draw, text)


def _encoded(draw: st.DrawFn, text: str) -> bytes:
    """Mostly plain UTF-8, sometimes as another editor or system writes it."""
    match draw(
        st.sampled_from(["plain"] * 6 + ["mark", "windows", "mac", "wide", "latin", "tabs"])
    ):
        case "mark":
            return codecs.BOM_UTF8 + text.encode("utf-8", "surrogatepass")
        case "windows":
            text = text.replace("\n", "\r\n")
        case "mac":
            text = text.replace("\n", "\r")
        case "wide":
            return text.encode("utf-16", "surrogatepass")
        case "latin":
            return text.encode("latin-1", "replace")
        case "tabs":
            text = text.replace("  ", "\t")
    return text.encode("utf-8", "surrogatepass")


@st.composite
def wide_spaces(draw: st.DrawFn) -> bytes:
    """Valid or nearly valid spaces, as large as the limits allow."""
    numbers = ["layer_size", "batch_size", "epochs", "num_layers"]
    order = draw(st.permutations(numbers))
    parameters: dict[str, Any] = {}
    for index, name in enumerate(order):
        count = (
            64
            if name == "num_layers"
            else draw(st.sampled_from([1, 2, 5, 10, 10, 50, 100, 1000, 1001]))
        )
        parameters[name] = {"choices": many(count)}
        parents = order[:index]
        if parents and draw(st.booleans()):
            chosen = draw(st.lists(st.sampled_from(parents), min_size=1, unique=True))
            parameters[name]["when"] = {
                parent: parameters[parent]["choices"][
                    draw(st.integers(0, 5)) :: draw(st.integers(1, 5))
                ]
                for parent in chosen
            }
    for name in ("dropout", "momentum", "weight_decay", "learning_rate"):
        if draw(st.booleans()):
            parameters[name] = {
                "low": draw(st.sampled_from([1e-8, 1e-3, 0.1])),
                "high": draw(st.sampled_from([0.1, 0.9])),
                **draw(st.sampled_from([{}, {"log": True}, {"step": 1e-7}, {"step": 0.1}])),
                "when": {
                    draw(st.sampled_from(numbers)): draw(st.sampled_from([1, [1, 2], many(999)]))
                },
            }
    space = {
        "name": "wide",
        "dataset": draw(st.sampled_from(["digits", "mnist"])),
        "parameters": parameters,
        "sampler": draw(st.sampled_from(["tpe", "grid", "gp"])),
        "enqueue": draw(
            st.sampled_from(
                [
                    *[[]] * 12,
                    [{"epochs": 1}, {"layer_size": 2, "num_layers": 1}],
                    [{}] * 10_000,
                    [{"epochs": 1, "layer_size": 7}] * 5_000,
                ]
            )
        ),
    }
    return _encoded(draw, flow(space))


@st.composite
def damaged_files(draw: st.DrawFn) -> bytes:
    """A shipped file with bytes removed, replaced, inserted or repeated."""
    text = SHIPPED[draw(st.sampled_from(sorted(SHIPPED)))]
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        piece = draw(
            st.binary(max_size=8) | (TOKENS | NUMBERS).map(_bytes) | st.just(text[start:end])
        )
        times = draw(st.sampled_from([1, 1, 1, 1, 2, 50, 20_000]))
        text = text[:start] + piece * min(times, 1 + 300_000 // max(1, len(piece))) + text[end:]
    return text


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@st.composite
def repetitions(draw: st.DrawFn) -> bytes:
    """One piece, repeated: what makes a parser slow, deep or large."""
    head = draw(st.sampled_from(["", "name: x\ndataset: digits\n", "a: &a [x]\n"]))
    head += draw(
        st.sampled_from(["", "parameters:\n", "enqueue: ", "name: ", "parameters: {epochs: "])
    )
    piece = draw(
        st.sampled_from(
            [
                "[", "{", "- ", "? ", ": ", "{a: ", "[{", "a: b\n", "- x\n", "x", " ", "\n", "\t",
                "#", "'", '"', '"\\n', "|\n", "&a ", "*a, ", "[*a, *a], ", "!x ", "!!python/none ",
                "<<: ", "---\n", "...\n", "%TAG ! x\n", "1,", "a, ", "{}, ", "[], ", "~,", "? [",
                "- {epochs: 1}\n", "  k: 1\n", "9", "e", "1.", "\u2028", "é", "🙂", "\0", "\x85",
                ",", "- - ", "a: ",
            ]
        )
        | st.text(min_size=1, max_size=6)
    )  # fmt: skip
    size = draw(st.sampled_from([10, 1000, 50_000, 262_000, 300_000]))
    tail = draw(st.sampled_from(["", "]", "}", "\n", "x: y\n", "'", ": "]))
    return _bytes(head + piece * max(1, size // len(_bytes(piece))) + tail)


raw_text = st.one_of(
    st.text(max_size=400).map(_bytes),
    st.lists(st.one_of(TOKENS, NUMBERS, WORDS, st.sampled_from("{}[]:,-?!&*|>\n '\""))).map(
        lambda pieces: _bytes("".join(pieces))
    ),
    st.binary(max_size=400),
)


class File(bytes):
    """A file that is shown by its beginning."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes: {bytes(self[:400])!r}>"


FILES = {
    "changed": changed_spaces().map(File),
    "wide": wide_spaces().map(File),
    "damaged": damaged_files().map(File),
    "repeated": repetitions().map(File),
    "raw": raw_text.map(File),
}
