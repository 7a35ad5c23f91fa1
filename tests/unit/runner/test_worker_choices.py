"""How a study is trained is recorded with it and kept, unless a command says otherwise."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from helpers import DIGITS, space_mapping

import sweep
from sweep.definitions import DATASETS
from sweep.errors import InputError
from sweep.execution import Placement
from sweep.fresh_seeds import train_confirmation
from sweep.records import WorkerChoices
from sweep.runner import workers
from sweep.runner.options import DEFAULTS
from sweep.runner.workers import choose_workers, worker_settings
from sweep.space import load_space
from sweep.store import Store

INLINE: dict[str, Any] = {"device": "cpu", "executor": "inline"}
CHOSEN: dict[str, Any] = {
    "workers": 1,
    "threads": 1,
    "engine": "stacked",
    "precision": "float32",
    "lanes": 2,
}
SPACE = load_space(space_mapping(budget={"trials": 40}))
AUTOMATIC = WorkerChoices(
    workers=4,
    threads=2,
    engine="stacked",
    precision="bfloat16",
    lanes=16,
    automatic=("workers", "threads", "lanes"),
    device="cpu",
)


def recorded(storage: str, study: str = "small") -> WorkerChoices:
    found = Store(storage, to_write=False).read_study(study).workers
    assert found is not None
    return found


def choose(found: WorkerChoices | None, *, is_new: bool = False, **told: Any) -> WorkerChoices:
    options = {**DEFAULTS, "device": "auto", **told}
    return choose_workers(options, SPACE, found, is_new=is_new)[0]


@pytest.fixture
def machine(monkeypatch):
    """Makes this machine one with so many cores, and GPUs."""

    def make(cores: int, gpus: int = 0) -> None:
        def place(_device: str, number: int | None) -> list[Placement]:
            count = number or gpus or cores
            threads = max(1, cores // count)
            names = [f"cuda:{i % gpus}" if gpus else "cpu" for i in range(count)]
            return [Placement(name, threads) for name in names]

        monkeypatch.setattr(workers, "place_workers", place)

    return make


# ---------------------------------------------------------------- what is chosen


def test_what_is_automatic_is_resolved_and_goes_on_as_it_was(machine):
    machine(cores=8)
    first = choose(None, is_new=True)
    assert first == WorkerChoices(
        workers=8, threads=1, engine="stacked", precision="auto", lanes=16,
        automatic=("workers", "threads", "lanes"), device="cpu",
    )  # fmt: skip
    machine(cores=16)
    assert choose(first) == first


@pytest.mark.parametrize(
    ("told", "changes"),
    [
        ({}, {}),
        ({"precision": "float32"}, {"precision": "float32"}),
        ({"lanes": 3}, {"lanes": 3, "automatic": ("workers", "threads")}),
        ({"lanes": "auto"}, {}),
        ({"threads": 5}, {"threads": 5, "automatic": ("workers", "lanes")}),
        ({"workers": 2}, {"workers": 2, "threads": 4, "automatic": ("threads", "lanes")}),
        ({"workers": "auto"}, {"workers": 8, "threads": 1}),
        ({"engine": "sequential"}, {"engine": "sequential", "lanes": 1}),
    ],
    ids=str,
)
def test_what_a_command_says_replaces_what_is_recorded(machine, told, changes):
    """And what was chosen to suit it is chosen again."""
    machine(cores=8)
    assert choose(AUTOMATIC, **told) == replace(AUTOMATIC, **changes)


def test_numbers_of_another_kind_of_device_are_chosen_again(machine):
    machine(cores=2, gpus=1)
    assert choose(AUTOMATIC) == replace(AUTOMATIC, workers=1, lanes=256, device="cuda")
    by_hand = replace(AUTOMATIC, automatic=())
    assert choose(by_hand) == replace(by_hand, device="cuda")


@pytest.mark.parametrize(("cores", "workers", "threads"), [(2, 2, 1), (4, 4, 1)])
def test_what_a_larger_machine_had_is_chosen_again(machine, cores, workers, threads):
    machine(cores=cores)
    found = choose(AUTOMATIC)
    assert (found.workers, found.threads) == (workers, threads)
    assert {"workers", "threads"} <= {*found.automatic}


def test_what_the_user_chose_is_kept_on_a_smaller_machine(machine):
    machine(cores=2)
    by_hand = replace(AUTOMATIC, automatic=("lanes",))
    assert choose(by_hand) == by_hand


@pytest.mark.parametrize("told", [{"engine": "sequential"}, {"lanes": 3}])
def test_lanes_and_the_sequential_engine_exclude_each_other(machine, told):
    machine(cores=8)
    found = replace(AUTOMATIC, lanes=7, automatic=())
    if "lanes" in told:
        found = replace(found, engine="sequential", lanes=1)
    with pytest.raises(InputError, match=r"found lanes \d; use --engine stacked, or --lanes 1"):
        choose(found, **told)


@pytest.mark.parametrize(("automatic", "flops"), [(("lanes",), 5e8), ((), None)])
def test_a_resume_fills_its_stacks_as_before(machine, automatic, flops):
    machine(cores=8)
    options = {**DEFAULTS, "device": "auto"}
    found = replace(AUTOMATIC, automatic=automatic, lanes=5)
    choices, placements = choose_workers(options, SPACE, found, is_new=False)
    settings = worker_settings(SPACE, SPACE.model, choices, placements, DIGITS, DATASETS["digits"])
    assert {(each.lanes, each.stack_flops) for each in settings} == {(5, flops)}


# ---------------------------------------------------------------- what is recorded


def test_choices_are_kept_by_every_command_until_another_is_told(storage):
    space = space_mapping(budget={"trials": 1})
    sweep.run(space, storage=storage, **CHOSEN, **INLINE)
    first = recorded(storage)
    assert first == WorkerChoices(**CHOSEN, automatic=(), device="cpu")
    study = sweep.resume("small", storage=storage, trials=2, **INLINE)
    assert study.workers == recorded(storage) == first
    assert study.trials[1].outcome.engine == "stacked"
    sweep.run(space, storage=storage, trials=3, engine="sequential", lanes=1, **INLINE)
    assert recorded(storage) == replace(first, engine="sequential", lanes=1)
    study = sweep.run(space, storage=storage, trials=4, **INLINE)
    assert [trial.outcome.engine for trial in study.trials] == ["stacked"] * 2 + ["sequential"] * 2


def test_a_refused_command_records_no_choice(storage):
    sweep.run(space_mapping(budget={"trials": 1}), storage=storage, **CHOSEN, **INLINE)
    with pytest.raises(InputError, match="one trial at a time; found lanes 2"):
        sweep.resume("small", storage=storage, engine="sequential", threads=2, **INLINE)
    assert recorded(storage) == WorkerChoices(**CHOSEN, automatic=(), device="cpu")


def test_a_study_that_began_in_bfloat16_goes_on_in_it(storage, monkeypatch):
    """The worker chose it; on the machine of the resume it would choose float32."""
    multiplies = "sweep.training.hardware._multiplies_bfloat16"
    monkeypatch.setattr(multiplies, lambda _device: True)
    sweep.run(space_mapping(budget={"trials": 1}), storage=storage, workers=1, **INLINE)
    assert recorded(storage).precision == "bfloat16"
    monkeypatch.setattr(multiplies, lambda _device: False)
    study = sweep.resume("small", storage=storage, trials=2, **INLINE)
    assert [trial.outcome.precision for trial in study.trials] == ["bfloat16"] * 2
    study = sweep.resume("small", storage=storage, trials=3, precision="auto", **INLINE)
    assert study.trials[2].outcome.precision == "float32"
    assert recorded(storage).precision == "float32"


def test_a_confirmation_starts_from_the_choices_of_its_search(storage):
    sweep.run(space_mapping(), storage=storage, **CHOSEN, **INLINE)
    train_confirmation("small", storage=storage, top=1, seeds=1, **INLINE)
    assert recorded(storage, "small.confirm") == recorded(storage)


def test_show_says_how_a_study_is_trained(storage, main):
    space = space_mapping(budget={"trials": 1})
    sweep.run(space, storage=storage, **{**CHOSEN, "lanes": None}, **INLINE)
    shown, _ = main("show small", code=0)
    line = "trained by engine stacked, precision float32, 1 worker, 1 thread each, 16 lanes (auto)"
    assert line in shown.splitlines()
    data = json.loads(main("show small --json", code=0)[0])
    assert data["training"] == {
        **CHOSEN, "lanes": 16, "automatic": ["lanes"], "device": "cpu"
    }  # fmt: skip
