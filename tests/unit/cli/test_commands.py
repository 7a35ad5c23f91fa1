"""Every command's contract: exit codes, which stream says what, and one line for bad input."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import click
import numpy as np
import pytest
from helpers import space_mapping, write_idx

from sweep.cli.commands import cli as group

GOOD = json.dumps(space_mapping())  # JSON is YAML


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a good search space and things that are not what they should be."""
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text("name: [")
    (tmp_path / "typo.yaml").write_text("name: x\ndataset: digits\nsamler: tpe\n")
    (tmp_path / "digit.yaml").write_text("name: x\ndataset: digit\n")
    mnist = space_mapping(dataset="mnist")
    (tmp_path / "mnist.yaml").write_text(json.dumps(mnist))
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.db").write_text("not a database")
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as database:
        database.execute("CREATE TABLE recipes (title TEXT)")
    raw = tmp_path / "damaged" / "MNIST" / "raw"
    write_idx(raw / "train-labels-idx1-ubyte", np.zeros(60_000))
    (raw / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\3rubbish and nothing else")
    return tmp_path


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


BAD = [
    ("run missing.yaml", "cannot read the search space 'missing.yaml': No such file"),
    ("run folder", "cannot read the search space 'folder': Is a directory"),
    ("run bad.yaml", "bad.yaml:2:1: is not YAML"),
    ("run typo.yaml", "typo.yaml:3:1: unknown key 'samler' (did you mean 'sampler'?)"),
    ("check digit.yaml", "digit.yaml:2:10: dataset: must be one of "),
    ("check digit.yaml", "(did you mean 'digits'?)"),
    ("check typo.yaml", "typo.yaml:3:1: unknown key 'samler' (did you mean 'sampler'?)"),
    ("run good.yaml --workers 0", "workers must be at least 1 or auto; found 0"),
    ("run good.yaml --workers many", "--workers"),
    ("run good.yaml --trials 0", "trials must be at least 1; found 0"),
    ("run good.yaml --timeout soon", "must be a duration such as 90s, 30m or 1h30m"),
    ("run good.yaml --timeout 0", "must be above 0"),
    ("run good.yaml --seed -1", "sampler.seed: must be at least 0; found -1"),
    ("run good.yaml --threads 0", "threads must be at least 1 or auto; found 0"),
    ("run good.yaml --lanes few", "Invalid value for '--lanes'"),
    ("run good.yaml --device tpu", "device must be auto, cpu, cuda or cuda:0,1; found 'tpu'"),
    ("run good.yaml --device cuda:99", "GPU"),
    ("run good.yaml --engine warp", "engine must be one of auto"),
    ("run good.yaml --study a/b", "found 'a/b'"),
    ("run good.yaml --study ..", "found '..'"),
    (f"run good.yaml --study {'x' * 300}", "must be 1 to 64 letters"),
    ("run good.yaml --storage text.db", "did you mean 'sqlite:///text.db'?"),
    ("run good.yaml --storage sqlite:///text.db", "is not an SQLite database"),
    ("run good.yaml --storage sqlite:///foreign.db", "a database of another program"),
    ("run good.yaml --storage sqlite:///folder", "is a directory"),
    ("run good.yaml --storage sqlite:///nowhere/a.db", "there is no directory 'nowhere'"),
    ("run good.yaml --storage sqlite:////proc/a.db", "cannot be written"),
    ("run mnist.yaml --data-dir damaged", "train-images-idx3-ubyte: is damaged"),
    ("run good.yaml --wrokers 2", "No such option '--wrokers'. Did you mean '--workers'?"),
    ("shwo small", "No such command 'shwo'. Did you mean 'show'?"),
    ("run", "Missing argument"),
    ("rnu good.yaml", "No such command 'rnu'"),
    ("resume small", "no study 'small' in 'studies.db': there is no such file"),
    ("resume small --storage sqlite:///foreign.db", "a database of another program"),
    ("show small", "no study 'small' in 'studies.db': there is no such file"),
    ("show small --storage sqlite:///text.db", "is not an SQLite database"),
    ("list", "there is no store 'studies.db'"),
    ("list --storage sqlite:///folder", "is a directory"),
]


@pytest.mark.parametrize(("line", "words"), BAD, ids=[line[:60] for line, _ in BAD])
def test_bad_input_is_one_clear_line_and_leaves_nothing(main, folder, line, words):
    before = tree(folder)
    output, errors = main(line, code=2)
    assert output == ""
    assert errors.startswith("sweep: ")
    assert len(errors.splitlines()) == 1
    assert words in errors
    assert tree(folder) == before


STRANGERS = [
    ("resume smal", "no study 'smal' in 'studies.db': it has small (did you mean 'small'?)"),
    ("show SMALL", "(did you mean 'small'?)"),
    ("confirm smal", "(did you mean 'small'?)"),
    ("report smal", "(did you mean 'small'?)"),
    ("reproduce smal 0", "(did you mean 'small'?)"),
    ("predict smal a.png", "(did you mean 'small'?)"),
    ("resume ..", "no study '..' in 'studies.db': it has small"),
    (f"resume {'x' * 300}", "it has small"),
    ("show smal", "it has small"),
    ("show small 3", "has no trial 3; it has 3, numbered from 0"),
    ("show small first", "'first' is not a valid integer"),
]


@pytest.mark.parametrize(("line", "words"), STRANGERS, ids=[line[:20] for line, _ in STRANGERS])
def test_unknown_studies_and_trials_are_one_line(main, finished, tmp_path, line, words):
    before = tree(tmp_path)
    output, errors = main(line, code=2)
    assert output == ""
    assert len(errors.splitlines()) == 1
    assert words in errors
    assert tree(tmp_path) == before


def test_bad_input_is_one_line_of_the_real_command(cli, folder):
    done = cli("run", "typo.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("sweep: typo.yaml:3:1: unknown key")
    assert len(done.stderr.splitlines()) == 1


def test_another_space_is_refused_with_the_differences(main, finished, tmp_path):
    changed = space_mapping(parameters={**space_mapping()["parameters"], "epochs": 5})
    (tmp_path / "space.yaml").write_text(json.dumps(changed))
    _, errors = main("run space.yaml", code=2)
    assert "parameters.epochs: 4 → 5" in errors
    assert "Traceback" not in errors


# ---------------------------------------------------------------- what good input says


def test_results_go_to_standard_output_and_progress_to_standard_error(cli, folder):
    done = cli("run", "good.yaml", "--workers", 1, "--engine", "sequential")
    assert done.returncode == 0, done.stderr
    first, *lines = done.stderr.splitlines()
    assert first == "study small: 0/3 trials done; 1 worker on cpu"
    assert [line.split()[:4] for line in lines] == [
        [f"[{number + 1}/3]", "trial", str(number), "COMPLETE"] for number in range(3)
    ]
    assert "validation_accuracy" in lines[0]
    assert "4/4 epochs" in lines[0]
    assert done.stdout.startswith("study small: finished, 3 of 3 trials (3 complete) in ")
    assert "best trial " in done.stdout
    assert done.stdout.endswith("next: sweep report small\n")
    assert {"studies.db", "studies.artifacts"} <= tree(folder)
    assert not any(name.endswith((".tmp", "-journal", "-wal")) for name in tree(folder))

    again = cli("resume", "small", "--workers", 1)
    assert (again.returncode, again.stderr, again.stdout) == (
        0,
        "",
        "study small: finished, 3 of 3 trials (3 complete): there is nothing to do; more trials "
        "with `sweep resume small --trials 6`\n",
    )


def test_a_sweep_whose_trials_all_fail_is_exit_code_1(main, tmp_path):
    parameters = {
        "num_layers": 6, "layer_size": {"low": 60, "high": 64}, "optimizer": "sgd",
        "learning_rate": 10.0, "momentum": 0.99, "epochs": 30,
        "learning_rate_schedule": "constant",
    }  # fmt: skip
    (tmp_path / "space.yaml").write_text(json.dumps(space_mapping(parameters=parameters)))
    output, errors = main("run space.yaml --workers 1 --trials 5", code=1)
    assert output == ""
    last = errors.splitlines()[-1]
    assert last.startswith("sweep: the first 5 trials all failed alike; the last one with nan")
    assert "; lower learning_rate, now 10; what was finished is in the store." in last
    shown, _ = main("show small", code=0)
    assert "all 5 trials ended with nan: lower learning_rate, now 10\n" in shown
    main("report small", code=0)
    page = (tmp_path / "report" / "report.html").read_text()
    assert "All 5 trials ended with nan: lower learning_rate, now 10." in page


def test_show_prints_json_for_programs(main, finished):
    output, errors = main("show small --json", code=0)
    assert errors == ""
    study = json.loads(output)
    assert (study["study"], study["dataset"], study["state"]) == ("small", "digits", "finished")
    assert study["budget"] == dict.fromkeys(("epochs", "target", "plateau", "timeout")) | {
        "trials": 3
    }
    assert study["finished_by"] == "trials"
    assert [trial["number"] for trial in study["trials"]] == [0, 1, 2]
    for trial in study["trials"]:
        assert trial.keys() >= {
            "number", "state", "params", "value", "epochs_run", "seconds", "reason",
        }  # fmt: skip
        assert (trial["state"], trial["epochs_run"], trial["reason"]) == ("COMPLETE", 4, None)
        assert trial["params"]["epochs"] == 4
        assert 0 < trial["value"] <= 1
        assert trial["seconds"] > 0
    assert study["best"] == max(study["trials"], key=lambda trial: trial["value"])


def test_show_prints_one_trial(main, finished):
    trial = json.loads(main("show small 1 --json", code=0)[0])
    assert (trial["number"], trial["state"]) == (1, "COMPLETE")
    assert [epoch["epoch"] for epoch in trial["history"]] == [1, 2, 3, 4]
    accuracies = [epoch["values"]["validation_accuracy"] for epoch in trial["history"]]
    assert trial["value"] == max(accuracies) == accuracies[trial["best_epoch"] - 1]
    assert trial["history"][0]["values"].keys() == {
        "train_loss", "train_accuracy", "validation_loss", "validation_accuracy",
        "validation_balanced_accuracy", "validation_f1_macro",
    }  # fmt: skip
    assert not {"validation_predictions", "validation_losses", "weights"} & trial.keys()
    text, _ = main("show small 1", code=0)
    assert "  train accuracy  " in text
    assert f"  {trial['history'][0]['values']['train_accuracy']:.2%}  " in text
    assert text.startswith("trial 1 of study small: COMPLETE, validation_accuracy ")
    assert "num_layers" in text
    assert "best epoch, whose weights were kept" in text


def test_list_prints_every_study(main, finished):
    (study,) = json.loads(main("list --json", code=0)[0])
    assert (study["study"], study["state"], study["num_trials"]) == ("small", "finished", 3)
    header, row = main("list", code=0)[0].splitlines()
    assert header.split() == ["study", "data", "set", "state", "trials", "best", "metric"]
    assert row.startswith("small  digits    finished  3 of 3")


def test_reading_commands_change_nothing(main, finished, tmp_path):
    def content():
        return {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    before = content()
    for line in ("list", "show small", "show small 0 --json"):
        main(line, code=0)
    assert content() == before


def test_check_counts_and_trains_nothing(main, folder):
    before = tree(folder)
    output, errors = main("check good.yaml", code=0)
    assert errors == ""
    assert output.startswith("small: valid; random sampler")
    assert "different configurations: uncountable" in output
    assert "budget: 3 trials; at most 12 epochs in all" in output
    assert tree(folder) == before


def test_version_and_help(main):
    assert main("--version", code=0)[0].startswith("sweep, version ")
    assert main("-h", code=0) == main("--help", code=0)
    output, errors = main("", code=2)
    assert output == ""
    assert "Usage:" in errors


COMMANDS = sorted(group.commands)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_described(name):
    command = group.commands[name]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts[0]} has no help"
            assert parameter.help.endswith(".")


def test_the_commands_of_the_design_are_there():
    assert {"run", "resume", "report", "list", "show", "check"} <= set(COMMANDS)
