"""What a Ray cluster is and has: its address, its nodes, what they have room for, their versions.

Only the process that speaks to Ray imports this (see `sweep.execution.ray_gateway`).
"""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Mapping
from typing import Any

import ray
from ray.exceptions import RayError

from sweep.provenance import package_versions

__all__ = [
    "Refused",
    "alive_nodes",
    "connect",
    "difference",
    "draining_nodes",
    "first_line",
    "fits",
    "import_problem",
    "is_loopback",
    "node_name",
    "worker_resources",
]

_CONNECT_SECONDS = 5.0
_LAST_PORT = 65535


class Refused(Exception):  # noqa: N818 - as a driver sees it, the request is wrong
    """The request cannot be met; the text says why, in one line."""


def connect(address: str) -> None:
    """Join the cluster as a client."""
    found = _resolved(address)
    host, _, port = found.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        raise Refused(
            f"no Ray cluster answers at {found}: {error.strerror or error}; `ray start --head` "
            "starts one"
        ) from None
    try:
        ray.init(
            found,
            namespace="sweep",
            log_to_driver=False,
            configure_logging=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, RayError, RuntimeError, ValueError, OSError) as error:
        raise Refused(
            f"the Ray cluster at {found} cannot be joined: {first_line(error)}; this machine must "
            f"belong to it (`ray start --address {found}`), with the same Ray and Python, and the "
            "same token if it asks for one"
        ) from None


def _resolved(address: str) -> str:
    """`HOST:PORT`, that of this machine's cluster for `auto`."""
    if address == "auto":
        # As `ray.init` does, which waits for minutes for a cluster that has ended.
        from ray._private.services import canonicalize_bootstrap_address_or_die

        try:
            return canonicalize_bootstrap_address_or_die(address)
        except ConnectionError as error:
            if "multiple" in str(error):
                raise Refused(
                    "several Ray clusters run on this machine: --ray-address HOST:PORT says which"
                ) from None
            raise Refused(
                "no Ray cluster runs on this machine: `ray start --head` starts one, and "
                "--ray-address names another one that this machine has joined"
            ) from None
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or int(port) > _LAST_PORT:
        raise Refused(f"ray_address must be HOST:PORT; found {address!r}")
    return address


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".:") if lines else type(error).__name__


def alive_nodes() -> dict[str, Mapping[str, Any]]:
    """The nodes of the cluster that are alive, by id, as Ray describes them."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    return {node["NodeID"]: node for node in nodes if node["Alive"]}


def draining_nodes() -> set[str]:
    """The nodes that were told to end soon, as by SIGTERM to `ray start --block`."""
    from ray._private.state import state  # as Ray Train does: there is no public way

    return set(state.get_draining_nodes())


def worker_resources(
    asked: Mapping[str, float] | None, device: str, nodes: Mapping[str, Mapping[str, Any]]
) -> dict[str, float]:
    """What each worker takes; Refused if no node has it."""
    if device not in ("auto", "cpu", "cuda"):
        raise Refused(
            f"device must be auto, cpu or cuda on a Ray cluster, which chooses the GPUs itself; "
            f"found {device!r}"
        )
    has_gpus = any(node["Resources"].get("GPU", 0) for node in nodes.values())
    if device == "cuda" and not has_gpus:
        raise Refused("asked for cuda, the cluster has none: no node has a GPU")
    usual = {"CPU": 1.0, "GPU": 1.0} if has_gpus and device != "cpu" else {"CPU": 1.0}
    found = dict(asked or usual)
    if (device == "cuda") > ("GPU" in found) or (device == "cpu" and "GPU" in found):
        raise Refused(f"device {device} does not go with worker resources {_words(found)}")
    if not any(fits(node["Resources"], found) for node in nodes.values()):
        names = {name: f"{name} {_most(nodes, name):g}" for name in found}
        raise Refused(
            f"no node of the cluster has {_words(found)} for a worker; of each, the most on a node "
            f"is {', '.join(names.values())}"
        )
    return found


def _most(nodes: Mapping[str, Mapping[str, Any]], name: str) -> float:
    return max((float(n["Resources"].get(name, 0)) for n in nodes.values()), default=0.0)


def _words(resources: Mapping[str, float]) -> str:
    return ",".join(f"{name}={number:g}" for name, number in resources.items())


def fits(has: Mapping[str, float], needs: Mapping[str, float]) -> int:
    """How many workers a node has room for."""
    return min(int(has.get(name, 0) / number + 1e-9) for name, number in needs.items())


def difference(theirs: Mapping[str, str]) -> str | None:
    """Why a node with these versions cannot train; another torch may, and is recorded."""
    ours = package_versions()
    for name in ("sweep", "python"):
        then, now = (versions.get(name, "no version") for versions in (theirs, ours))
        if name == "python":
            then, now = (version.rpartition(".")[0] for version in (then, now))
        if then != now:
            return f"has {name} {then}, the driver {now}: install the same there"
    return None


def import_problem(error: RayError) -> str:
    """Why an actor could not be made on its node."""
    lines = [line.strip() for line in str(error).splitlines() if "Error: " in line]
    reason = lines[-1] if lines else first_line(error)
    return f"a node cannot run a worker, install this version of sweep there: {reason}"


def node_name(node: Mapping[str, Any]) -> str:
    """What its users call a node, or its host."""
    name, address = str(node.get("NodeName", "")), str(node["NodeManagerAddress"])
    return name if name and name != address else str(node["NodeManagerHostname"])


def is_loopback(node: Mapping[str, Any]) -> bool:
    """Whether only its own machine reaches a node."""
    try:
        return ipaddress.ip_address(node["NodeManagerAddress"]).is_loopback
    except ValueError:
        return str(node["NodeManagerAddress"]) == "localhost"
