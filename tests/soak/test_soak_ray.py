"""Nodes of a Ray cluster and drivers killed at random instants, and nodes that join."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from killing import check_whole, prepare, small_space, start_driver, wait_for_lines
from ray_cluster import RayCluster, family
from ray_killing import check_nobody_left, disturb_at_random, ray_options

pytestmark = pytest.mark.soak

PARAMETERS = {
    "num_layers": {"low": 1, "high": 3},
    "layer_size": {"choices": [64, 128]},
    "learning_rate": {"low": 1e-4, "high": 1e-3, "log": True},
    "epochs": 25,
}


@pytest.fixture
def cluster() -> Iterator[RayCluster]:
    with RayCluster(nodes=3) as found:
        yield found


@pytest.mark.parametrize(
    ("what", "seed"),
    [
        *(("node", seed) for seed in range(3)),
        *(("driver", seed) for seed in range(3)),
        ("both", 0),
        ("join", 0),
    ],
)
def test_ten_random_instants(tmp_path, cluster, what, seed, tally):
    """Thirty for a node, thirty for the driver, ten for both, ten for a node that joins."""
    name = f"a study on three nodes of a Ray cluster, random instants: {what}"
    tally(name, tried=10)
    folder = prepare(tmp_path, small_space(6, parameters=PARAMETERS))
    num_trials = disturb_at_random(cluster, folder, seed, count=10, what=what)
    assert check_whole(folder, num_trials, to_the_last_bit=True) > num_trials
    check_nobody_left(cluster)
    tally(name, survived=10)


def test_an_actor_that_stands_still_is_given_up_after_a_minute(tmp_path, cluster, tally):
    """Its node is well, so that Ray notices nothing."""
    name = "actors that stand still"
    tally(name, tried=1)
    folder = prepare(tmp_path, small_space(20, parameters=PARAMETERS))
    with start_driver(folder, "run", "space.yaml", *ray_options(cluster)) as driver:
        wait_for_lines(folder, driver, 20)
        hosts = [each for each in family(cluster.nodes[0]) if "Host" in " ".join(each.cmdline())]
        assert hosts
        still = family(hosts[0].pid)
        for process in still:
            process.suspend()
        _, errors = driver.communicate(timeout=600)
    assert driver.returncode == 0, errors
    assert check_whole(folder, 20, to_the_last_bit=True)
    for process in still:  # until then, nothing but SIGKILL can end it
        process.resume()
    check_nobody_left(cluster)
    tally(name, survived=1)
