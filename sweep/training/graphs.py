"""Functions of tensors that are called many times; on a GPU, captured as CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

__all__ = ["Repeated"]

# Libraries allocate their workspaces in the first runs, which a capture must not see.
_WARM_UP_RUNS = 3

Result = TypeVar("Result")


class Repeated(Generic[Result]):
    """A function that is called many times; on a GPU, each shape of its inputs has its graph.

    There the fourth call with inputs of these shapes captures the function, and later ones replay
    the graph. The first calls do their work as any other: nothing is computed only to warm up. What
    a call returned is overwritten by the next one.

    Args:
        function: Reads and writes no tensors but its inputs, those that it makes, and others that
            never move; makes the host wait for nothing.
        device: Where the tensors are.
        generators: Sources of random numbers that the function draws from.
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
        """Call the function."""
        if self._device.type != "cuda":
            return self._function(*inputs)
        shapes = tuple(tensor.shape for tensor in inputs)
        if shapes not in self._graphs:
            self._graphs[shapes] = _Graph(self._function, self._device, self._generators, inputs)
        return self._graphs[shapes].run(inputs)


class _Graph(Generic[Result]):
    """Calls a function aside, then captures it, then replays what was captured."""

    def __init__(
        self,
        function: Callable[..., Result],
        device: torch.device,
        generators: Sequence[torch.Generator],
        inputs: Sequence[Tensor],
    ) -> None:
        self._function = function
        self._device = device
        self._generators = generators
        self._inputs = [torch.empty_like(tensor) for tensor in inputs]
        self._runs = 0
        self._captured: tuple[torch.cuda.CUDAGraph, Result] | None = None

    def run(self, inputs: Sequence[Tensor]) -> Result:
        for ours, theirs in zip(self._inputs, inputs, strict=True):
            ours.copy_(theirs)
        if self._runs < _WARM_UP_RUNS:
            self._runs += 1
            return self._call_aside()
        if self._captured is None:
            self._captured = self._capture()
        graph, result = self._captured
        graph.replay()
        return result

    def _call_aside(self) -> Result:
        """On another stream, as warm-up runs before a capture have to be."""
        stream = torch.cuda.Stream(self._device)
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream):
            result = self._function(*self._inputs)
        torch.cuda.current_stream(self._device).wait_stream(stream)
        return result

    def _capture(self) -> tuple[torch.cuda.CUDAGraph, Result]:
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        with torch.cuda.device(self._device), torch.cuda.graph(graph):
            result = self._function(*self._inputs)
        return graph, result
