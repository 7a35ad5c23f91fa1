"""The same study on a Ray cluster of local nodes; tests/soak disturbs it more often."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import is_alive, run_cli, space_mapping, sqlite_url, wait_for
from killing import (
    check_gone,
    check_integrity,
    check_same,
    check_trained_once,
    check_whole,
    finish,
    prepare,
    read_ledger,
    read_study,
    small_space,
    start_driver,
    wait_for_lines,
)
from ray_cluster import RayCluster
from ray_killing import check_nobody_left, disturb_at_random, ray_options

import sweep
from sweep.records import TrialState

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# An epoch takes a few milliseconds: long enough for something to happen to a study of these.
PARAMETERS = {
    "num_layers": {"low": 1, "high": 3},
    "layer_size": {"choices": [64, 128]},
    "learning_rate": {"low": 1e-4, "high": 1e-3, "log": True},
    "epochs": 25,
}


def space(num_trials: int = 6, **changes) -> dict:
    return small_space(num_trials, parameters=PARAMETERS, **changes)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with RayCluster(nodes=2) as found:
        yield found


@pytest.fixture(scope="module")
def single() -> Iterator[RayCluster]:
    """A cluster with one worker."""
    with RayCluster(nodes=1) as found:
        yield found


@pytest.mark.parametrize("engine", ["sequential", "stacked"])
def test_one_worker_trains_the_same_to_the_last_bit(tmp_path, single, engine):
    """With one lane; and a stack, whose lanes are refilled when the driver hears of them."""
    work = ("--engine", engine, "--lanes", 1 if engine == "sequential" else 4)
    stack = {"sampler": {"type": "random", "seed": 1}, "pruner": {"type": "none"}}
    wanted = small_space(6) if engine == "sequential" else small_space(4, **stack)
    for folder, place in (
        ("here", ("--workers", 1, "--device", "cpu", *work)),
        ("there", ray_options(single, *work)),
    ):
        prepare(tmp_path / folder, wanted)
        with start_driver(tmp_path / folder, "run", "space.yaml", *place) as driver:
            _, errors = driver.communicate()
        assert driver.returncode == 0, errors
    check_same(tmp_path / "there", tmp_path / "here")
    nodes = {trial.outcome.node for trial in read_study(tmp_path / "there").trials if trial.outcome}
    assert len(nodes) == 1
    assert "" not in nodes


@pytest.mark.parametrize(("what", "count"), [("node", 2), ("driver", 2), ("both", 1), ("join", 1)])
def test_what_dies_or_joins_costs_no_trial_and_no_saved_epoch(tmp_path, cluster, what, count):
    folder = prepare(tmp_path, space())
    num_trials = disturb_at_random(cluster, folder, seed=1, count=count, what=what)
    assert check_whole(folder, num_trials, to_the_last_bit=True) > num_trials
    check_nobody_left(cluster)


def test_a_node_that_stood_still_and_returns_counts_nothing_twice(tmp_path, cluster):
    folder = prepare(tmp_path, space(20))
    with start_driver(folder, "run", "space.yaml", *ray_options(cluster)) as driver:
        wait_for_lines(folder, driver, 20)
        victim = cluster.nodes.pop()
        still = cluster.stop(victim)
        lines = len(read_ledger(folder))
        # Its trials go on on the other node once the cluster has given it up.
        wait_for(lambda: len(read_ledger(folder)) > lines + 100 or driver.poll() is not None)
        time.sleep(3)
        for process in still:
            process.resume()
        _, errors = driver.communicate(timeout=600)
    assert driver.returncode == 0, errors
    cluster.nodes.append(cluster.add())
    check_whole(folder, 20, to_the_last_bit=True)
    check_nobody_left(cluster)


def trials_with(folder: Path, kind: str) -> set[int]:
    """Trials of which the ledger has a line of this kind."""
    return {line["trial"] for line in read_ledger(folder) if line["kind"] == kind}


def test_a_node_that_is_told_to_leave_saves_its_trials_first(tmp_path, cluster):
    """Its trials do not end, and no checkpoint is due otherwise."""
    endless = {**PARAMETERS, "epochs": 100_000}
    num_trials = len(cluster.nodes)  # one on each
    folder = prepare(tmp_path, small_space(num_trials, parameters=endless, pruner={"type": "none"}))
    options = ray_options(cluster, "--checkpoint-every", "1h")
    with start_driver(folder, "run", "space.yaml", *options) as driver:
        wait_for_lines(folder, driver, 20)
        wait_for(lambda: len(trials_with(folder, "epoch")) == num_trials)
        assert not trials_with(folder, "saved")
        victim = cluster.nodes.pop()
        cluster.drain(victim, seconds=600)
        wait_for(lambda: trials_with(folder, "saved"), 120)
        wait_for(lambda: not is_alive(victim), 120)  # nothing keeps it any longer
        driver.terminate()
        _, errors = driver.communicate(timeout=600)
    assert driver.returncode == 143, errors
    assert "tried again" not in errors
    cluster.nodes.append(cluster.add())
    check_gone(folder)
    check_integrity(folder)
    check_trained_once(folder)


def test_own_data_and_an_own_network_travel(tmp_path, single):
    """From Python: the nodes have neither files of the data nor the network's."""
    chance = np.random.default_rng(0)
    x = chance.normal(size=(300, 8)).astype(np.float32)
    y = (x[:, 0] + x[:, 1] > 0).astype(int)
    file = tmp_path / "net.py"
    file.write_text(
        "from torch import nn\n"
        "def build(input_shape, num_classes, *, width: int = 8):\n"
        "    return nn.Sequential(nn.Linear(input_shape[0], width), nn.ReLU(),\n"
        "                         nn.Linear(width, num_classes))\n"
    )
    wanted = {
        "name": "own",
        "parameters": {"width": {"choices": [4, 8]}, "epochs": 3},
        "pruner": "none",
        "budget": {"trials": 3},
    }
    study = sweep.run(
        wanted,
        data=(x, y),
        model=file,
        storage=sqlite_url(tmp_path),
        executor="ray",
        ray_address=single.address,
    )
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 3


def test_a_confirmation_and_a_reproduction_run_there_too(tmp_path, single, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", single.address)
    place = {"executor": "ray", "storage": sqlite_url(tmp_path)}
    storage = place["storage"]
    sweep.run(space_mapping(budget={"trials": 4}), engine="sequential", **place)
    again = sweep.reproduce("small", 0, **place)
    assert again.is_identical
    assert again.repeated.node
    found = sweep.confirm("small", top=2, seeds=2, **place)
    assert found.winner is not None
    workers_of = sweep.load_study("small.confirm", storage=storage).trials
    assert all(trial.outcome.node for trial in workers_of)


def test_a_node_with_another_version_is_named_and_left_out(tmp_path, single):
    shutil.copytree(ROOT / "sweep", tmp_path / "old" / "sweep")
    file = tmp_path / "old" / "sweep" / "provenance.py"
    text = re.sub(r'__version__ = ".*"', '__version__ = "0.0.1"', file.read_text())
    file.write_text(text)
    old = single.add(env_vars={"PYTHONPATH": str(tmp_path / "old")}, node_name="stale")
    try:
        folder = prepare(tmp_path / "study", space_mapping(budget={"trials": 4}))
        done = run_cli("run", "space.yaml", *ray_options(single), cwd=folder)
        assert done.returncode == 0, done.stderr
        assert "node stale has sweep 0.0.1, the driver" in done.stderr
        trials = read_study(folder).trials
        assert len(trials) == 4
        assert "stale" not in {trial.outcome.node for trial in trials}
    finally:
        single.kill(old)


def test_a_cluster_that_goes_away_leaves_a_study_to_resume(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "3")
    folder = prepare(tmp_path, space(2000))  # more than it can train meanwhile
    with (
        RayCluster(nodes=1) as cluster,
        start_driver(folder, "run", "space.yaml", *ray_options(cluster)) as driver,
    ):
        wait_for_lines(folder, driver, 20)
        cluster.close()
        _, errors = driver.communicate(timeout=600)
    assert driver.returncode == 1
    (line,) = [line for line in errors.splitlines() if line.startswith("sweep: ")]
    assert f"the Ray cluster at {cluster.address} is out of reach: " in line
    there = f"--executor ray --ray-address {cluster.address}"
    assert line.endswith(f"Next: sweep resume small {there}")
    assert len(line) < 300
    finish(folder, "sequential", "--trials", 41)
    check_whole(folder, 41, to_the_last_bit=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--ray-address", "nowhere"), "ray_address must be HOST:PORT; found 'nowhere'"),
        (("--ray-address", "127.0.0.1:1"), "no Ray cluster answers at 127.0.0.1:1: Connection ref"),
        (("--device", "cuda"), "asked for cuda, the cluster has none"),
        (("--device", "cuda:1"), "must be auto, cpu or cuda on a Ray cluster"),
        (("--worker-resources", "CPU=64"), "no node of the cluster has CPU=64 for a worker; of "),
        (("--worker-resources", "tpu=1"), "the most on a node is tpu 0"),
        (("--worker-resources", "GPU=1"), "device cpu does not go with worker resources GPU=1"),
        (("--worker-resources", "CPU"), "must be resources by Ray's names, such as GPU=1,CPU=4"),
    ],
)
def test_what_a_cluster_cannot_do_is_one_line_and_creates_nothing(tmp_path, single, options, words):
    folder = prepare(tmp_path, space_mapping())
    done = run_cli("run", "space.yaml", *ray_options(single, *options), cwd=folder)
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("sweep: ")]
    assert words in line
    assert "Traceback" not in done.stderr
    assert [path.name for path in folder.iterdir()] == ["space.yaml"]


def test_without_a_token_the_command_warns_and_with_one_it_does_not(tmp_path, single, monkeypatch):
    folder = prepare(tmp_path, space_mapping(budget={"trials": 1}))
    done = run_cli("run", "space.yaml", *ray_options(single), cwd=folder)
    assert "CVE-2023-48022" in done.stderr
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a" * 64)
    with RayCluster(nodes=1) as closed:
        line = ("run", "space.yaml", *ray_options(closed), "--study")
        done = run_cli(*line, "allowed", cwd=folder)
        assert done.returncode == 0, done.stderr
        assert "CVE" not in done.stderr
        monkeypatch.setenv("RAY_AUTH_TOKEN", "b" * 64)
        done = run_cli(*line, "refused", cwd=folder)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert "token" in done.stderr
