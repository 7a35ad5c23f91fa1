"""A launcher on a Ray cluster keeps the promises of all launchers, and those of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers import wait_for
from launcher_contract import (
    NUM_SLOTS,
    LauncherContract,
    with_digits,
)
from ray_cluster import RayCluster

from sweep.execution.ray_launcher import RayLauncher

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with RayCluster(nodes=1, cpus=NUM_SLOTS) as found:
        yield found


class TestRay(LauncherContract):
    @pytest.fixture
    def launcher(self, cluster: RayCluster) -> Iterator[RayLauncher]:
        launcher = with_digits(RayLauncher("contract", cluster.address))
        yield launcher
        launcher.close()
        wait_for(lambda: cluster.actors() == [], 60)

    def test_actors_are_named_after_their_study(self, launcher, cluster) -> None:
        assert len(launcher.slots()) == NUM_SLOTS
        assert all(name.startswith("contract ") for name in cluster.actors())
        assert len(cluster.actors()) == NUM_SLOTS

    def test_slots_say_where_they_are(self, launcher) -> None:
        slots = launcher.slots()
        assert {slot.device for slot in slots} == {"cpu"}
        assert {slot.num_threads for slot in slots} == {1}
        assert len({slot.name for slot in slots}) == NUM_SLOTS
        assert len({slot.node for slot in slots}) == 1
        assert slots[0].node
        assert launcher.slots(2) == slots[:2]
