"""How a study is trained is recorded with it and kept, unless a command says otherwise."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from helpers import space_mapping

import sweep
from sweep.definitions import DATASETS
from sweep.errors import InputError
from sweep.execution import inline
from sweep.fresh_seeds import train_confirmation
from sweep.records import Calibration, Slot, Timing, TrainingSettings, WorkerChoices
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


def choose(
    found: WorkerChoices | None,
    measured: Calibration | None = None,
    *,
    is_new: bool = False,
    **told: Any,
) -> WorkerChoices:
    options = {**DEFAULTS, "device": "auto", **told}
    return choose_workers(options, SPACE, found, lambda *_: measured, is_new=is_new)


def calibration(precision: str, *timings: tuple[int, float]) -> Calibration:
    """Of one network in the precision that is fastest, from lanes and seconds."""
    found = tuple(Timing(10**8, precision, lanes, 1, each, 0.0) for lanes, each in timings)
    return Calibration(
        "a processor", "2.0", {}, precision, found, (), start_seconds=2.0, seconds=1.0
    )


PLAIN = calibration("float32", (1, 0.002), (16, 0.017))
HALF = calibration("bfloat16", (1, 0.0015), (16, 0.009))


@pytest.fixture
def machine(monkeypatch):
    """Makes this machine one with so many cores, and GPUs."""

    def make(cores: int, gpus: int = 0) -> None:
        def place(_device: str, number: int | None) -> list[Slot]:
            count = number or gpus or cores
            threads = max(1, cores // count)
            names = [f"cuda:{i % gpus}" if gpus else "cpu" for i in range(count)]
            return [Slot(str(n), name, threads) for n, name in enumerate(names)]

        monkeypatch.setattr(workers, "place_workers", place)

    return make


# ---------------------------------------------------------------- what is chosen


def test_what_is_automatic_is_resolved_and_goes_on_as_it_was(machine):
    machine(cores=8)
    first = choose(None, is_new=True)
    assert first == WorkerChoices(
        workers=8, threads=1, engine="stacked", precision="float32", lanes=16,
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


# ---------------------------------------------------------------- what is measured


def test_the_precision_is_the_one_that_was_measured_to_be_fast(machine):
    machine(cores=2)
    assert choose(None, PLAIN, is_new=True).precision == "float32"
    found = choose(None, HALF, is_new=True)
    assert (found.precision, found.calibration) == ("bfloat16", HALF)


def test_lanes_are_chosen_again_for_another_precision(machine):
    """How many fill a stack depends on it."""
    machine(cores=2)
    kept = replace(AUTOMATIC, calibration=HALF, workers=2, threads=1, lanes=5)
    assert choose(kept, PLAIN).lanes == 5
    found = choose(kept, PLAIN, precision="float32")
    assert (found.lanes, found.calibration) == (16, PLAIN)
    assert choose(kept, None, precision="float32").calibration is None


def test_what_is_measured_is_the_precision_that_was_told_or_recorded(machine):
    machine(cores=2)
    asked = []

    def note(*request: object) -> Calibration:
        asked.append(request)
        return PLAIN

    for told in ({}, {"precision": "bfloat16"}, {"engine": "sequential", "threads": 1}):
        choose_workers({**DEFAULTS, "device": "auto", **told}, SPACE, None, note)
    again = replace(AUTOMATIC, workers=1)
    choose_workers({**DEFAULTS, "device": "auto", "workers": 2}, SPACE, again, note, is_new=False)
    assert asked == [
        ("cpu", "stacked", 2, "auto"),
        ("cpu", "stacked", 2, "bfloat16"),
        ("cpu", "sequential", 2, "auto"),
        ("cpu", "stacked", 2, "bfloat16"),
    ]


@pytest.mark.parametrize(
    ("of_two", "workers", "threads"), [(0.017, 4, 1), (0.009, 4, 1), (0.006, 2, 2)]
)
def test_two_threads_are_for_where_they_beat_two_workers(machine, of_two, workers, threads):
    machine(cores=4)
    measured = replace(
        PLAIN, timings=(*PLAIN.timings, Timing(10**8, "float32", 16, 2, of_two, 0.0))
    )
    found = choose(None, measured, is_new=True)
    assert (found.workers, found.threads) == (workers, threads)
    told = choose(None, measured, is_new=True, workers=4)
    assert (told.workers, told.threads) == (4, 1)


def test_nothing_is_measured_where_everything_is_told(machine):
    machine(cores=2)

    def refuse(*_: object) -> Calibration:
        raise AssertionError("measured for nothing")

    options = {**DEFAULTS, **CHOSEN, "device": "auto"}
    choices = choose_workers(options, SPACE, None, refuse)
    assert choices == WorkerChoices(**CHOSEN, automatic=(), device="cpu")
    kept = replace(AUTOMATIC, calibration=HALF, workers=2, threads=1)
    options = {**DEFAULTS, "device": "auto"}
    assert choose_workers(options, SPACE, kept, refuse, is_new=False) == kept


def settings_of(found: WorkerChoices) -> TrainingSettings:
    options = {**DEFAULTS, "device": "auto"}
    choices = choose_workers(options, SPACE, found, is_new=False)
    return worker_settings(SPACE, SPACE.model, choices, DATASETS["digits"])


def test_a_resume_fills_its_stacks_as_before(machine):
    machine(cores=8)
    found = replace(AUTOMATIC, lanes=5, calibration=HALF)
    settings = settings_of(found)
    assert (settings.lanes, settings.full_stacks) == (5, ((10**8, 16),))


def test_a_calibration_of_another_engine_is_not_kept(machine):
    machine(cores=2)
    of_one = calibration("float32", (1, 0.01))
    alone = replace(
        AUTOMATIC, engine="sequential", precision="float32", lanes=1, calibration=of_one
    )
    assert choose(alone).calibration == of_one
    found = choose(alone, engine="stacked")  # and nothing is measured anew
    assert found.calibration is None
    assert settings_of(found).full_stacks == ()


def test_the_number_of_lanes_that_a_user_gives_is_the_only_limit(machine):
    machine(cores=8)
    settings = settings_of(replace(AUTOMATIC, automatic=(), lanes=5, calibration=HALF))
    assert (settings.lanes, settings.full_stacks) == (5, ())


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


@pytest.fixture
def measured(monkeypatch):
    """Makes this machine one that measures this, and worth measuring for the smallest study."""
    monkeypatch.setattr(workers, "_SMALL_FLOPS", 0.0)

    def make(found: Calibration | None) -> None:
        monkeypatch.setattr(inline, "calibrated", lambda *_: found)

    return make


def test_a_study_that_began_in_bfloat16_goes_on_in_it(storage, measured):
    """On the machine of the resume, float32 would be chosen."""
    measured(HALF)
    sweep.run(space_mapping(budget={"trials": 1}), storage=storage, workers=1, **INLINE)
    assert (recorded(storage).precision, recorded(storage).calibration) == ("bfloat16", HALF)
    measured(PLAIN)
    study = sweep.resume("small", storage=storage, trials=2, **INLINE)
    assert [trial.outcome.precision for trial in study.trials] == ["bfloat16"] * 2
    assert recorded(storage).calibration == HALF
    study = sweep.resume("small", storage=storage, trials=3, precision="auto", **INLINE)
    assert study.trials[2].outcome.precision == "float32"
    assert (recorded(storage).precision, recorded(storage).calibration) == ("float32", PLAIN)


def test_a_small_study_does_not_wait_for_a_calibration(storage, monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("measured for a study of a second")

    monkeypatch.setattr(inline, "calibrated", refuse)
    sweep.run(space_mapping(budget={"trials": 1}), storage=storage, **INLINE)
    assert recorded(storage).calibration is None
    assert recorded(storage).precision == "float32"


def test_a_machine_that_cannot_be_measured_trains_all_the_same(storage, measured):
    measured(None)
    sweep.run(space_mapping(budget={"trials": 1}), storage=storage, **INLINE)
    assert recorded(storage) == WorkerChoices(
        workers=1, threads=1, engine="stacked", precision="float32", lanes=16,
        automatic=("workers", "threads", "lanes"), device="cpu",
    )  # fmt: skip


def test_doctor_and_show_say_what_was_measured(storage, measured, main):
    both = (Timing(10**8, "float32", 1, 1, 0.002, 0.0), *HALF.timings)
    mixed = (("float32", 1, 0.02), ("bfloat16", 1, 0.011), ("bfloat16", 2, 0.009))
    stacks = tuple(Timing(1, name, 8, threads, each, 0.0) for name, threads, each in mixed)
    measured(replace(HALF, timings=both, mixed=stacks))
    sweep.run(space_mapping(budget={"trials": 1}), storage=storage, **INLINE)
    words = (
        "measured in 1.0 s on a processor with PyTorch 2.0: a step of 8 trials together takes in "
        "float32 20 ms, bfloat16 11 ms; a step of one trial, of networks of 100 MFLOP, takes in "
        "float32 2 ms; bfloat16 1.5 ms"
    )
    path = storage.removeprefix("sqlite:///")
    assert f"  calibration: {words}" in main(f"doctor {path}", code=0)[0].splitlines()
    shown = json.loads(main("show small --json", code=0)[0])
    assert shown["training"]["calibration"]["timings"][0] == {
        "step_flops": 10**8, "precision": "float32", "lanes": 1, "threads": 1, "seconds": 0.002,
        "epoch_seconds": 0.0,
    }  # fmt: skip


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
        **CHOSEN, "lanes": 16, "automatic": ["lanes"], "device": "cpu", "calibration": None
    }  # fmt: skip
