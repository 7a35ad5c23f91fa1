"""A duration is written the same way in YAML, in Python and on the command line."""

from __future__ import annotations

from typing import Any

import click
import numpy as np
import pytest

from sweep.cli.commands import cli
from sweep.errors import InputError
from sweep.runner.options import StudyOptions, complete_options
from sweep.space import load_space
from sweep.words import parse_duration

SECONDS = {
    "90s": 90.0, "30m": 1800.0, "1h30m": 5400.0, "1.5h": 5400.0, "1h 5s": 3605.0, "0.5 s": 0.5,
    "90": 90.0, "1.5": 1.5, "366h": 366 * 3600.0, " 10s ": 10.0,
}  # fmt: skip
BAD = {
    "soon": "a duration", "": "a duration", "10x": "a duration", "h": "a duration",
    "30m1h": "a duration", "1h30": "a duration", "1 0s": "a duration", "-5s": "a duration",
    "-5": "a duration", "30M": "a duration", "nan": "a duration", "inf": "a duration",
    "1e3": "a duration", "٣s": "a duration", "9" * 400: "a duration", "1.s": "a duration",
    "0": "above 0 seconds; found '0'", "0s": "above 0 seconds; found '0s'",
    "0h0m": "above 0 seconds", "8785h": "at most 366 days; found '8785h'",
    "9" * 30 + "h": "at most 366 days",
}  # fmt: skip
PLACES = ["timeout", "trial_time_limit", "checkpoint_every"]


def from_yaml(folder: Any, text: str, name: str) -> float:
    path = folder / "space.yaml"
    path.write_text(f"name: x\ndataset: digits\nbudget: {{{name}: {text!r}}}\n")
    return float(getattr(load_space(path).budget, name))


def from_mapping(value: Any, name: str) -> float:
    space = load_space({"name": "x", "dataset": "digits", "budget": {name: value}})
    return float(getattr(space.budget, name))


def from_option(value: Any, name: str) -> float:
    options: Any = {name: value}
    return float(complete_options("run", StudyOptions, options)[name])  # type: ignore[literal-required]


def from_command_line(text: str, name: str) -> float:
    option = f"--{name.replace('_', '-')}"
    command = cli.commands["run"]
    with command.make_context("run", ["x.yaml", f"{option}={text}"]) as context:
        return float(context.params[name])


@pytest.mark.parametrize(("text", "seconds"), SECONDS.items())
def test_one_grammar_everywhere(tmp_path, text, seconds):
    assert parse_duration(text) == seconds
    for name in PLACES:
        assert from_option(text, name) == seconds
        assert from_command_line(text, name) == seconds
    for name in PLACES[:2]:
        assert from_yaml(tmp_path, text, name) == seconds
        assert from_mapping(text, name) == seconds


@pytest.mark.parametrize(("text", "words"), BAD.items())
def test_one_message_everywhere(tmp_path, text, words):
    words = f"must be {words}"
    with pytest.raises(ValueError, match=words):
        parse_duration(text)
    for name in PLACES:
        with pytest.raises(InputError, match=f"^{name} {words}"):
            from_option(text, name)
        with pytest.raises(click.BadParameter, match=words):
            from_command_line(text, name)
    for name in PLACES[:2]:
        with pytest.raises(InputError, match=rf"space\.yaml:3:\d+: budget\.{name}: {words}"):
            from_yaml(tmp_path, text, name)
        with pytest.raises(InputError, match=f"^budget.{name}: {words}"):
            from_mapping(text, name)


@pytest.mark.parametrize("value", [45, 45.0, np.float32(45), np.int64(45)])
def test_a_number_alone_counts_seconds(value):
    assert from_mapping(value, "timeout") == from_option(value, "timeout") == 45.0


@pytest.mark.parametrize(
    "value", [0, -1.0, float("nan"), float("inf"), 10**400, True, [1], {"h": 1}, object(), 1j]
)
def test_what_is_no_time_is_refused(value):
    with pytest.raises(InputError, match=r"^timeout must be (a duration|above 0)"):
        from_option(value, "timeout")
    with pytest.raises(InputError, match=r"^budget\.timeout: must be (a duration|above 0)"):
        from_mapping(value, "timeout")


def test_the_help_says_what_a_number_means():
    for name in PLACES:
        option = next(each for each in cli.commands["run"].params if each.name == name)
        assert isinstance(option, click.Option)
        assert "a number alone counts seconds" in str(option.help)
