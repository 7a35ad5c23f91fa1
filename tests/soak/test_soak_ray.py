"""Nodes of a Ray cluster and drivers killed at random instants, and nodes that join."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from killing import check_whole, prepare, small_space
from ray_cluster import RayCluster
from ray_killing import check_nobody_left, disturb_at_random

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
