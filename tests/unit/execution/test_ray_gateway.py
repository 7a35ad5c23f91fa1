"""What the process decides that speaks to a Ray cluster, without a cluster."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest
from ray.exceptions import RayError

import sweep.execution.ray_gateway as gateway
import sweep.execution.ray_nodes as ray_nodes
from sweep.errors import InputError
from sweep.execution.ray_launcher import RayLauncher
from sweep.provenance import package_versions


def node(name: str = "", host: str = "gpu-box", ip: str = "10.0.0.5", **resources: float) -> dict:
    return {
        "NodeName": name or ip,
        "NodeManagerHostname": host,
        "NodeManagerAddress": ip,
        "Resources": resources,
    }


NODES = {"a": node(CPU=8.0, GPU=2.0), "b": node(CPU=4.0)}


@pytest.mark.parametrize(
    ("has", "needs", "count"),
    [
        ({"CPU": 8}, {"CPU": 1}, 8),
        ({"CPU": 8}, {"CPU": 3}, 2),
        ({"CPU": 8, "GPU": 2}, {"CPU": 1, "GPU": 0.5}, 4),
        ({"CPU": 8, "GPU": 1}, {"CPU": 1, "GPU": 0.1}, 8),
        ({"CPU": 8}, {"GPU": 1}, 0),
        ({"CPU": 0.3}, {"CPU": 0.1}, 3),
        ({"CPU": 2, "big": 1}, {"CPU": 1, "big": 1}, 1),
    ],
)
def test_a_node_has_room_for_as_many_as_its_scarcest_resource(has, needs, count):
    assert ray_nodes.fits(has, needs) == count


@pytest.mark.parametrize(
    ("asked", "device", "found"),
    [
        (None, "auto", {"CPU": 1, "GPU": 1}),
        (None, "cuda", {"CPU": 1, "GPU": 1}),
        (None, "cpu", {"CPU": 1}),
        ({"CPU": 4}, "auto", {"CPU": 4}),
        ({"CPU": 4, "GPU": 0.5}, "cuda", {"CPU": 4, "GPU": 0.5}),
    ],
)
def test_what_a_worker_takes(asked, device, found):
    assert ray_nodes.worker_resources(asked, device, NODES) == found


@pytest.mark.parametrize(
    ("asked", "device", "nodes", "words"),
    [
        (
            None,
            "cuda",
            {"b": NODES["b"]},
            "asked for cuda, the cluster has none: no node has a GPU",
        ),
        (None, "tpu", NODES, "device must be auto, cpu or cuda on a Ray cluster, which chooses"),
        ({"CPU": 1}, "cuda", NODES, "device cuda does not go with worker resources CPU=1"),
        ({"GPU": 1}, "cpu", NODES, "device cpu does not go with worker resources GPU=1"),
        (
            {"CPU": 9, "GPU": 1},
            "auto",
            NODES,
            "no node of the cluster has CPU=9,GPU=1 for a worker",
        ),
        ({"CPU": 5, "GPU": 3}, "auto", NODES, "the most on a node is CPU 8, GPU 2"),
        (None, "auto", {}, "no node of the cluster has CPU=1 for a worker"),
    ],
)
def test_what_no_node_has_is_refused(asked, device, nodes, words):
    with pytest.raises(ray_nodes.Refused) as caught:
        ray_nodes.worker_resources(asked, device, nodes)
    assert words in str(caught.value)


def test_the_package_and_python_must_be_the_same_and_torch_need_not():
    ours = package_versions()
    assert ray_nodes.difference(ours) is None
    assert ray_nodes.difference({**ours, "torch": "1.0"}) is None
    assert "has sweep 9.9" in (ray_nodes.difference({**ours, "sweep": "9.9"}) or "")
    assert "has python 3.9, the driver" in (ray_nodes.difference({**ours, "python": "3.9.1"}) or "")
    patch = ours["python"].rpartition(".")[0] + ".99"
    assert ray_nodes.difference({**ours, "python": patch}) is None
    assert "no version" in (ray_nodes.difference({}) or "")


def test_nodes_are_named_by_their_users_or_their_hosts():
    assert ray_nodes.node_name(node("alpha")) == "alpha"
    assert ray_nodes.node_name(node()) == "gpu-box"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nowhere", "ray_address must be HOST:PORT; found 'nowhere'"),
        (":6379", "ray_address must be HOST:PORT"),
        ("host:", "ray_address must be HOST:PORT"),
        ("host:99999", "ray_address must be HOST:PORT"),
        ("ray://host:10001", "ray_address must be HOST:PORT"),
    ],
)
def test_an_address_has_a_host_and_a_port(address, words):
    with pytest.raises(ray_nodes.Refused, match=words):
        ray_nodes._resolved(address)
    assert ray_nodes._resolved("10.0.0.5:6379") == "10.0.0.5:6379"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Could not find any running Ray instance.", "no Ray cluster runs on this machine: "),
        ("Found multiple active Ray instances: {..}", "several Ray clusters run on this machine"),
    ],
)
def test_without_one_cluster_on_this_machine_the_refusal_says_what_to_do(monkeypatch, said, words):
    def find(_address: str) -> str:
        raise ConnectionError(said)

    monkeypatch.setattr("ray._private.services.canonicalize_bootstrap_address_or_die", find)
    with pytest.raises(ray_nodes.Refused, match=words):
        ray_nodes._resolved("auto")


@pytest.mark.parametrize(
    ("mode", "ip", "warns"),
    [("", "10.0.0.5", True), ("token", "10.0.0.5", False), ("", "127.0.0.1", False)],
)
def test_a_cluster_without_a_token_that_others_can_reach_is_warned_of(monkeypatch, mode, ip, warns):
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    cluster = SimpleNamespace(_nodes={"a": node(ip=ip)})
    warning = gateway._Cluster._warning.fget(cluster)
    assert bool(warning) == warns
    assert not warns or ("CVE-2023-48022" in warning and ip in warning)


def test_a_silent_node_is_given_up_and_an_answer_that_came_meanwhile_is_not_lost(monkeypatch):
    """The second: this process was stopped for longer than a node may be silent."""
    monkeypatch.setattr(gateway, "_SILENCE_SECONDS", 1)

    async def silence() -> None:
        with pytest.raises(TimeoutError):
            await gateway._answer(asyncio.get_running_loop().create_future())

    asyncio.run(silence())

    async def stopped() -> str:
        answer = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.3, answer.set_result, "here")
        waiting = asyncio.create_task(gateway._answer(answer))
        await asyncio.sleep(0.05)
        time.sleep(1.5)
        return await waiting

    assert asyncio.run(stopped()) == "here"


def test_an_actor_that_cannot_be_made_says_what_its_node_lacks():
    error = RayError("The actor died\n  ModuleNotFoundError: No module named 'sweep'\n")
    words = ray_nodes.import_problem(error)
    assert words.startswith("a node cannot run a worker, install this version of sweep there: ")
    assert words.endswith("ModuleNotFoundError: No module named 'sweep'")


def test_without_ray_the_refusal_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("sweep.execution.ray_launcher.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'sweep\[ray\]'"):
        RayLauncher("study")


@pytest.mark.parametrize(
    ("resources", "num_sharing"),
    [({"CPU": 1}, 8), ({"CPU": 3}, 2), ({"CPU": 1, "GPU": 1}, 1), ({"CPU": 1, "GPU": 0.5}, 2)],
)
def test_workers_are_told_how_many_share_the_memory_of_their_device(resources, num_sharing):
    cluster = SimpleNamespace(_resources=resources, _nodes=NODES)
    assert gateway._Cluster._num_sharing(cluster, "a") == num_sharing
