"""Every bad input: where it is, which rule it breaks, what was found, what was meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from patience import at_once

from sweep.errors import InputError, SearchSpaceError
from sweep.space import load_space

HEAD = "name: x\ndataset: digits\n"
PARAMETERS = HEAD + "parameters:\n"


def problems(folder: Path, text: str | bytes) -> list[str]:
    """The problems of a file, without its path."""
    path = folder / "space.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SearchSpaceError, match=re.escape(f"{path}:")) as caught:
        load_space(path)
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert all("\n" not in line for line in caught.value.problems)
    assert all(line.startswith(f"{path}:") for line in caught.value.problems)
    return [line.removeprefix(f"{path}:") for line in caught.value.problems]


def load(folder: Path, text: str):
    path = folder / "space.yaml"
    path.write_text(text)
    return load_space(path)


@pytest.mark.parametrize(
    ("text", "place", "fragments"),
    [
        ("name: [", "2:1", ["is not YAML"]),
        ("name: x\n\tdataset: digits\n", "2:1", ["is not YAML", "tab"]),
        ("name: x\0\n", "1:8", ["is not YAML", "U+0000"]),
        (HEAD + "---\n" + HEAD, "3:1", ["is not YAML", "another document"]),
        ("", "1:1", ["empty"]),
        ("# nothing\n", "1:1", ["empty"]),
        ("~\n", "1:1", ["must be a mapping", "found nothing"]),
        ("- a\n- b\n", "1:1", ["must be a mapping", "found a list"]),
        ("hello\n", "1:1", ["must be a mapping", "found 'hello'"]),
        ("dataset: digits\n", "1:1", ["name is missing"]),
    ],
)
def test_what_is_not_a_mapping_is_refused(tmp_path, text, place, fragments):
    (problem,) = problems(tmp_path, text)
    assert problem.startswith(f"{place}: ")
    assert all(fragment in problem for fragment in fragments)


@pytest.mark.parametrize(
    ("text", "place", "fragments"),
    [
        (HEAD + "pramaters: {}\n", "3:1", ["unknown key 'pramaters'", "mean 'parameters'?"]),
        (HEAD + "sampler: tpee\n", "3:10", ["found 'tpee'", "did you mean 'tpe'?"]),
        (
            HEAD + "sampler: {type: tpe, n_startup_trial: 3}\n",
            "3:22",
            ["sampler: unknown key", "mean 'n_startup_trials'?"],
        ),
        (HEAD + "sampler: {seed: 3}\n", "3:10", ["sampler: type is missing"]),
        (HEAD + "pruner: medain\n", "3:9", ["found 'medain'", "did you mean 'median'?"]),
        (
            HEAD + "pruner: {type: patient, pruner: {type: median, n_warmup_step: 3}}\n",
            "3:48",
            ["pruner.pruner: unknown key", "mean 'n_warmup_steps'?"],
        ),
        (HEAD + "pruner: threshold\n", "3:9", ["lower or upper is needed"]),
        (HEAD + "budget: {trails: 10}\n", "3:10", ["'trails'", "did you mean 'trials'?"]),
        (HEAD + "budget: {trials: 0}\n", "3:18", ["at least 1", "found 0"]),
        (HEAD + "budget: {timeout: soon}\n", "3:19", ["30m", "found 'soon'"]),
        (HEAD + "budget: {timeout: 0}\n", "3:19", ["must be above 0"]),
        (
            HEAD + "pruner: none\nbudget: {audit: 2}\n",
            "4:17",
            ["needs a pruner", "found pruner none"],
        ),
        (HEAD + "budget: {audit: -1}\npruner: median\n", "3:17", ["at least 0", "found -1"]),
        (HEAD + "budget: {audit: two}\npruner: median\n", "3:17", ["whole number", "'two'"]),
        (HEAD + "budget: {audits: 2}\npruner: median\n", "3:10", ["did you mean 'audit'?"]),
        (
            HEAD + "pruner: median\nbudget: {timeout: 1m, audit: 2}\n",
            "4:30",
            ["known number of trials", "found timeout without trials"],
        ),
        (
            HEAD + "objective: {metric: test_accuracy}\n",
            "3:21",
            ["found 'test_accuracy'", "did you mean 'validation_accuracy'?"],
        ),
        (
            HEAD + "objective: {metric: []}\n",
            "3:21",
            ["objective.metric: must be one of", "found a list"],
        ),
        (
            HEAD + "objective: {metric: validation_loss, goal: maximize}\n",
            "3:12",
            ["validation_loss must be minimized", "maximize"],
        ),
        ("name: a/b\ndataset: digits\n", "1:7", ["1 to 64 letters", "found 'a/b'"]),
        ("name: 3\ndataset: digits\n", "1:7", ["name: must be text", "found 3"]),
        ("name: x\ndataset: minst\n", "2:10", ["found 'minst'", "did you mean 'mnist'?"]),
        ("name: x\ndataset: {name: digits, valdation: 3}\n", "2:25", ["mean 'validation'?"]),
        ("name: x\ndataset: {name: digits, validation: 0}\n", "2:37", ["at least 1", "found 0"]),
    ],
)
def test_a_bad_setting_is_shown_with_its_place(tmp_path, text, place, fragments):
    (problem,) = problems(tmp_path, text)
    assert problem.startswith(f"{place}: ")
    assert all(fragment in problem for fragment in fragments)


@pytest.mark.parametrize(
    ("line", "column", "fragments"),
    [
        ("activaton: relu", 3, ["unknown key 'activaton'", "did you mean 'activation'?"]),
        ("num_blocks: 2", 3, ["unknown key 'num_blocks' (it belongs to model cnn); allowed: num_"]),
        ("activation: rleu", 15, ["relu, leaky_relu, sigmoid, tanh, gelu, silu", "mean 'relu'?"]),
        ("activation: {choices: [relu, rleu]}", 32, ["found 'rleu'", "did you mean 'relu'?"]),
        ("activation: no", 15, ["must be one of", "found 'no'"]),
        ("epochs: {low: 5, high: 3}", 11, ["low must not be above high", "low 5", "high 3"]),
        ("epochs: {low: 1}", 3, ["epochs.high is missing"]),
        ("weight_decay: {low: 0, high: 0.1, log: true}", 17, ["log range", "above 0"]),
        ("epochs: {low: 1, high: 10, step: 4}", 11, ["multiple of step", "high 10", "step 4"]),
        ("epochs: {low: 1, high: 9, step: 4, log: true}", 11, ["log and step"]),
        ("layer_size: {choices: []}", 25, ["choices: must not be empty"]),
        ("layer_size: {choices: [32, 64, 32]}", 25, ["choices must differ", "32"]),
        ("epochs: -1", 11, ["at least 1", "found -1"]),
        ("epochs: {low: -3, high: 3}", 17, ["epochs.low", "at least 1", "found -3"]),
        ("layer_size: 0", 15, ["at least 1", "found 0"]),
        ("epochs: ten", 11, ["whole number", "found 'ten'"]),
        ("epochs: '10'", 11, ["whole number", "found '10'"]),
        ("epochs: 1.5", 11, ["whole number", "found 1.5"]),
        ("epochs: true", 11, ["whole number", "found true"]),
        ("epochs: 0o10", 11, ["whole number", "found '0o10'"]),
        ("layer_size: [32, 64]", 15, ["found a list", "choices"]),
        ("layer_size:", 14, ["whole number", "found nothing"]),
        ("weight_decay: {low: '1e-3', high: 1e-2}", 23, ["must be a number", "found '1e-3'"]),
        ("learning_rate: .nan", 18, ["must be a number", "nan"]),
        ("learning_rate: {low: 0.1, high: .inf}", 35, ["must be a number", "inf"]),
        ("learning_rate: 11", 18, ["at most 10", "found 11"]),
        (f"epochs: {'9' * 300}", 11, ["at most 100000", "found 999"]),
        ("<<: {epochs: 3}", 3, ["unknown key '<<'"]),
        ("momentum: {low: 0.0, high: 0.9, when: [sgd]}", 41, ["when: must be a mapping"]),
        ("momentum: {low: 0.0, high: 0.9, when: {optimiser: sgd}}", 53, ["no parameter"]),
    ],
)
def test_a_bad_parameter_is_shown_with_its_place(tmp_path, line, column, fragments):
    (problem,) = problems(tmp_path, f"{PARAMETERS}  {line}\n")
    assert problem.startswith(f"4:{column}: ")
    assert all(fragment in problem for fragment in fragments)


@pytest.mark.parametrize(
    ("line", "column", "fragments"),
    [
        (
            "layer_size: {choices: [32], wen: {optimizer: sgd}}",
            31,
            ["parameters.layer_size: unknown key 'wen'", "did you mean 'when'?"],
        ),
        (
            "epochs: {low: 1, choices: [3]}",
            12,
            ["parameters.epochs: unknown key 'low'", "allowed: choices, prior, when"],
        ),
        (
            "layer_size: {choices: [32], when: [sgd]}",
            37,
            ["parameters.layer_size.when: must be a mapping"],
        ),
    ],
)
def test_a_bad_key_beside_choices_is_shown_with_its_own_place(tmp_path, line, column, fragments):
    (problem,) = problems(tmp_path, f"{PARAMETERS}  {line}\n")
    assert problem.startswith(f"4:{column}: ")
    assert all(fragment in problem for fragment in fragments)


def test_all_problems_are_shown_together_in_the_order_of_the_file(tmp_path):
    text = (
        "name: a b\ndataset: minst\nparameters:\n  epochs: {low: 5, high: 3}\n"
        "  activaton: relu\n  momentum: {low: 0.1, high: 0.2, when: {dropuot: 0.1}}\n"
        "budget: {trials: -1}\n"
    )
    places = [problem.split(": ")[0] for problem in problems(tmp_path, text)]
    assert places == ["1:7", "2:10", "4:11", "5:3", "6:51", "7:18"]


GRID_TOO_LARGE = "  epochs: {low: 1, high: 1000}\n  layer_size: {low: 1, high: 1000}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            PARAMETERS + "  epochs: 3\nbudget: {trials: -1, audit: 2}\n"
            "pruner: {type: hyperband, min_resource: 5, reduction_factor: 1}\n",
            {"5:18": "at least 1", "6:41": "must not be above 3", "6:62": "at least 2"},
            id="a broken option beside others of its section",
        ),
        pytest.param(
            HEAD + "budget: {audit: 2, trails: 9, timeout: 1m}\npruner: none\n",
            {"3:17": "needs a pruner", "3:20": "did you mean 'trials'?"},
            id="a misspelt key of the budget",
        ),
        pytest.param(
            HEAD + "pruner: medain\nsampler: tpee\nbudget: {audit: 2, timeout: 1m}\n",
            {"3:9": "'median'?", "4:10": "'tpe'?"},
            id="a pruner and a sampler that prove nothing",
        ),
        pytest.param(
            HEAD + "pruner: {type: asha, rungs: [0.1, 1], reduction_factors: [1]}\n",
            {"3:35": "below 1", "3:59": "at least 2"},
            id="rungs at a trial's end",
        ),
        pytest.param(
            HEAD + "prunr: median\nbudget: {audit: 2, max_failures: -1}\n",
            {"3:1": "'pruner'?", "4:34": "at least 0"},
            id="a misspelt section proves nothing",
        ),
        pytest.param(
            PARAMETERS + GRID_TOO_LARGE + "sampler: {type: grid, sed: 3}\n"
            "pruner: {type: patient, pruner: {type: hyperband, min_resource: 2000}, "
            "patience: -1}\n",
            {"6:10": "may have at most 100,000", "6:23": "'seed'?",
             "7:65": "must not be above 1000", "7:82": "at least 0"},
            id="rules for what is left of a sampler and a pruner",
        ),
        pytest.param(
            PARAMETERS + GRID_TOO_LARGE + "sampler: grid\n"
            "enqueue: [{epochs: 2000}, {layer_sise: 3}]\n",
            {"6:10": "may have at most 100,000", "7:20": "between 1 and 1000",
             "7:40": "no parameter 'layer_sise'"},
            id="enqueued configurations beside a grid",
        ),
        pytest.param(
            PARAMETERS + "  epochs: {low: 1, high: 3}\nsampler: grid\n"
            "  # a comment\nenqueue: [{epochs: []}, 3, {epochs: 9}]\n",
            {"7:20": "must be", "7:25": "must be a mapping", "7:37": "between 1 and 3"},
            id="malformed enqueued configurations beside others",
        ),
        pytest.param(
            PARAMETERS + "  layer_sise: {choices: [32]}\n  epochs: {low: 1, high: 3}\n"
            "enqueue: [{layer_size: 32, layer_sise: 64, epochs: 9}]\n",
            {"4:3": "'layer_size'?", "6:52": "between 1 and 3"},
            id="a misspelt parameter proves nothing of its values",
        ),
        pytest.param(
            PARAMETERS + "  optimizer: sgdd\n"
            "  dropout: {low: 0, high: 0.5, when: {learning_rate: 0.05}}\n"
            "  momentum: {low: 0, high: 0.5, when: {activation: tanh}}\n"
            "enqueue: [{learning_rate: 0.05, num_layers: 9}]\n",
            {"4:14": "'sgd'?", "6:52": "activation is fixed at 'relu'",
             "7:45": "num_layers is fixed at 3"},
            id="a default that depends on a malformed parameter is unknown",
        ),
        pytest.param(
            PARAMETERS + "  momentum: {low: 0, high: 0.5, when: {optimizer: sgd}}\n"
            "enqueue: [{momentum: 0.1, epochs: 3}]\n",
            {"4:51": "can never hold", "5:35": "epochs is fixed at 20"},
            id="a condition that cannot hold is no problem of each configuration",
        ),
        pytest.param(
            HEAD + "model: mpl\nparameters: {epochs: 0}\nbudget: {audit: 2}\n"
            "pruner: none\nenqueue: [{heads: 2}]\n",
            {"3:8": "'mlp'?", "5:17": "needs a pruner"},
            id="an unknown model",
        ),
        pytest.param(
            HEAD + "parameters: [3]\nbudget: {audit: 2}\nenqueue: [{epoch: 2, epochs: 3}]\n"
            "pruner: none\n",
            {"3:13": "must be a mapping", "4:17": "needs a pruner", "5:19": "no parameter 'epoch'"},
            id="parameters that are no mapping",
        ),
        pytest.param(
            "dataset: {nam: digits}\nbudget: {audit: 2}\npruner: none\n",
            {"1:1": "is missing", "1:10": "'name'?", "2:17": "needs a pruner"},
            id="no name and no data set",
        ),
    ],
)  # fmt: skip
def test_a_broken_part_hides_no_problem_of_another(tmp_path, text, expected):
    found: dict[str, str] = {}
    for problem in problems(tmp_path, text):
        place, message = problem.split(": ", 1)
        found[place] = found.get(place, "") + message
    assert list(found) == list(expected), found
    for place, fragment in expected.items():
        assert fragment in found[place]


def test_a_duplicate_key_names_the_first_one(tmp_path):
    (problem,) = problems(tmp_path, PARAMETERS + "  epochs: 3\n  epochs: 4\n")
    assert problem == "5:3: duplicate key 'epochs'; the first is in line 4"


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("epochs: &a 3", "anchors are not allowed; found &a"),
        ("epochs: *a", "aliases are not allowed; found *a"),
        ("epochs: !!python/object/apply:os.system ['true']", "tags are not allowed"),
        ("epochs: !local 3", "tags are not allowed; found !local"),
    ],
)
def test_anchors_aliases_and_tags_are_refused(tmp_path, line, rule):
    found = problems(tmp_path, f"{PARAMETERS}  {line}\n")
    assert any(problem.startswith("4:11: ") and rule in problem for problem in found)


def test_text_that_is_not_utf8_is_refused(tmp_path):
    assert problems(tmp_path, b"name: \xff\n") == ["1:7: must be text in UTF-8; found byte 0xff"]


def test_a_byte_order_mark_is_passed_over(tmp_path):
    assert load(tmp_path, "\ufeff" + HEAD).name == "x"


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 50_000, "- " * 100_000, "? " * 100_000])
def test_deep_nesting_is_refused(tmp_path, text):
    (problem,) = problems(tmp_path, text)
    assert "nested deeper than" in problem


@pytest.mark.parametrize("piece", ["[", "{a: ", "- "])
def test_ten_megabytes_of_nesting_are_refused_at_once(tmp_path, piece):
    path = tmp_path / "space.yaml"
    path.write_text(piece * (10_000_000 // len(piece)))
    words = "a search space may have at most 256 KiB; found 9765 KiB"
    with at_once(300), pytest.raises(SearchSpaceError, match=words):
        load_space(path)


def test_a_number_of_absurd_length_is_refused(tmp_path):
    found = problems(tmp_path, f"{PARAMETERS}  epochs: {'9' * 5000}\n")
    assert any("a number may have at most 400 digits; found 5000" in problem for problem in found)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("missing.yaml", "No such file"),
        (".", "[Dd]irectory"),
        ("a\0b", "null byte"),
        ("x" * 300, "too long"),
    ],
)
def test_an_unreadable_file_is_refused(tmp_path, monkeypatch, path, reason):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"cannot read the search space .*{reason}"):
        load_space(path)


def test_a_mapping_is_checked_like_a_file_but_has_no_places():
    with pytest.raises(SearchSpaceError, match=r"^dataset: must be one of .*'minst'"):
        load_space({"name": "x", "dataset": "minst"})


# ---------------------------------------------------------------- YAML 1.2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E-3", 0.001),
        ("+.5", 0.5),
        ("1.", 1.0),
        (".25e+1", 2.5),
        ("1", 1.0),
    ],
)
def test_floats_are_those_of_yaml_1_2(tmp_path, text, value):
    assert load(tmp_path, f"{PARAMETERS}  weight_decay: {text}\n").domains["weight_decay"] == value


@pytest.mark.parametrize(("text", "value"), [("010", 10), ("+7", 7), ("12", 12)])
def test_integers_are_those_of_yaml_1_2(tmp_path, text, value):
    assert load(tmp_path, f"{PARAMETERS}  epochs: {text}\n").domains["epochs"] == value


@pytest.mark.parametrize("name", ["no", "yes", "on", "off", "y", "n", "1_000", "2024-01-01"])
def test_words_that_yaml_1_1_takes_for_something_else_are_text(tmp_path, name):
    assert load(tmp_path, f"name: {name}\ndataset: digits\n").name == name


@pytest.mark.parametrize("value", ["yes", "on", "1", "'true'"])
def test_only_true_and_false_are_booleans(tmp_path, value):
    (problem,) = problems(
        tmp_path, f"{PARAMETERS}  learning_rate: {{low: 0.1, high: 1, log: {value}}}\n"
    )
    assert problem.startswith("4:43: ")
    assert "must be true or false" in problem


# ---------------------------------------------------------------- rules between places

OPTIMIZER = "  optimizer: {choices: [adam, sgd]}\n"


@pytest.mark.parametrize(
    ("text", "place", "fragments"),
    [
        (
            PARAMETERS + "  momentum: {low: 0.0, high: 0.9, when: {optimizer: sgd}}\n",
            "4:53",
            ["can never hold", "optimizer is fixed at 'adamw'", "found 'sgd'"],
        ),
        (
            PARAMETERS
            + "  num_layers: {low: 1, high: 3}\n"
            + "  layer_size: {choices: [3, 4], when: {num_layers: 7}}\n",
            "5:52",
            ["can never hold", "between 1 and 3", "found 7"],
        ),
        (
            PARAMETERS
            + OPTIMIZER
            + "  momentum: {low: 0.0, high: 0.9, when: {optimizer: [sgd, adamw]}}\n",
            "5:53",
            ["can never hold", "found 'adamw'"],
        ),
        (
            PARAMETERS + OPTIMIZER + "  momentum: {low: 0.0, high: 0.9, when: {optimizer: []}}\n",
            "5:53",
            ["must not be empty"],
        ),
        (
            PARAMETERS
            + OPTIMIZER
            + "  momentum: {low: 0.0, high: 0.9, when: {optimizer: sgd}}\n"
            + "  dropout: {low: 0.0, high: 0.9, when: {momentum: 0.5, optimizer: adam}}\n",
            "6:40",
            ["parameters.dropout.when", "can never hold"],
        ),
        (
            PARAMETERS
            + "  optimizer: {choices: [adam, sgd], when: {activation: relu}}\n"
            + "  activation: {choices: [relu, tanh], when: {optimizer: sgd}}\n",
            "5:45",
            ["form a cycle", "activation → optimizer → activation"],
        ),
        (
            PARAMETERS + "  optimizer: {choices: [adam, sgd], when: {optimizer: sgd}}\n",
            "4:43",
            ["form a cycle", "optimizer → optimizer"],
        ),
        (HEAD + "enqueue: {epochs: 3}\n", "3:10", ["enqueue: must be a list"]),
        (HEAD + "enqueue: [{epoch: 3}]\n", "3:19", ["no parameter 'epoch'"]),
        (
            PARAMETERS + "  epochs: {low: 1, high: 3}\nenqueue: [{epochs: 2}, {epochs: 4}]\n",
            "5:33",
            ["enqueue.1.epochs", "between 1 and 3", "found 4"],
        ),
        (
            PARAMETERS + "  epochs: {low: 1, high: 5, step: 2}\nenqueue: [{epochs: 4}]\n",
            "5:20",
            ["steps of 2", "found 4"],
        ),
        (
            PARAMETERS + "  epochs: 3\nenqueue: [{epochs: 4}]\n",
            "5:20",
            ["fixed at 3", "found 4"],
        ),
        (
            PARAMETERS + "  layer_size: {choices: [32, 64]}\nenqueue: [{layer_size: 48}]\n",
            "5:24",
            ["32, 64", "found 48"],
        ),
        (
            PARAMETERS
            + OPTIMIZER
            + "  momentum: {low: 0.0, high: 0.9, when: {optimizer: sgd}}\n"
            + "enqueue: [{optimizer: adam, momentum: 0.5}]\n",
            "6:39",
            ["not used when optimizer is 'adam'"],
        ),
        (
            PARAMETERS + "  weight_decay: {low: 0.0, high: 0.1}\nsampler: grid\n",
            "4:17",
            ["grid needs a finite list"],
        ),
        (
            PARAMETERS
            + "  epochs: {low: 1, high: 1000}\n  layer_size: {low: 1, high: 1000}\n"
            + "sampler: {type: grid}\n",
            "6:10",
            ["100,000", "found 1,000,000"],
        ),
    ],
)
def test_rules_between_places(tmp_path, text, place, fragments):
    (problem,) = problems(tmp_path, text)
    assert problem.startswith(f"{place}: ")
    assert all(fragment in problem for fragment in fragments)


def test_an_enqueued_choice_has_the_type_of_the_choice():
    # 32.0 equals 32, but a network cannot have 32.0 units.
    space = {
        "name": "x",
        "dataset": "digits",
        "parameters": {"layer_size": {"choices": [32, 64]}},
        "enqueue": [{"layer_size": 32.0}],
    }
    with pytest.raises(SearchSpaceError, match=r"enqueue\.0\.layer_size: .*found 32\.0"):
        load_space(space)


@pytest.mark.parametrize("batch_size", [1, {"low": 1, "high": 8}, {"choices": [32, 1]}])
def test_batch_normalisation_needs_several_examples_in_a_step(batch_size):
    parameters = {"normalization": {"choices": ["none", "batch"]}, "batch_size": batch_size}
    space = {"name": "a", "dataset": "digits", "parameters": parameters}
    with pytest.raises(SearchSpaceError, match=r"batch_size: must be at least 2 with batch norm"):
        load_space(space)
    assert load_space({**space, "parameters": {"batch_size": batch_size}})
