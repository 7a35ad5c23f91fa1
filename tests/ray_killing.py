"""Kill nodes of a Ray cluster and drivers of a study on it; see `killing` for the checks."""

from __future__ import annotations

import contextlib
import random
import subprocess
from pathlib import Path

import psutil
from helpers import wait_for
from killing import kill_all, read_ledger, start_driver
from ray_cluster import RayCluster

PATIENCE = 60


def ray_options(cluster: RayCluster, *more: object) -> tuple[object, ...]:
    """Where to train, one trial at a time, with a checkpoint every epoch or two."""
    place = ("--executor", "ray", "--ray-address", cluster.address, "--device", "cpu")
    return (*place, "--checkpoint-every", "0.01", "--engine", "sequential", *more)


def leftovers(cluster: RayCluster) -> list[str]:
    """Processes that this package has started on a node of this cluster, dead or alive."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = " ".join(process.cmdline())
            raylet = int(process.environ().get("RAY_RAYLET_PID", -1))
            if "sweep.execution" in words and raylet in cluster.raylets:
                found.append(f"{process.pid}: {words[-80:]}")
    return found


def check_nobody_left(cluster: RayCluster) -> None:
    """No actor and no process outlives its driver."""
    wait_for(lambda: cluster.actors() == [], PATIENCE)
    wait_for(lambda: leftovers(cluster) == [], PATIENCE)


def replace_node(cluster: RayCluster, chance: random.Random) -> None:
    """Kill a node at once, and add another one."""
    victim = chance.choice(cluster.nodes)
    cluster.nodes.remove(victim)
    cluster.kill(victim)
    cluster.nodes.append(cluster.add())


def disturb_at_random(
    cluster: RayCluster, folder: Path, seed: int, count: int, what: str, *, more_trials: int = 6
) -> int:
    """Disturb a study `count` times, then finish it; returns its number of trials.

    A `node` is killed and replaced, the `driver` is killed, `both` are, or a node is to `join`.
    Each time something has been acknowledged since.
    """
    chance = random.Random(seed)  # noqa: S311 - no secrets
    num_trials = more_trials
    done = 0
    while True:
        options = ray_options(cluster, "--trials", num_trials)
        with start_driver(folder, "run", "space.yaml", *options) as driver:
            while done < count:
                before = len(read_ledger(folder)) + 2
                wait_for(
                    lambda least=before: (
                        driver.poll() is not None or len(read_ledger(folder)) >= least
                    )
                )
                with contextlib.suppress(subprocess.TimeoutExpired):
                    driver.wait(chance.uniform(0, 0.5))
                if driver.poll() is not None:
                    break
                if what == "join":
                    cluster.nodes.append(cluster.add())
                if what in ("node", "both"):
                    replace_node(cluster, chance)
                if what in ("driver", "both"):
                    kill_all(driver)
                done += 1
            _, errors = driver.communicate(timeout=600)
        if driver.returncode == 0 and done == count:
            return num_trials
        if driver.returncode == 0:
            num_trials += more_trials
        else:
            assert driver.returncode == -9, errors
            check_nobody_left(cluster)
