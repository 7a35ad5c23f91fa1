"""Programs that are run many times; the ways of a GPU are walked with stand-ins for it."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial

import pytest
import torch

from sweep.training.graphs import RepeatedProgram

CPU, CUDA = torch.device("cpu"), torch.device("cuda:1")


def test_on_the_processor_every_run_makes_the_calls_in_their_order():
    total = torch.zeros(3)
    seen = []
    repeated = RepeatedProgram(
        [partial(total.add_, 1), lambda: seen.append(total[0].item()), partial(total.mul_, 2)], CPU
    )
    assert total.sum() == 0, "nothing is run before it is asked for"
    for _ in range(6):
        repeated.run()
    assert seen == [1, 3, 7, 15, 31, 63]
    assert total.tolist() == [126] * 3


def test_an_error_in_a_program_comes_out():
    def fail() -> None:
        raise ZeroDivisionError("as told")

    with pytest.raises(ZeroDivisionError, match="as told"):
        RepeatedProgram([fail], CPU).run()


# ---------------------------------------------------------------- stand-ins for a GPU


class Gpu:
    """Notes what is asked of it; a graph makes, when it is replayed, the calls it has captured."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        self.mode = "host"
        self.graphs: list[Gpu.Graph] = []
        gpu = self

        class Stream:
            def __init__(self, device: torch.device | None = None, name: str = "aside") -> None:
                assert device in (None, CUDA)
                self.name = name

            def wait_stream(self, other: Stream) -> None:
                gpu.log.append(f"{self.name} waits for {other.name}")

        class Graph:
            def __init__(self) -> None:
                self.generators: list[torch.Generator] = []
                self.calls: list = []
                gpu.graphs.append(self)

            def register_generator_state(self, generator: torch.Generator) -> None:
                assert gpu.mode == "host", "generators are registered before the capture"
                self.generators.append(generator)

            def replay(self) -> None:
                assert gpu.mode == "host"
                gpu.log.append("replay")
                for call in self.calls:
                    call()

        @contextmanager
        def stream(which: Stream):
            with gpu._in(which.name):
                yield

        @contextmanager
        def graph(which: Graph):
            gpu.log.append("capture")
            gpu.capturing = which
            with gpu._in("capture"):
                yield

        @contextmanager
        def device(which: torch.device):
            assert which == CUDA
            yield

        monkeypatch.setattr(torch.cuda, "Stream", Stream)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda _=None: Stream(name="main"))
        monkeypatch.setattr(torch.cuda, "stream", stream)
        monkeypatch.setattr(torch.cuda, "graph", graph)
        monkeypatch.setattr(torch.cuda, "device", device)

    @contextmanager
    def _in(self, mode: str):
        before, self.mode = self.mode, mode
        yield
        self.mode = before

    def kernel(self, work):
        """A call that is captured instead of made while a graph is captured."""

        def call() -> None:
            if self.mode == "capture":
                self.capturing.calls.append(work)
            else:
                self.log.append(f"call {self.mode}")
                work()

        return call


@pytest.fixture
def gpu(monkeypatch) -> Gpu:
    return Gpu(monkeypatch)


def test_three_runs_aside_one_capture_then_replays(gpu):
    repeated = RepeatedProgram([gpu.kernel(lambda: None)], CUDA)
    aside = ["aside waits for main", "call aside", "main waits for aside"]
    for expected in (aside, aside, aside, ["capture", "replay"], ["replay"], ["replay"]):
        gpu.log.clear()
        repeated.run()
        assert gpu.log == expected
    assert len(gpu.graphs) == 1


def test_every_run_does_the_work_once(gpu):
    """Nothing is computed only to warm up, nothing is left out when the graph is captured."""
    total = torch.zeros(())
    repeated = RepeatedProgram(
        [gpu.kernel(partial(total.add_, 1)), gpu.kernel(partial(total.mul_, 3))], CUDA
    )
    expected = 0
    for _ in range(8):
        repeated.run()
        expected = (expected + 1) * 3
        assert total.item() == expected


def test_generators_are_registered_with_the_graph(gpu):
    generators = [torch.Generator().manual_seed(n) for n in range(3)]
    repeated = RepeatedProgram([gpu.kernel(lambda: None)], CUDA, generators)
    for _ in range(5):
        repeated.run()
    (graph,) = gpu.graphs
    assert graph.generators == generators


def test_each_program_has_its_own_graph(gpu):
    counts = torch.zeros(2)
    programs = [RepeatedProgram([gpu.kernel(partial(counts[n].add_, 1))], CUDA) for n in range(2)]
    for _ in range(6):
        programs[0].run()
    for _ in range(2):
        programs[1].run()
    assert counts.tolist() == [6, 2]
    assert len(gpu.graphs) == 1


def test_an_error_before_the_capture_comes_out(gpu):
    def fail() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
        RepeatedProgram([fail], CUDA).run()
    assert gpu.graphs == []
