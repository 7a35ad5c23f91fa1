"""Functions of tensors that are called many times; on a GPU, captured as CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Generic, TypeVar

import torch
from torch import Tensor

__all__ = ["Repeated"]

# Libraries allocate their workspaces in the first runs, which a capture must not see.
_WARM_UP_RUNS = 3

Result = TypeVar("Result")


@cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """One for all functions: for each stream, cuBLAS and the allocator keep memory of its own."""
    return torch.cuda.Stream(device)


@dataclass(slots=True)
class _Graph(Generic[Result]):
    """The graph for one shape of the inputs; what it reads, and what it draws from."""

    inputs: list[Tensor]
    num_runs: int = 0
    drawn: list[torch.Generator] = field(default_factory=list)
    captured: tuple[torch.cuda.CUDAGraph, Result] | None = None


class Repeated(Generic[Result]):
    """A function that is called many times; on a GPU, there is one graph per input shape.

    There the fourth call with inputs of one shape captures the function, and later calls replay the
    graph. The first calls do real work: nothing is computed only to warm up. Each call overwrites
    what the previous one returned.

    Args:
        function: Reads and writes only its inputs, tensors that it makes, and tensors that never
            move; never makes the host wait.
        device: Where the tensors are.
        generators: Sources of the random numbers that the function may draw; each call draws from
            the same ones.
    """

    def __init__(
        self,
        function: Callable[..., Result],
        device: torch.device,
        generators: Sequence[torch.Generator] = (),
    ) -> None:
        self._function = function
        self._device = device
        self._generators = generators
        self._graphs: dict[tuple[torch.Size, ...], _Graph[Result]] = {}

    def __call__(self, *inputs: Tensor) -> Result:
        """Call the function, or replay its graph."""
        if self._device.type != "cuda":
            return self._function(*inputs)
        shapes = tuple(tensor.shape for tensor in inputs)
        if shapes not in self._graphs:
            self._graphs[shapes] = _Graph([torch.empty_like(tensor) for tensor in inputs])
        graph = self._graphs[shapes]
        for ours, theirs in zip(graph.inputs, inputs, strict=True):
            ours.copy_(theirs)
        if graph.num_runs < _WARM_UP_RUNS:
            return self._warm_up(graph)
        if graph.captured is None:
            graph.captured = self._capture(graph)
        cuda_graph, captured = graph.captured
        cuda_graph.replay()
        return captured

    def _warm_up(self, graph: _Graph[Result]) -> Result:
        graph.num_runs += 1
        before = [generator.get_state() for generator in self._generators]
        result = self._call_aside(graph.inputs)
        # Each replay launches two kernels for every registered generator, drawn from or not.
        graph.drawn = [
            generator
            for generator, state in zip(self._generators, before, strict=True)
            if not torch.equal(generator.get_state(), state)
        ]
        return result

    def _call_aside(self, inputs: Sequence[Tensor]) -> Result:
        """Warm-up runs before a capture need a stream that is not the default one."""
        stream = _side_stream(self._device)
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream):
            result = self._function(*inputs)
        torch.cuda.current_stream(self._device).wait_stream(stream)
        return result

    def _capture(self, graph: _Graph[Result]) -> tuple[torch.cuda.CUDAGraph, Result]:
        cuda_graph = torch.cuda.CUDAGraph()
        for generator in graph.drawn:
            cuda_graph.register_generator_state(generator)
        with torch.cuda.device(self._device), torch.cuda.graph(cuda_graph):
            result = self._function(*graph.inputs)
        return cuda_graph, result
