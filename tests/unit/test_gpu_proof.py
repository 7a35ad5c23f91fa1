"""The proof on a GPU, tried where there is none: parts that are right, wrong, slow and crashing."""

from __future__ import annotations

import json
import math
import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import children, make_metrics

sys.path.append(str(Path(__file__).parents[2] / "bench"))

from gpu_proof import (
    captures,
    engines,
    images,
    killing,
    memory,
    recipe,
    studies,
    training,
    two_workers,
    whole_sweep,
)
from gpu_proof.__main__ import main
from gpu_proof.findings import FAILED, NOT_APPLICABLE, PASSED, Found, Goal, Setting, verdict_of
from gpu_proof.keeping import Results
from gpu_proof.parts import PARTS, Part

import sweep
from sweep.data.sources.mnist_family import read_idx
from sweep.definitions import FAMILIES, IntParameter, parameters_of
from sweep.records import TrialOutcome, TrialRecord, TrialState
from sweep.training.stacked import StackedGroup

FAKE = """
import os, subprocess, sys, time
from gpu_proof.findings import PASSED, Found

def prove(setting):
    kind = "{kind}"
    print("working in", setting.folder)
    if kind == "raises":
        raise ValueError("no good")
    if kind == "crashes":
        os.abort()
    if kind == "hangs":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        time.sleep(600)
    return Found("failed" if kind == "wrong" else PASSED, "it " + kind)
"""
ANYWHERE = ["--device", "cpu", "--small"]


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting("cpu", True, str(tmp_path), str(tmp_path), 60)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Parts in modules of their own."""
    monkeypatch.syspath_prepend(tmp_path)
    path = ":".join([str(tmp_path), str(Path(sweep.__file__).parents[1])])
    monkeypatch.setenv("PYTHONPATH", path)
    # To make images up takes a second.
    monkeypatch.setattr("gpu_proof.__main__.find_or_make", lambda where, _: (where, "none"))

    def part(kind: str, seconds: int = 60) -> Part:
        (tmp_path / f"part_{kind}.py").write_text(FAKE.format(kind=kind))
        return Part(kind, f"part_{kind}", seconds, f"one that {kind}")

    return part


def results(out: Path) -> dict:
    return json.loads((out / "results.json").read_text())["parts"]


# ---------------------------------------------------------------- running parts


def test_all_parts_together_have_less_than_nine_minutes():
    assert sum(part.seconds for part in PARTS) < 9 * 60
    assert len({part.name for part in PARTS}) == len(PARTS)


def test_the_list_names_every_part(capsys):
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert all(part.name in listed and part.meaning in listed for part in PARTS)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_proved(tmp_path):
    with pytest.raises(SystemExit, match="finds no CUDA GPU"):
        main(["--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_whatever_becomes_of_a_part_is_its_verdict(fake, tmp_path, capsys):
    kinds = ("works", "wrong", "raises", "crashes")
    parts = (*map(fake, kinds), fake("hangs", seconds=2))
    before, out = children(recursive=True), tmp_path / "out"
    assert main([*ANYWHERE, "--out", str(out)], parts) == 1
    found = results(out)
    verdicts = {name: each["verdict"] for name, each in found.items()}
    assert verdicts == {"works": PASSED} | dict.fromkeys([*kinds[1:], "hangs"], FAILED)
    assert (
        found["raises"]["words"] == "ended with exit code 1: ValueError: no good (see raises.log)"
    )
    assert found["crashes"]["words"].startswith("ended with exit code -6")
    assert found["hangs"]["words"].startswith("was stopped: it took longer than 2 s")
    assert children(recursive=True) <= before, "what a part started outlived it"
    table = (out / "results.md").read_text()
    assert table in capsys.readouterr().out
    assert all(f"| {kind}: one that {kind} | {verdicts[kind]} |" in table for kind in verdicts)
    assert "working in" in (out / "raises.log").read_text()


@pytest.mark.slow
def test_parts_that_are_done_are_not_run_again(fake, tmp_path, capsys):
    out, parts = tmp_path / "out", (fake("works"), fake("wrong"))
    options = [*ANYWHERE, "--out", str(out)]
    assert main([*options, "--only", "works"], parts) == 0
    assert results(out).keys() == {"works"}
    (tmp_path / "part_works.py").unlink()  # if it were run again, it would fail
    assert main(options, parts) == 1
    assert "works: done before, passed" in capsys.readouterr().out
    assert results(out)["works"]["verdict"] == PASSED
    (tmp_path / "part_works.py").write_text(FAKE.format(kind="works again"))
    assert main([*options, "--again", "works"], parts) == 1
    assert results(out)["works"]["words"] == "it works again"
    assert "wrong: done before, failed" in capsys.readouterr().out


def test_results_of_other_code_are_moved_aside(tmp_path):
    about = {"device": "cpu", "commit": "a", "source": "1", "driver": None, "cuda": None}
    about |= {"versions": {"torch": "2"}, "images": "none", "small": True}
    found = Found(PASSED, "fine").to_json() | {"seconds": 1.0}
    Results(tmp_path, about).add(PARTS[0], found)
    assert Results(tmp_path, about).parts.keys() == {PARTS[0].name}
    assert Results(tmp_path, about | {"source": "2"}).parts == {}
    (aside,) = tmp_path.glob("results-*.json")
    assert json.loads(aside.read_text())["about"] == about


def test_a_verdict_names_what_is_wrong():
    assert verdict_of([], "fine", a=1) == Found(PASSED, "fine", {"a": 1})
    bad = verdict_of(["this", "that"], "fine")
    assert (bad.verdict, bad.words) == (FAILED, "this (and 1 more)")


def test_images_are_made_up_only_where_there_are_none(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "_COUNTS", {"train": 30, "t10k": 20})
    folder, words = images.find_or_make(tmp_path / "none", tmp_path / "made")
    assert (folder, words.startswith("made-up")) == (tmp_path / "made", True)
    raw = folder / "MNIST" / "raw"
    assert read_idx(raw / "train-images-idx3-ubyte").shape == (30, 28, 28)
    assert set(read_idx(raw / "t10k-labels-idx1-ubyte")) == set(range(10))
    assert images.find_or_make(folder, tmp_path / "other") == (folder, "MNIST")


# ---------------------------------------------------------------- comparisons


def test_gaps_are_relative_and_infinite_for_what_is_no_number():
    assert training.gap([2.0, 0.01], [2.0, 0.01]) == 0
    assert training.gap([2.2], [2.0]) == pytest.approx(0.1)
    assert training.gap([0.02], [0.01]) == pytest.approx(0.1)
    for ours in ([math.nan], [math.inf], []):
        assert training.gap(ours, [1.0]) == math.inf
    assert training.apart({0: [1.0]}, {1: [1.0]}) == math.inf


@pytest.mark.slow
def test_engines_that_agree_pass_and_one_that_does_not_fails(setting, monkeypatch):
    assert engines.prove(setting).verdict == PASSED
    finish = StackedGroup.finish_epoch

    def finish_wrongly(group):
        measured = finish(group)
        values = {name: 1.1 * value for name, value in measured[0].values.items()}
        return [replace(measured[0], values=values), *measured[1:]]

    monkeypatch.setattr(StackedGroup, "finish_epoch", finish_wrongly)
    found = engines.prove(setting)
    assert found.verdict == FAILED
    assert "stacked, float32: 0.1 apart" in found.words
    assert len(found.figures["wrong"]) == 2


@pytest.mark.slow
def test_every_parameter_is_compared_and_one_that_does_harm_is_named(setting, monkeypatch):
    found = recipe.prove(setting)
    assert found.verdict == PASSED, found.figures["wrong"]
    assert len(found.figures["gaps"]) == len(list(recipe.all_cases()))
    some = [case for case in recipe.all_cases(2) if "clip" in case.name or "dropout" in case.name]
    monkeypatch.setattr(recipe, "all_cases", lambda _: some)
    train = recipe.losses_of

    def forget(engine, configs, *arguments, **options):
        if engine == "stacked":
            configs = [replace(c, params={**c.params, "gradient_clip": 0.0}) for c in configs]
        return train(engine, configs, *arguments, **options)

    monkeypatch.setattr(recipe, "losses_of", forget)
    found = recipe.prove(setting)
    assert found.verdict == FAILED
    assert found.words.startswith("mlp: gradient_clip 0.3: not as on the CPU")
    assert len(found.figures["wrong"]) == 1


@pytest.mark.slow
def test_a_value_without_effect_proves_nothing(setting, monkeypatch):
    monkeypatch.setattr(recipe, "TRIED", {**recipe.TRIED, "gradient_clip": 1e6})
    some = [case for case in recipe.all_cases(1) if "clip" in case.name]
    monkeypatch.setattr(recipe, "all_cases", lambda _: some)
    found = recipe.prove(setting)
    assert found.verdict == FAILED
    assert found.words.startswith("mlp: gradient_clip 1000000.0: has next to no effect")


def test_there_is_a_case_for_every_parameter():
    tried = {case.name.split()[1] for case in recipe.all_cases()}
    assert tried == {name for model in FAMILIES for name in parameters_of(model)}


def test_a_new_parameter_without_a_value_to_try_is_an_error():
    with pytest.raises(recipe.MissingValueError, match="novelty is a parameter, but"):
        recipe.values_of(IntParameter("novelty", "New.", 1, 1, 9))


def test_a_parameter_that_does_nothing_in_its_case_is_an_error(monkeypatch):
    monkeypatch.setattr(recipe, "_NEEDS", {})
    with pytest.raises(recipe.MissingValueError, match="momentum does nothing"):
        list(recipe.all_cases())


@pytest.mark.slow
def test_graphs_that_change_losses_fail(setting, monkeypatch):
    assert captures.prove(setting).verdict == PASSED
    calls = []
    train = captures.losses_of

    def other_the_second_time(*arguments, **options):
        calls.append(train(*arguments, **options))
        return (
            {n: [1.01 * x for x in each] for n, each in calls[-1].items()}
            if calls[1:]
            else calls[0]
        )

    monkeypatch.setattr(captures, "losses_of", other_the_second_time)
    found = captures.prove(setting)
    assert found.verdict == FAILED
    assert found.words == "losses 0.01 apart, over 0.0001"
    assert [len(calls[0][number]) // 2 for number in (0, 3, 5, 6, 7)] == [5, 5, 8, 9, 12]


# ---------------------------------------------------------------- studies


def outcome(number: int, epochs: int = 3, **changes) -> TrialOutcome:
    history = tuple(make_metrics(number, epoch) for epoch in range(1, epochs + 1))
    return TrialOutcome(number, TrialState.COMPLETE, history, **changes)


class Study:
    """What the judges read of a study."""

    def __init__(self, *outcomes: TrialOutcome) -> None:
        self.trials = [
            TrialRecord(each.trial, each.state, {"epochs": 3}, {}, each) for each in outcomes
        ]


def test_two_workers_have_both_to_train():
    assert two_workers.judge(Study(outcome(0, worker=0), outcome(1, worker=1)), 2) == []
    (wrong,) = two_workers.judge(Study(outcome(0, worker=0), outcome(1, worker=0)), 2)
    assert "trials by worker: {0: 2}" in wrong


def test_trials_have_to_be_whole():
    assert studies.incomplete(Study(outcome(0)), 2) == ["1 trials instead of 2"]
    (wrong,) = studies.incomplete(Study(outcome(0, epochs=2)), 1)
    assert wrong == "trial 0 lacks epochs: it has 2"
    (wrong,) = studies.incomplete(Study(replace(outcome(4), state=TrialState.PRUNED)), 1)
    assert wrong.startswith("trial 4 is PRUNED")


def test_epochs_of_a_checkpoint_have_to_be_those_of_the_trial():
    kept = outcome(0).history[:2]
    assert killing.judge(Study(outcome(0)), [{0: kept}], 1) == []
    again = tuple(replace(each, seconds=9.0) for each in kept)
    assert killing.judge(Study(outcome(0)), [{0: again}], 1) == [
        "trial 0 lost epochs of its checkpoint"
    ]
    assert killing.judge(Study(outcome(0)), [{}], 1) == [
        "no checkpoint had an epoch when the command was killed"
    ]


def test_memory_has_to_run_out_and_stacks_to_get_smaller(setting, monkeypatch):
    monkeypatch.setattr(memory, "_LANES", 2)
    assert memory.judge(Study(outcome(0, num_lanes=1), outcome(1, num_lanes=1)), 3) == []
    many = Study(outcome(0, num_lanes=2), outcome(1, num_lanes=2))
    assert memory.judge(many, 0) == ["memory never ran out, so nothing was shown"]
    assert memory.judge(many, 1)[0].startswith("all 2 trials were trained together")
    assert memory.prove(setting).verdict == NOT_APPLICABLE


@pytest.mark.slow
def test_a_sweep_that_is_refused_memory_completes_with_fewer_lanes(setting, monkeypatch):
    """As on a GPU, but for the allocator."""
    refused = []
    build = StackedGroup.__init__

    def refuse(group, lanes, *arguments, **options):
        if len(lanes) > 3:
            refused.append(len(lanes))
            raise torch.OutOfMemoryError("CUDA out of memory")
        build(group, lanes, *arguments, **options)

    monkeypatch.setattr(StackedGroup, "__init__", refuse)
    monkeypatch.setattr(memory, "_LANES", 8)
    monkeypatch.setattr(memory, "_SPACE", studies.space(8, 1, layer_size=16, num_layers=3))
    study = memory.complete(setting)
    assert refused
    assert memory.judge(study, len(refused)) == []
    assert memory.lane_bytes() > 0


def test_a_command_that_fails_is_in_the_verdict(setting, monkeypatch):
    says = [sys.executable, "-c", "import sys; sys.exit('sweep: no such thing')"]
    monkeypatch.setattr(studies, "command", lambda *_: says)
    expected = "sweep run ended with exit code 1: sweep: no such thing"
    for part in (two_workers, whole_sweep):
        found = part.prove(setting)
        assert (found.verdict, found.words) == (FAILED, expected)
    found = killing.prove(setting)
    assert found.words == "sweep run ended, with 1, before it could be killed"


@pytest.mark.slow
def test_a_sweep_that_takes_too_long_says_how_far_it_came(setting, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(sweep.__file__).parents[1]))
    command = studies.command

    def wait_at_the_end(*arguments):
        line = " ".join(map(shlex.quote, command(*arguments)))
        return ["sh", "-c", f"{line} && exec sleep 600"]

    monkeypatch.setattr(studies, "command", wait_at_the_end)
    found = whole_sweep.prove(replace(setting, seconds=30))
    assert found.verdict == FAILED
    assert found.words.startswith("sweep run was not done after 20 s, but had 4 trials, 8 epochs")
    assert found.figures["epochs"] == 8


# ---------------------------------------------------------------- all of it


@pytest.mark.slow
def test_every_part_gives_a_verdict_on_a_cpu(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(sweep.__file__).parents[1]))
    started = time.monotonic()
    code = main([*ANYWHERE, "--out", str(tmp_path), "--data-dir", str(tmp_path / "nothing")])
    found = results(tmp_path)
    words = {name: (each["verdict"], each["words"]) for name, each in found.items()}
    assert code == 0, words
    assert list(found) == [part.name for part in PARTS]
    others = {name for name, each in found.items() if each["verdict"] != PASSED}
    assert others == {"memory"}
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".md", ".log"}
    table = (tmp_path / "results.md").read_text()
    assert "Images: made-up images of MNIST's shape, since MNIST is not here." in table
    assert "| 64 | 4 |" in table
    assert sum(each["seconds"] for each in found.values()) <= time.monotonic() - started


def test_a_goal_is_met_or_missed():
    assert Goal.at_least(500, 500, "an hour") == Goal("at least 500 an hour", 500, True)
    assert not Goal.at_least(500, 499, "an hour").is_met
    assert Goal.below(30, 29.9, "s").is_met
    assert not Goal.below(30, 30, "s").is_met
