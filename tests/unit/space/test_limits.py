"""Files that were made to be slow, large or unreadable get a short answer at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers import space_mapping
from patience import at_once

from sweep.errors import SearchSpaceError
from sweep.space import load_space

HEAD = "name: x\ndataset: digits\n"
PARAMETERS = HEAD + "parameters:\n"


def numbers(count: int) -> str:
    return ", ".join(map(str, range(1, count + 1)))


def problems(folder: Path, text: str | bytes) -> list[str]:
    """What is wrong with a file: line, column and message of each problem."""
    path = folder / "space.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with at_once(), pytest.raises(SearchSpaceError, match=re.escape(f"{path}:")) as caught:
        load_space(path)
    return [line.removeprefix(f"{path}:") for line in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            f"{PARAMETERS}  layer_size: {{choices: [{numbers(16_000)}]}}\n",
            "4:25: parameters.layer_size.choices: may have at most 1,000 entries; found 16,000",
        ),
        (
            f"{PARAMETERS}  epochs: {{low: 1, high: 3, when: {{num_layers: [{numbers(1001)}]}}}}\n",
            "4:48: parameters.epochs.when.num_layers: may have at most 1,000 entries; found 1,001",
        ),
        (f"{PARAMETERS}  epochs: [{'1,' * 60_000}]\n", "4:79994: has more than 40,000 keys and"),
        (
            f"{HEAD}enqueue: [{'{},' * 10_001}]\n",
            "3:10: enqueue: may have at most 10,000 entries; found 10,001",
        ),
        (
            f"{PARAMETERS}  dropout: {{low: 0, high: 0.5, step: 5e-324}}\n",
            "4:12: parameters.dropout: a range may have at most 1,000,000 steps; found low 0.0, "
            "high 0.5, step 5e-324",
        ),
        (
            f"{PARAMETERS}  dropout: {{low: 0.1, high: 0.2, step: 1}}\n",
            "4:40: parameters.dropout.step: must be at most 0.99; found 1",
        ),
        (
            f"{PARAMETERS}  dropout: {{low: 0.1, high: 0.1000000001, step: 0.9}}\n",
            "4:12: parameters.dropout: high - low must be a multiple of step; found low 0.1, high "
            "0.1000000001, step 0.9",
        ),
        (
            f"{PARAMETERS}  epochs: {{low: 1, high: 2, step: {'9' * 399}}}\n",
            "4:35: parameters.epochs.step: must be at most 100000; found 999",
        ),
        (
            f"{HEAD}budget: {{timeout: {'1' * 200_000}x}}\n",
            "3:19: budget.timeout: must be a duration such as 90s, 30m or 1h30m; found '111",
        ),
        (
            "name: x\ndataset: {name: digits, validation: 1437}\n",
            "2:37: dataset.validation: must be below 1,437, the size of the training pool of "
            "digits; found 1,437",
        ),
        (
            f"{PARAMETERS}  epochs: 3\n  !!python/name:os.system dropout: 0.1\n",
            "5:3: tags are not allowed; found tag:yaml.org,2002:python/name:os.system",
        ),
        (b"\xef\xbb\xbfname: \xc3\xa9\xff\n", "1:8: must be text in UTF-8; found byte 0xff"),
        ("name: x\r\ndataset: a\x1b[31m\n", "2:11: is not YAML: the character U+001B is not"),
    ],
)
def test_a_limit_is_named_with_its_place(tmp_path, text, problem):
    (found,) = problems(tmp_path, text)
    assert found.startswith(problem)
    assert len(found) < 300


def test_the_limits_themselves_are_allowed():
    space = load_space(
        space_mapping(
            parameters={
                "layer_size": {"choices": list(range(1, 1001))},
                "epochs": {"low": 1, "high": 2, "when": {"layer_size": list(range(1, 1001))}},
                "dropout": {"low": 0.0, "high": 0.5, "step": 5e-7},
            },
            enqueue=[{}] * 10_000,
        )
    )
    assert space.num_configurations == 1000 * 2 * 1_000_001


def test_many_mistakes_are_counted_and_the_first_are_shown(tmp_path):
    found = problems(tmp_path, PARAMETERS + "".join(f"  k{i}: 1\n" for i in range(5000)))
    assert len(found) == 101
    assert found[0].startswith("4:3: parameters: unknown key 'k0'")
    assert found[99].startswith("103:3: parameters: unknown key 'k99'")
    assert found[100] == "104:3: and 4,900 more problems from here"


def test_many_mistakes_between_places_are_bounded(tmp_path):
    choices = f"{PARAMETERS}  layer_size: {{choices: [{numbers(1000)}]}}\nenqueue:\n"
    found = problems(tmp_path, choices + "- {layer_size: 9999}\n" * 9000)
    assert len(found) == 100
    assert found[0] == (
        "6:16: enqueue.0.layer_size: layer_size is one of 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, "
        "...; found 9999"
    )


@pytest.mark.parametrize(
    "text",
    [
        f'{PARAMETERS}  "a\\e]0;owned\\a\\nb": 1\n',
        f'{PARAMETERS}  epochs: {{low: 1, high: 2, when: {{"a\\e\\nb": 1}}}}\n',
        f'{HEAD}enqueue: [{{"a\\u202e\\nb": 1}}]\n',
        f"{HEAD}sampler: !<%1b%0aq> tpe\n",
    ],
)
def test_a_message_is_one_line_that_can_be_seen(tmp_path, text):
    found = problems(tmp_path, text)
    assert found
    assert all(problem.isprintable() for problem in found)


def test_a_condition_on_a_malformed_parameter_is_no_crash_in_a_grid(tmp_path):
    text = PARAMETERS + "  layer_size: bad\n  epochs: {choices: [1], when: {layer_size: 3}}\n"
    (found,) = problems(tmp_path, text + "  dropout: {choices: [0.1]}\nsampler: grid\n")
    assert found.startswith("4:15: parameters.layer_size: must be a whole number")


def test_a_chain_of_wide_conditions_is_counted_quickly():
    hundred = list(range(1, 101))
    chain = ["layer_size", "batch_size", "epochs", "num_layers"]
    choices = [hundred, hundred, hundred, [1, 2, 3]]
    parameters = {
        name: {
            "choices": values,
            **({"when": {chain[index - 1]: choices[index - 1]}} if index else {}),
        }
        for index, (name, values) in enumerate(zip(chain, choices, strict=True))
    }
    with at_once():
        assert load_space(space_mapping(parameters=parameters)).num_configurations == 3_000_000


def test_counting_distinguishes_what_each_value_leads_to():
    parameters = {
        "layer_size": {"choices": [1, 2, 3, 4]},
        "epochs": {"choices": [5, 6, 7], "when": {"layer_size": [1, 2]}},
        "batch_size": {"choices": [8, 9], "when": {"layer_size": [2, 3]}},
        "dropout": {"choices": [0.1, 0.2], "when": {"epochs": [5, 6], "batch_size": 9}},
    }
    space = load_space(space_mapping(parameters=parameters))
    listed = list(space.configurations())
    different = {frozenset(configuration.items()) for configuration in listed}
    assert space.num_configurations == len(listed) == len(different)
    assert len(different) == 3 + (3 * 2 + 2) + 2 + 1  # by layer_size: 1, 2, 3, 4
