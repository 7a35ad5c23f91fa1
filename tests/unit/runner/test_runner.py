"""Run and resume in this process: budget, refusals, failures, events, interruption."""

from __future__ import annotations

import itertools
import math
import os
import re
import signal
from collections import Counter
from typing import Any

import pytest
from forging import forge, in_part
from helpers import HERE, children, space_mapping, sqlite_url, timeless, workers

import sweep
from sweep.definitions import DATASETS
from sweep.errors import (
    DataError,
    DeviceError,
    InputError,
    Interrupted,
    SearchSpaceError,
    StoreError,
    StudyLockedError,
)
from sweep.execution import Pool
from sweep.records import (
    Epoch,
    Notice,
    StudyOpened,
    StudyState,
    TrialOutcome,
    TrialStarted,
    TrialState,
)
from sweep.runner.options import DEFAULTS
from sweep.runner.workers import choose_workers, worker_settings
from sweep.space import load_space, rules
from sweep.store import Store
from sweep.store.database import Database

OPTIONS = ("stop", "timeout", "trials", "keep_weights", "max_failures")
DIVERGENT = {
    "num_layers": 6,
    "layer_size": {"low": 60, "high": 64},
    "optimizer": "sgd",
    "learning_rate": 10.0,
    "momentum": 0.99,
    "weight_decay": 1.0,
    "epochs": 30,
    "learning_rate_schedule": "constant",
}


def run(storage: str, on_event=lambda _: None, **changes: Any):
    options = {key: changes.pop(key) for key in OPTIONS if key in changes}
    space = space_mapping(**changes)
    return sweep.run(space, storage=storage, on_event=on_event, **HERE, **options)


# ---------------------------------------------------------------- the budget


def test_a_sweep_finishes_and_says_what_it_did(storage):
    events: list[Any] = []
    study = run(storage, events.append)

    assert study.state is StudyState.FINISHED
    assert [trial.number for trial in study.trials] == [0, 1, 2]
    assert all(trial.state is TrialState.COMPLETE for trial in study.trials)
    best = max(study.value(trial) for trial in study.trials)
    assert study.value(study.best) == best > 0.6
    for trial in study.trials:
        assert trial.outcome.data_fingerprint == study.data.fingerprint
        assert trial.reports == {
            m.epoch: m.values["validation_accuracy"] for m in trial.outcome.history
        }
        assert trial.outcome.worker == 0
        assert trial.started_at <= trial.ended_at
    assert study.trials[0].ended_at <= study.trials[1].started_at

    assert isinstance(events[0], StudyOpened)
    assert events[0].study.trials == ()
    assert events[0].devices == ("cpu",)
    kinds = [type(event) for event in events[1:]]
    assert kinds == ([TrialStarted] + [Epoch] * 4 + [TrialOutcome]) * 3
    epochs = [metrics for event in events if isinstance(event, Epoch) for metrics in event.metrics]
    assert [(metrics.trial, metrics.epoch) for metrics in epochs] == list(
        itertools.product(range(3), range(1, 5))
    )
    ended = [event for event in events if isinstance(event, TrialOutcome)]
    assert ended == [trial.outcome for trial in study.trials]
    assert sweep.resume("small", storage=storage, **HERE) == study


def test_running_the_same_space_again_does_nothing_new(finished, monkeypatch):
    def start(*_args: Any, **_options: Any) -> None:
        raise AssertionError("no worker is needed")

    monkeypatch.setattr(Pool, "start", start)
    before = Store(finished, to_write=False).read_study("small")
    events: list[Any] = []
    assert run(finished, events.append) == before
    assert [type(event) for event in events] == [StudyOpened]


def test_a_resume_with_nothing_to_do_needs_no_data_and_no_launcher(finished, monkeypatch):
    def start(*_args: Any, **_options: Any) -> None:
        raise AssertionError("nothing is needed")

    monkeypatch.setattr("sweep.runner.sweeps.prepare_workers", start)
    before = Store(finished, to_write=False).read_study("small")
    events: list[Any] = []
    for options in ({}, {"trials": 3}, {"trials": 1}, {"retry_failed": True}):
        again = sweep.resume("small", storage=finished, on_event=events.append, **HERE, **options)
        assert again == before
    assert events == []


def test_a_resume_reads_the_study_and_validates_its_space_once(finished, monkeypatch):
    counts: Counter[str] = Counter()

    def counted(owner: Any, name: str) -> None:
        function = getattr(owner, name)

        def count(*args: Any, **options: Any) -> Any:
            counts[name] += 1
            return function(*args, **options)

        monkeypatch.setattr(owner, name, count)

    counted(Database, "each_trial")
    counted(rules, "check")
    before = Store(finished, to_write=False).read_study("small")
    counts.clear()
    assert sweep.resume("small", storage=finished, **HERE) == before
    assert counts == {"each_trial": 1, "check": 1}


@pytest.mark.parametrize("command", ["run", "resume"])
def test_a_second_driver_is_refused_before_it_reads_anything(finished, monkeypatch, command):
    monkeypatch.setattr("sweep.runner.workers.share_data", None)
    monkeypatch.setattr(Store, "open_study", None)
    what = space_mapping() if command == "run" else "small"
    with (
        Store(finished, to_write=True).lock("small"),
        pytest.raises(StudyLockedError, match="study 'small' is held by process"),
    ):
        getattr(sweep, command)(what, storage=finished, **HERE)


def test_a_study_that_another_driver_made_meanwhile_goes_on(storage, monkeypatch):
    """It was not there when this driver looked, and is when it gets the lock."""
    read = sweep.runner.workers.share_data

    def make_meanwhile(*arguments: Any) -> Any:
        monkeypatch.setattr("sweep.runner.workers.share_data", read)
        run(storage, budget={"trials": 1})
        return read(*arguments)

    monkeypatch.setattr("sweep.runner.workers.share_data", make_meanwhile)
    study = run(storage)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 3


def test_the_number_of_trials_is_a_total_over_all_resumes(finished):
    before = Store(finished, to_write=False).read_study("small")
    after = sweep.resume("small", storage=finished, trials=4, **HERE)
    assert len(after.trials) == 4
    assert after.num_trials == 4
    assert after.trials[:3] == before.trials
    assert after.state is StudyState.FINISHED
    assert sweep.resume("small", storage=finished, **HERE) == after


def test_a_smaller_total_than_there_is_adds_nothing(finished):
    assert len(sweep.resume("small", storage=finished, trials=1, **HERE).trials) == 3


def test_a_timeout_ends_the_asking_not_the_trials(storage):
    study = run(storage, budget={"timeout": 1e-9})  # over before anything is asked for
    assert study.trials == ()
    assert study.state is StudyState.FINISHED
    assert study.timeout_seconds == 1e-9
    assert study.num_trials is None
    more = sweep.resume("small", storage=storage, timeout=60, trials=1, **HERE)
    assert [trial.state for trial in more.trials] == [TrialState.COMPLETE]
    assert more.state is StudyState.FINISHED


# ---------------------------------------------------------------- engines


def test_every_engine_gives_the_same_study(finished, tmp_path):
    sequential = Store(finished, to_write=False).read_study("small")
    stacked = sweep.run(
        space_mapping(),
        storage=f"sqlite:///{tmp_path / 'stacked.db'}",
        **{**HERE, "engine": "stacked", "precision": "float32"},
    )
    again = sweep.run(
        space_mapping(),
        storage=f"sqlite:///{tmp_path / 'sequential.db'}",
        **{**HERE, "precision": "float32"},
    )
    for one, other in zip(stacked.trials, again.trials, strict=True):
        assert (one.params, one.state) == (other.params, other.state)
        assert list(one.reports.values()) == pytest.approx(list(other.reports.values()), abs=0.01)
        losses = [[m.values["train_loss"] for m in t.outcome.history] for t in (one, other)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert [t.params for t in sequential.trials] == [t.params for t in stacked.trials]


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"workers": 2, "lanes": 3}])
def test_a_stacked_sweep_with_pruning_runs_exactly_its_budget(storage, options):
    events: list[Any] = []
    study = sweep.run(
        space_mapping(
            parameters={**space_mapping()["parameters"], "batch_size": {"choices": [32, 64]}},
            sampler={"type": "tpe", "seed": 1},
            pruner={"type": "hyperband"},
            budget={"trials": 14},
        ),
        storage=storage,
        on_event=events.append,
        **{**HERE, "engine": "stacked", **options},
    )
    assert [trial.number for trial in study.trials] == list(range(14))
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    for trial in study.trials:
        history = trial.outcome.history
        assert trial.reports == {m.epoch: m.values["validation_accuracy"] for m in history}
        assert list(trial.reports) == list(range(1, len(history) + 1))
        assert trial.state is TrialState.PRUNED or len(history) == 4
    started = [event.config.number for event in events if isinstance(event, TrialStarted)]
    assert started == list(range(14))


@pytest.mark.parametrize(
    ("changes", "options", "lanes"),
    [
        ({"sampler": {"type": "random", "seed": 0}}, {}, 16),
        ({"sampler": {"type": "tpe", "seed": 0}}, {}, 5),
        ({"sampler": {"type": "tpe", "seed": 0}, "budget": {"trials": 8}}, {}, 2),
        ({"sampler": {"type": "random", "seed": 0}, "pruner": {"type": "median"}}, {}, 5),
        ({"sampler": {"type": "tpe", "seed": 0}}, {"lanes": 7}, 7),
        ({"sampler": {"type": "tpe", "seed": 0}}, {"engine": "sequential"}, 1),
    ],
)
def test_lanes_leave_the_search_something_to_learn_from(changes, options, lanes):
    space = load_space(space_mapping(**{"budget": {"trials": 40}, **changes}))
    given = {"workers": 2, "device": "cpu", "engine": "auto", "precision": "auto"}
    choices = choose_workers({**DEFAULTS, **given, **options}, space)
    assert worker_settings(space, space.model, choices, DATASETS["digits"]).lanes == lanes


# ---------------------------------------------------------------- refusals


def test_another_space_is_refused_with_the_differences(finished):
    parameters = {**space_mapping()["parameters"], "epochs": 5, "layer_size": {"choices": [16]}}
    with pytest.raises(StoreError, match=r"parameters\.epochs: 4 → 5") as caught:
        run(finished, parameters=parameters)
    message = str(caught.value)
    assert "parameters.layer_size.choices: [16, 32] → [16]" in message
    assert "--study" in message
    assert f"`sweep resume small --storage {finished}`" in message
    assert len(Store(finished, to_write=False).read_study("small").trials) == 3


def test_another_seed_is_another_space(finished):
    with pytest.raises(StoreError, match=r"sampler\.seed: 1 → 2"):
        sweep.run(space_mapping(), storage=finished, seed=2, **HERE)


@pytest.mark.parametrize(
    "start",
    [run, lambda storage: sweep.resume("small", storage=storage, trials=5, **HERE)],
    ids=["run", "resume"],
)
def test_other_data_are_refused(finished, tmp_path, start):
    forge(tmp_path, study=lambda record: in_part(record, "data", fingerprint="0" * 64))
    with pytest.raises(DataError, match=r"study .* was made: .*, and had 000000000000; restore"):
        start(finished)
    assert len(Store(finished, to_write=False).read_study("small").trials) == 3


def test_a_study_of_stock_optuna_is_left_alone(storage):
    import optuna

    optuna.create_study(study_name="small", storage=storage)
    with pytest.raises(
        StoreError,
        match=r"'small' in .* was not made by sweep: .*; choose another name with --study",
    ):
        run(storage)
    assert optuna.load_study(study_name="small", storage=storage).trials == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"workers": 0}, InputError, "workers must be at least 1 or auto; found 0"),
        ({"device": "tpu"}, InputError, "device must be auto, cpu, cuda"),
        ({"device": "cuda:99"}, DeviceError, "GPU"),
        ({"engine": "warp"}, InputError, "engine must be one of auto, .*'warp'"),
        ({"precision": "float8"}, InputError, "precision must be one of auto, .*'float8'"),
        ({"lanes": 0}, InputError, "lanes must be at least 1 or auto; found 0"),
        ({"threads": "2"}, InputError, "threads must be a whole number or auto; found '2'"),
        (
            {"executor": "slurm"},
            InputError,
            "executor must be one of processes, inline, ray; found 'slurm'",
        ),
        (
            {"ray_address": "127.0.0.1:6379"},
            InputError,
            "ray_address goes with executor ray; found executor 'inline'",
        ),
        (
            {"worker_resources": "CPU=2"},
            InputError,
            "worker_resources goes with executor ray; found executor 'inline'",
        ),
        ({"lanes": 4}, InputError, "sequential engine trains one trial at a time; found lanes 4"),
        ({"trials": 0}, InputError, "trials must be at least 1; found 0"),
        ({"trials": 1_000_001}, SearchSpaceError, r"budget\.trials: must be at most 1000000"),
        ({"keep_weights": True}, InputError, "keep_weights must be a whole number; found True"),
        ({"checkpoint_every": "soon"}, InputError, "checkpoint_every must be a duration"),
        ({"timeout": -1.0}, InputError, "timeout must be above 0 seconds; found -1.0"),
        ({"study": "a/b"}, SearchSpaceError, "name: must be 1 to 64 letters.*'a/b'"),
        ({"study": ".."}, SearchSpaceError, "name: must be"),
        ({"study": "x" * 300}, SearchSpaceError, "name: must be"),
        ({"study": "a\0"}, SearchSpaceError, "name: must be"),
        ({"study": ""}, SearchSpaceError, "name: must be"),
        ({"study": "x\n"}, SearchSpaceError, "name: must be"),
        ({"seed": -1}, SearchSpaceError, r"sampler\.seed: must be at least 0"),
    ],
)
def test_a_bad_request_creates_nothing(tmp_path, storage, options, error, message):
    with pytest.raises(error, match=message):
        sweep.run(space_mapping(), storage=storage, **{**HERE, **options})
    assert list(tmp_path.iterdir()) == []


def test_missing_data_create_nothing(tmp_path, monkeypatch):
    import torchvision.datasets

    def fail(self) -> None:
        raise RuntimeError("no network")

    monkeypatch.setattr(torchvision.datasets.MNIST, "download", fail)
    with pytest.raises(DataError, match=r"no network.*--data-dir"):
        sweep.run(
            space_mapping(dataset="mnist"),
            storage=sqlite_url(tmp_path),
            data_dir=tmp_path / "data",
            **HERE,
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["nothing", "..", "a/b"])
def test_an_unknown_study_is_not_resumed(finished, name):
    with pytest.raises(StoreError, match=f"no study '{re.escape(name)}' in .*: it has small"):
        sweep.resume(name, storage=finished, **HERE)


def test_a_space_that_is_not_valid_any_more_is_refused(finished, tmp_path):
    forge(
        tmp_path,
        study=lambda record: {
            **record,
            "space": {**record["space"], "sampler": {"type": "oracle"}},
        },
    )
    with pytest.raises(StoreError, match=r"not valid in this version: .*'oracle'"):
        sweep.resume("small", storage=finished, **HERE)


# ---------------------------------------------------------------- failures


def test_when_every_first_trial_fails_alike_the_sweep_stops(storage):
    with pytest.raises(
        sweep.SweepFailedError, match=r"the first 5 trials all failed alike; .* nan: epoch"
    ):
        run(storage, parameters=DIVERGENT, budget={"trials": 20})
    study = Store(storage, to_write=False).read_study("small")
    assert [trial.state for trial in study.trials] == [TrialState.FAIL] * 5
    assert study.state is StudyState.INTERRUPTED
    assert study.best is None


def test_a_failed_trial_does_not_stop_the_others(storage):
    rates = {"choices": [0.05, 10.0]}
    parameters = {**DIVERGENT, "learning_rate": rates, "momentum": {"choices": [0.0, 0.99]}}
    parameters |= {"num_layers": {"choices": [2, 6]}, "layer_size": 64, "weight_decay": 0.0}
    bad = {"learning_rate": 10.0, "momentum": 0.99, "num_layers": 6}
    good = {"learning_rate": 0.05, "momentum": 0.0, "num_layers": 2}
    study = run(
        storage, parameters={**parameters, "epochs": 8}, enqueue=[bad, good], budget={"trials": 2}
    )
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]
    failed = study.trials[0]
    assert failed.reason.startswith("nan: epoch ")
    assert all(math.isfinite(m.values["train_loss"]) for m in failed.outcome.history)
    assert failed.epochs_run == len(failed.outcome.history) < 8
    assert study.best.number == 1


@pytest.mark.parametrize(
    ("metric", "goal"), [("validation_accuracy", "maximize"), ("validation_loss", "minimize")]
)
def test_only_the_best_trials_weights_are_kept(storage, tmp_path, metric, goal):
    study = run(storage, keep_weights=1, objective={"metric": metric, "goal": goal})
    values = {trial.number: study.value(trial) for trial in study.trials}
    best = (max if goal == "maximize" else min)(values.values())
    assert list(values.values()).count(best) == 1, "the test needs one best trial"
    (file,) = tmp_path.rglob("*.safetensors")
    assert file.stem == f"trial-{study.best.number:05d}"
    assert values[study.best.number] == best
    assert Store(storage, to_write=False).trials("small").read_weights(study.best.number)


def test_a_resume_keeps_as_many_weights_as_before(storage, tmp_path):
    run(storage, keep_weights=2)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2
    study = sweep.resume("small", storage=storage, trials=5, **HERE)
    assert study.keep_weights == 2
    kept = {f"trial-{trial.number:05d}" for trial in study.ranked()[:2]}
    assert {file.stem for file in tmp_path.rglob("*.safetensors")} == kept
    sweep.resume("small", storage=storage, keep_weights=1, **HERE)
    assert {file.stem for file in tmp_path.rglob("*.safetensors")} == {
        f"trial-{study.best.number:05d}"
    }


def test_a_store_on_a_network_gets_a_warning(storage, tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"server:/home {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr("sweep.store.lock._MOUNTS", mounts)
    events: list[Any] = []
    run(storage, on_event=events.append, budget={"trials": 1})
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert ["network file system (nfs4)" in text for text in notices] == [True]


# ---------------------------------------------------------------- interruption


class StopAfter:
    """Says stop once so many epochs have been seen."""

    def __init__(self, epochs: int) -> None:
        self._left = epochs

    def on_event(self, event: Any) -> None:
        self._left -= isinstance(event, Epoch)

    def __call__(self) -> bool:
        return self._left <= 0


@pytest.mark.parametrize("epochs", [1, 6])
def test_a_stopped_study_is_resumed_as_if_nothing_had_happened(tmp_path, finished_folder, epochs):
    storage = sqlite_url(tmp_path)
    stop = StopAfter(epochs)
    goes_on = f"interrupted; .*: `sweep resume small --storage {storage}` continues"
    with pytest.raises(Interrupted, match=goes_on):
        run(storage, stop.on_event, stop=stop)
    half = Store(storage, to_write=False).read_study("small")
    assert half.state is StudyState.INTERRUPTED
    assert (half.num_to_finish, half.count(TrialState.RUNNING)) == (1, 0)
    assert half.count(TrialState.WAITING) == 1
    assert half.trials[-1].started_at is not None
    assert half.trials[-1].ended_at is None

    whole = sweep.resume("small", storage=storage, **HERE)
    known = Store(sqlite_url(finished_folder), to_write=False).read_study("small")
    assert whole.state is StudyState.FINISHED
    assert [trial.params for trial in whole.trials] == [trial.params for trial in known.trials]
    assert [timeless(trial.outcome) for trial in whole.trials] == [
        timeless(trial.outcome) for trial in known.trials
    ]
    assert whole.best.number == known.best.number


def test_trials_that_were_left_before_their_first_report_are_all_taken_up(storage):
    """Three lanes have been handed out, and nothing has been said."""
    started: list[int] = []

    def count(event: Any) -> None:
        if isinstance(event, TrialStarted):
            started.append(event.config.number)

    lanes = {**HERE, "engine": "stacked", "lanes": 3}
    with pytest.raises(Interrupted, match="interrupted; "):
        sweep.run(
            space_mapping(),
            storage=storage,
            on_event=count,
            stop=lambda: len(started) == 3,
            **lanes,
        )
    left = Store(storage, to_write=False).read_study("small")
    assert [(trial.state, trial.reports) for trial in left.trials] == [(TrialState.RUNNING, {})] * 3
    whole = sweep.resume("small", storage=storage, **lanes)
    assert [trial.state for trial in whole.trials] == [TrialState.COMPLETE] * 3
    assert [trial.params for trial in whole.trials] == [trial.params for trial in left.trials]


@pytest.mark.slow
def test_no_worker_outlives_an_exception_of_the_caller(storage, in_a_process):
    class Mine(Exception):  # noqa: N818
        pass

    def fail(event: Any) -> None:
        if isinstance(event, Epoch):
            raise Mine("enough")

    before = children(recursive=True)
    with pytest.raises(Mine, match="enough"):
        sweep.run(space_mapping(), storage=storage, on_event=fail, **in_a_process)
    assert children(recursive=True) == before
    assert Store(storage, to_write=False).read_study("small").state is StudyState.INTERRUPTED


def test_trials_that_were_run_are_not_taken_back(finished):
    study = sweep.resume("small", storage=finished, trials=1, **HERE)
    assert (len(study.trials), study.num_trials, study.state) == (3, 3, StudyState.FINISHED)


def test_a_timeout_is_for_one_call_only(storage):
    study = run(storage, budget={"trials": 4}, timeout=1e-9)
    assert (len(study.trials), study.finished_by, study.timeout_seconds) == (0, "timeout", None)
    study = sweep.resume("small", storage=storage, **HERE)
    assert (len(study.trials), study.finished_by) == (4, "trials")


@pytest.mark.slow
def test_a_killed_trial_keeps_what_it_reported(storage, in_a_process):
    lives: list[list[int]] = [[]]  # the epochs of each; one more may come after the kill
    before = workers()

    def kill(event: Any) -> None:
        match event:
            case Epoch((metrics,)) if metrics.trial == 0:
                lives[-1].append(metrics.epoch)
                for worker in workers() - before:
                    os.kill(worker, signal.SIGKILL)
            case Notice(text) if "tried again" in text:
                lives.append([])

    space = space_mapping(budget={"trials": 2})
    study = sweep.run(space, storage=storage, on_event=kill, **in_a_process)
    killed, other = study.trials
    assert "killed: its worker process ended with signal 9" in killed.reason
    assert len(lives) == 3
    assert [metrics.epoch for metrics in killed.outcome.history] == lives[-1]
    assert sorted(killed.reports) == sorted(set().union(*lives))
    assert killed.epochs_run >= 1
    assert other.state is TrialState.COMPLETE
