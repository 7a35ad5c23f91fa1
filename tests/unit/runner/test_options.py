"""The options of run, resume, confirm and reproduce: one definition, with one default."""

from __future__ import annotations

import inspect
import re
from typing import Any

import click
import pytest

import sweep
from sweep.cli.commands import cli
from sweep.runner.options import DEFAULTS

KINDS = [sweep.PlaceOptions, sweep.WorkOptions, sweep.StudyOptions]
FUNCTIONS: list[tuple[Any, tuple[Any, ...], list[Any]]] = [
    (sweep.run, ("missing.yaml",), KINDS),
    (sweep.resume, ("small",), KINDS),
    (sweep.confirm, ("small",), KINDS[:2]),
    (sweep.reproduce, ("small", 0), KINDS[:1]),
]
IN_PYTHON_ONLY = {"executor", "on_event", "progress", "stop"}


@pytest.mark.parametrize(("function", "arguments", "_"), FUNCTIONS)
@pytest.mark.parametrize("error", [TypeError, sweep.InputError])
def test_an_unknown_option_is_refused_as_python_does(function, arguments, _, error, tmp_path):
    words = rf"^{function.__name__}\(\) got an unexpected keyword argument 'stroage'"
    with pytest.raises(error, match=words + r" \(did you mean 'storage'\?\)$"):
        function(*arguments, stroage=f"sqlite:///{tmp_path / 'studies.db'}")
    assert list(tmp_path.iterdir()) == []


def test_options_of_another_function_are_unknown():
    with pytest.raises(TypeError, match=r"confirm\(\) got an unexpected keyword argument 'trials'"):
        sweep.confirm("small", trials=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"reproduce\(\) got an unexpected .* 'workers'"):
        sweep.reproduce("small", 0, workers=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("kind", "parent"),
    [(sweep.PlaceOptions, dict), (sweep.WorkOptions, sweep.PlaceOptions),
     (sweep.StudyOptions, sweep.WorkOptions)],
    ids=["place", "work", "study"],
)  # fmt: skip
def test_every_option_is_documented_in_its_own_class(kind, parent):
    keys = inspect.getdoc(kind).partition("Keys:\n")[2]
    documented = re.findall(r"^    (\w+): ", keys, re.MULTILINE)
    inherited = getattr(parent, "__annotations__", {})
    assert documented == [name for name in kind.__annotations__ if name not in inherited]


def test_every_option_has_a_default_in_one_table():
    assert set(DEFAULTS) == set(sweep.StudyOptions.__annotations__)


@pytest.mark.parametrize(("function", "_", "kinds"), FUNCTIONS)
def test_help_leads_to_the_documentation_of_the_options(function, _, kinds):
    for kind in kinds:
        assert f"help(sweep.{kind.__name__})" in inspect.getdoc(function)


@pytest.mark.parametrize(
    ("command", "kind"),
    [("run", sweep.StudyOptions), ("resume", sweep.StudyOptions), ("confirm", sweep.WorkOptions)],
)
def test_the_command_line_has_every_option_with_its_default(command, kind):
    found = {p.name: p for p in cli.commands[command].params if isinstance(p, click.Option)}
    for name in set(kind.__annotations__) - IN_PYTHON_ONLY:
        shown = found[name].to_info_dict()["default"]
        default = DEFAULTS[name]
        assert shown == (f"{default:g}s" if isinstance(default, float) else default), name
