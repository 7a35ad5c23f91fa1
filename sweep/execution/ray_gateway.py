"""The process that speaks to a Ray cluster for a driver (see `sweep.execution.ray_launcher`).

Ray ends its client's process without a word once a cluster is lost, takes over its signals and
prints on its output: none of that may happen to a driver.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import threading
import uuid
from collections import Counter
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from sweep.execution.ray_host import Host, pack_frame, unpack_frame
from sweep.execution.ray_nodes import (
    Refused,
    alive_nodes,
    connect,
    difference,
    draining_nodes,
    first_line,
    fits,
    import_problem,
    is_loopback,
    node_name,
    worker_resources,
)

__all__ = ["main"]

_log = logging.getLogger(__name__)

_TAKE_SECONDS = 2.0
_SCAN_SECONDS = 1.0
_SILENCE_SECONDS = 60  # of a node, after which its workers are given up


def main(descriptor: int) -> None:
    """Speak to the cluster until the driver is gone."""
    with Connection(descriptor) as driver:
        (_, wanted), _ = unpack_frame(driver.recv_bytes())
        try:
            cluster = _Cluster(driver, **wanted)
        except Refused as refusal:
            driver.send_bytes(pack_frame("refused", str(refusal)))
            return
        try:
            asyncio.run(cluster.run())
        except Refused as refusal:
            driver.send_bytes(pack_frame("failed", str(refusal)))
        finally:
            ray.shutdown()


class _Place:
    """An actor, or one that the cluster has yet to find room for."""

    def __init__(self, name: str, actor: Any) -> None:
        self.name = name
        self.actor = actor
        self.node = ""  # its id, once it has answered
        self.is_leaving = False
        self.is_unfit = False
        self.letters: asyncio.Queue[bytes] = asyncio.Queue()


class _Cluster:
    """The cluster, as far as one driver uses it.

    Args:
        address: `HOST:PORT`, or `auto`.
        resources: What each worker takes, by Ray's names; None for the usual.
        device: `auto`, `cpu` or `cuda`.
        study: Its name, for the names of the actors.
        most: Workers, or None for as many as there is room for.
    """

    def __init__(
        self,
        driver: Connection,
        *,
        address: str,
        resources: Mapping[str, float] | None,
        device: str,
        study: str,
        most: int | None,
    ) -> None:
        self._driver = driver
        self._study = study
        self._id = uuid.uuid4().hex[:8]
        self._most = most
        self._places: dict[str, _Place] = {}
        self._num_places = 0
        self._data: tuple[str, Any] | None = None  # key, and reference in the object store
        self._tasks: set[asyncio.Task[None]] = set()
        connect(address)
        self._node = ray.get_runtime_context().get_node_id()
        self._nodes = alive_nodes()
        self._resources = worker_resources(resources, device, self._nodes)
        has_gpu = self._resources.get("GPU", 0) > 0
        self._device = "cuda:0" if has_gpu else "cpu"
        self._num_threads = max(1, int(self._resources.get("CPU", 1)))

    async def run(self) -> None:
        """Offer places and pass messages on until the driver is gone."""
        gone = asyncio.get_running_loop().create_future()
        self._broken = asyncio.get_running_loop().create_future()
        letters: asyncio.Queue[bytes] = asyncio.Queue()
        listener = threading.Thread(
            target=_listen, args=(self._driver, asyncio.get_running_loop(), letters), daemon=True
        )
        listener.start()
        self._fill()
        self._say("opened", min(len(self._places), self._capacity), self._warning)
        scan = asyncio.create_task(self._scan())
        handle = asyncio.create_task(self._handle(letters, gone))
        ends = {scan, handle, gone, self._broken}
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in done:
            end.result()

    # ------------------------------------------------------------ the driver

    async def _handle(self, letters: asyncio.Queue[bytes], gone: asyncio.Future[None]) -> None:
        """Act on what the driver says."""
        while frame := await letters.get():
            (verb, *rest), body = unpack_frame(frame)
            if verb == "share":
                self._data = rest[0], ray.put(body)
            elif verb == "calibrate":
                name, measure = rest
                self._start(self._calibrate(name, measure, body))
            elif place := self._places.get(rest[0]):
                place.letters.put_nowait(pack_frame(verb, rest[1], body=body))
        gone.set_result(None)

    def _say(self, *head: Any, body: bytes = b"") -> None:
        with contextlib.suppress(OSError):  # it is gone, which the listener reports
            self._driver.send_bytes(pack_frame(*head, body=body))

    async def _calibrate(self, name: str, measure: bool, request: bytes) -> None:
        found = b""
        if place := self._places.get(name):
            with contextlib.suppress(RayError):
                found = await place.actor.calibrate.remote(request, measure)
        self._say("calibrated", body=found)

    # ------------------------------------------------------------ places

    @property
    def _capacity(self) -> int:
        """Workers that the nodes have room for if nobody else uses them."""
        return sum(fits(node["Resources"], self._resources) for node in self._nodes.values())

    def _fill(self) -> None:
        """Ask for as many actors as there is room for; Ray says where each of them goes."""
        wanted = self._capacity if self._most is None else self._most
        for _ in range(wanted - len(self._places)):
            self._num_places += 1
            name = f"{self._study} {self._id} {self._num_places}"
            place = _Place(name, _actor(name, self._resources, self._device))
            self._places[name] = place
            self._start(self._attend(place))

    async def _scan(self) -> None:
        """Look for nodes that join, and for those that are about to leave."""
        while True:
            await asyncio.sleep(_SCAN_SECONDS)
            try:
                self._nodes = await asyncio.to_thread(alive_nodes)
                leaving = await asyncio.to_thread(draining_nodes)
            except (RayError, RuntimeError) as error:
                raise Refused(first_line(error)) from None
            if self._node not in self._nodes:
                raise Refused("the Ray node of this machine has ended")
            for place in self._places.values():
                if place.node in leaving and not place.is_leaving:
                    place.is_leaving = True
                    self._say("leaving", place.name)
            for node in leaving:
                self._nodes.pop(node, None)
            for place in [each for each in self._places.values() if each.is_unfit]:
                if place.node and place.node not in self._nodes:
                    del self._places[place.name]
            self._fill()

    async def _attend(self, place: _Place) -> None:
        """Offer a place once its actor answers; pass messages on until it has ended."""
        problem = await self._meet(place)
        if problem:
            # The place stays taken: the next actor would come to the same node.
            place.is_unfit = True
            self._say("unfit", problem)
            return
        reason = "its node is gone"
        if place.node:
            node = self._name_of(place.node)
            sharing = self._num_sharing(place.node)
            self._say("joined", place.name, self._device, self._num_threads, sharing, node)
            try:
                await _first_end(self._take(place), self._give(place))
            except RayError as error:
                _log.info("%s: %s", place.name, error)
            except TimeoutError:
                reason = f"its node did not answer for {_SILENCE_SECONDS} s"
            ray.kill(place.actor)
        del self._places[place.name]
        self._say("left", place.name, reason)

    async def _meet(self, place: _Place) -> str:
        """Wait for an actor's first answer; why its node cannot train, or an empty text."""
        try:
            hello = json.loads(await place.actor.hello.remote())
        except RayActorError as error:
            # Else it has ended, or its node has, before it could answer.
            return import_problem(error) if "creation task" in str(error) else ""
        except RayError as error:
            return import_problem(error)
        place.node = hello["node"]
        problem = difference(hello["versions"])
        return f"node {self._name_of(place.node)} {problem}" if problem else ""

    async def _take(self, place: _Place) -> None:
        while True:
            for frame in await _answer(place.actor.take.remote(_TAKE_SECONDS)):
                (verb, number), body = unpack_frame(frame)
                self._say(verb, place.name, number, body=body)

    async def _give(self, place: _Place) -> None:
        known = None
        while True:
            frames = [await place.letters.get()]
            while not place.letters.empty():
                frames.append(place.letters.get_nowait())
            if self._data is not None and self._data[0] != known:
                known, reference = self._data
                await place.actor.load.remote(known, reference)
            await _answer(place.actor.give.remote(frames))
            if place.is_leaving and unpack_frame(frames[-1])[0][0] == "kill":
                return  # a node without actors need not wait until its time is up

    def _num_sharing(self, node: str) -> int:
        """Workers that share a part of a GPU, or the memory of a node."""
        gpus = self._resources.get("GPU", 0)
        if gpus:
            return max(1, int(1 / gpus + 1e-9))
        about = self._nodes.get(node)
        return max(1, fits(about["Resources"], self._resources)) if about else 1

    def _name_of(self, node: str) -> str:
        """A node's name; with a part of its id if several have it."""
        names = {known: node_name(about) for known, about in self._nodes.items()}
        name = names.get(node, node[:6])
        return name if Counter(names.values())[name] < 2 else f"{name}-{node[:6]}"

    def _start(self, work: Any) -> None:
        """Do something beside; what it raises ends this process."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._broken.done():
            self._broken.set_exception(error)

    @property
    def _warning(self) -> str:
        """What is wrong with the cluster's security; empty if nothing is."""
        if os.environ.get("RAY_AUTH_MODE") == "token":
            return ""
        open_to = [n["NodeManagerAddress"] for n in self._nodes.values() if not is_loopback(n)]
        if not open_to:
            return ""
        return (
            f"the Ray cluster takes orders without authentication at {open_to[0]}: whoever reaches "
            "it can run any program there (CVE-2023-48022); docs/more-machines.md says how to "
            "start it with a token"
        )


def _listen(
    driver: Connection, loop: asyncio.AbstractEventLoop, letters: asyncio.Queue[bytes]
) -> None:
    """Receive what the driver says; empty bytes at its end."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            loop.call_soon_threadsafe(letters.put_nowait, driver.recv_bytes())
    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(letters.put_nowait, b"")


async def _answer(reference: Any) -> Any:
    """What a call returns; TimeoutError after a long silence.

    In short steps: this process may have been stopped, and the answer be there when it goes on.
    """
    future = asyncio.ensure_future(reference)
    for _ in range(_SILENCE_SECONDS):
        done, _ = await asyncio.wait({future}, timeout=1)
        if done:
            return future.result()
    raise TimeoutError


async def _first_end(*work: Any) -> None:
    """Do this at once until the first part of it ends; raises what that raised."""
    tasks = [asyncio.create_task(each) for each in work]
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    for task in done:
        task.result()


def _actor(name: str, resources: Mapping[str, float], device: str) -> Any:
    others = {key: value for key, value in resources.items() if key not in ("CPU", "GPU", "memory")}
    options: dict[str, Any] = {
        "name": name,
        "num_cpus": resources.get("CPU", 0),
        "num_gpus": resources.get("GPU", 0),
        "resources": others,
        "scheduling_strategy": "SPREAD",
        "max_restarts": 0,
        "max_task_retries": 0,
    }
    if "memory" in resources:
        options["memory"] = resources["memory"]
    return ray.remote(Host).options(**options).remote(device)
