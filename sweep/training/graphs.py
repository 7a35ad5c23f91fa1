"""Programs that are run many times; on a GPU, captured as CUDA graphs."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sweep.models import Program

__all__ = ["RepeatedProgram"]

# Libraries allocate their workspaces in the first runs, which a capture must not see.
_WARM_UP_RUNS = 3


class RepeatedProgram:
    """Runs a program; on a GPU the fourth run captures it, and later ones replay the graph.

    The first runs do their work as any other: nothing is computed only to warm up.

    Args:
        program: Calls on tensors that never move, without a synchronisation among them.
        device: Where the tensors are.
        generators: Sources of random numbers that the program draws from.
    """

    def __init__(
        self, program: Program, device: torch.device, generators: Sequence[torch.Generator] = ()
    ) -> None:
        self._program = program
        self._device = device
        self._generators = generators
        self._runs = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def run(self) -> None:
        """Run it once."""
        if self._device.type != "cuda":
            self._call()
        elif self._graph is not None:
            self._graph.replay()
        elif self._runs < _WARM_UP_RUNS:
            self._runs += 1
            self._call_aside()
        else:
            self._graph = self._capture()
            self._graph.replay()

    def _call(self) -> None:
        for call in self._program:
            call()

    def _call_aside(self) -> None:
        """On another stream, as warm-up runs before a capture have to be."""
        stream = torch.cuda.Stream(self._device)
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream):
            self._call()
        torch.cuda.current_stream(self._device).wait_stream(stream)

    def _capture(self) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        with torch.cuda.device(self._device), torch.cuda.graph(graph):
            self._call()
        return graph
