"""Functions that are called many times; the ways of a GPU are walked with stand-ins for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from sweep.training import graphs
from sweep.training.graphs import Repeated

CPU, CUDA = torch.device("cpu"), torch.device("cuda:1")


def test_on_the_processor_it_is_the_function():
    total = torch.zeros(3)
    repeated = Repeated(lambda given: total.add_(given).sum(), CPU)
    assert total.sum() == 0, "nothing is run before it is asked for"
    assert [repeated(torch.tensor(n)).item() for n in range(6)] == [0, 3, 9, 18, 30, 45]


def test_an_error_in_a_function_comes_out():
    def fail() -> None:
        raise ZeroDivisionError("as told")

    with pytest.raises(ZeroDivisionError, match="as told"):
        Repeated(fail, CPU)()


# ---------------------------------------------------------------- stand-ins for a GPU


class Gpu:
    """Notes what is asked of it; a graph makes, when it is replayed, the calls it has captured."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        self.mode = "host"
        self.graphs: list[Gpu.Graph] = []
        self.num_asides = 0
        gpu = self

        class Stream:
            def __init__(self, device: torch.device | None = None, name: str = "aside") -> None:
                assert device in (None, CUDA)
                self.name = name
                gpu.num_asides += name == "aside"

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
        """A function that is captured, with its inputs, instead of called while a graph is."""

        def call(*inputs: Tensor) -> Tensor:
            result = torch.zeros(())
            if self.mode == "capture":
                self.capturing.calls.append(lambda: result.copy_(work(*inputs)))
            else:
                self.log.append(f"call {self.mode}")
                result.copy_(work(*inputs))
            return result

        return call


@pytest.fixture
def gpu(monkeypatch) -> Iterator[Gpu]:
    graphs._side_stream.cache_clear()
    yield Gpu(monkeypatch)
    graphs._side_stream.cache_clear()


def nothing(*_: Tensor) -> Tensor:
    return torch.zeros(())


def test_three_runs_aside_one_capture_then_replays(gpu):
    repeated = Repeated(gpu.kernel(nothing), CUDA)
    aside = ["aside waits for main", "call aside", "main waits for aside"]
    for expected in (aside, aside, aside, ["capture", "replay"], ["replay"], ["replay"]):
        gpu.log.clear()
        repeated()
        assert gpu.log == expected
    assert len(gpu.graphs) == 1


def test_every_call_does_the_work_once_with_the_inputs_of_the_moment(gpu):
    """Nothing is computed only to warm up, nothing is left out when the graph is captured."""
    total = torch.zeros(())
    repeated = Repeated(gpu.kernel(lambda a, b: total.add_(a).mul_(b)), CUDA)
    expected = 0
    for number in range(8):
        result = repeated(torch.tensor(float(number)), torch.tensor(3))
        expected = (expected + number) * 3
        assert total.item() == result.item() == expected


def test_a_call_leaves_its_inputs_as_they_are(gpu):
    repeated = Repeated(gpu.kernel(lambda given: given.add_(1)), CUDA)
    for _ in range(6):
        given = torch.zeros(())
        assert repeated(given).item() == 1
        assert given.item() == 0


def test_generators_that_are_drawn_from_are_registered_with_the_graph(gpu):
    """No others: each would cost every replay two kernels."""
    generators = [torch.Generator().manual_seed(n) for n in range(3)]

    def draw(given: Tensor) -> Tensor:
        chosen = generators[::2] if len(given) == 1 else generators[1:]
        return sum(torch.rand((), generator=each) for each in chosen)

    repeated = Repeated(gpu.kernel(draw), CUDA, generators)
    for size in (1, 2):
        for _ in range(5):
            repeated(torch.zeros(size))
    assert [graph.generators for graph in gpu.graphs] == [generators[::2], generators[1:]]


def test_all_that_is_run_aside_is_on_one_stream(gpu):
    for _ in range(2):
        repeated = Repeated(gpu.kernel(nothing), CUDA)
        for _ in range(5):
            repeated()
    assert gpu.num_asides == 1


def test_each_function_and_each_shape_has_its_own_graph(gpu):
    sums = Repeated(gpu.kernel(lambda given: given.sum()), CUDA)
    products = Repeated(gpu.kernel(lambda given: given.prod()), CUDA)
    for _ in range(6):
        assert sums(torch.tensor([3.0, 4.0])).item() == 7
        assert sums(torch.tensor([3.0, 4.0, 5.0])).item() == 12
    for _ in range(3):
        assert products(torch.tensor([3.0, 4.0])).item() == 12
    assert len(gpu.graphs) == 2
    assert products(torch.tensor([5.0, 4.0])).item() == 20
    assert len(gpu.graphs) == 3


def test_an_error_before_the_capture_comes_out(gpu):
    def fail() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
        Repeated(fail, CUDA)()
    assert gpu.graphs == []
