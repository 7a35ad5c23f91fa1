"""A Ray cluster of local nodes, by Ray's own test utilities, in a process of its own.

with RayCluster(nodes=2) as cluster:
    sweep.run(space, executor="ray", ray_address=cluster.address)
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import psutil

_PATIENCE_SECONDS = 120
_TESTS = Path(__file__).parent
_SYSTEM_CONFIG = {  # a node that does not answer is dead after two seconds
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 500,
    "health_check_failure_threshold": 4,
}


class RayCluster:
    """Nodes on this machine; the first belongs to the driver and by default trains nothing."""

    def __init__(self, nodes: int = 1, cpus: int = 1, *, head_cpus: int = 0, **head: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"RAY_DEDUP_LOGS": "0", "PYTHONPATH": str(_TESTS.parent)},
        )
        self.raylets: set[int] = set()  # of all nodes that there ever were
        self.address: str = self._ask("head", num_cpus=head_cpus, **head)
        self.nodes = [self.add(cpus) for _ in range(nodes)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, cpus: int = 1, **more: Any) -> int:
        """Add a node; returns the process id of its raylet."""
        raylet = int(self._ask("add", num_cpus=cpus, **more))
        self.raylets.add(raylet)
        return raylet

    def kill(self, raylet: int) -> None:
        """Kill a node with all its processes at once, as a power cut would."""
        for process in family(raylet):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def stop(self, raylet: int) -> list[psutil.Process]:
        """Let a node stand still; the processes, to be continued."""
        found = family(raylet)
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        return found

    def drain(self, raylet: int, seconds: float) -> None:
        """Tell a node that it will end soon, as SIGTERM to `ray start --block` does."""
        self._ask("drain", raylet=raylet, seconds=seconds)

    def actors(self) -> list[str]:
        """Names of the actors that are alive."""
        return list(self._ask("actors"))

    def close(self) -> None:
        """End it, whatever its nodes do."""
        everything = family(self._process.pid)
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            self._ask("end")
        for process in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()

    def _ask(self, verb: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([verb, arguments]) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("answer "):
                return json.loads(line.removeprefix("answer "))
        raise RuntimeError(f"the cluster ended at {verb!r}")


def family(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _serve() -> None:
    import ray
    from ray._private.state import state
    from ray.cluster_utils import Cluster
    from ray.core.generated import autoscaler_pb2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    memory = {"object_store_memory": 100_000_000}
    cluster: Any = None
    nodes: dict[int, Any] = {}
    for line in sys.stdin:
        verb, arguments = json.loads(line)
        answer: Any = None
        if verb == "head":
            config = {"_system_config": _SYSTEM_CONFIG, **memory, **arguments}
            cluster = Cluster(initialize_head=True, head_node_args=config)
            answer = cluster.address
        elif verb == "add":
            node = cluster.add_node(wait=False, **memory, **arguments)
            (raylet,) = node.all_processes["raylet"]
            answer = raylet.process.pid
            nodes[answer] = node
        elif verb == "drain":
            import time

            deadline = int((time.time() + arguments["seconds"]) * 1000)
            reason = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
            node = nodes[arguments["raylet"]]
            node.get_gcs_client().drain_node(node.node_id, reason, "a test", deadline)
        elif verb == "actors":
            state._initialize_global_state(
                ray._raylet.GcsClientOptions.create(cluster.address, None, True, True)
            )
            table = state.actor_table(None, None, "ALIVE")
            answer = [about["Name"] for about in table.values()]
        sys.stdout.write("answer " + json.dumps(answer) + "\n")
        sys.stdout.flush()
        if verb == "end":
            return


if __name__ == "__main__":
    _serve()
