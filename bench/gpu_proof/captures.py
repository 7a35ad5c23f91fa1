"""A stack whose lanes leave, with CUDA graphs and without: the same losses.

On a CPU there are no graphs, and both are the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch

from gpu_proof.findings import Found, Setting, verdict_of
from gpu_proof.training import apart, config, losses_of, plain_float32
from sweep.training import graphs
from sweep.training.graphs import Repeated

TOLERANCE = 1e-4

_CHANGES = (
    {},
    {"optimizer": "sgd", "dropout": 0.3, "normalization": "batch"},
    {"optimizer": "muon"},
    {"optimizer": "nadam", "weight_averaging": 0.9},
    {"augmentation": "elastic", "flip": "horizontal"},
    {"input_noise": 0.2, "normalization": "layer"},
    {"gradient_clip": 0.3, "max_norm": 0.7, "dropout": 0.1},
    {"num_layers": 1, "label_smoothing": 0.1, "class_weights": "balanced"},
)
_CONFIGS = [
    config(number, **{"epochs": 12, "batch_size": 64, "num_layers": 3, "layer_size": 48, **changes})
    for number, changes in enumerate(_CHANGES)
]
_ENDS = {0: 5, 3: 5, 5: 8, 6: 9}  # the last epoch of those that leave early


@contextmanager
def counted(*, capturing: bool) -> Iterator[list[float]]:
    """Context that collects the seconds of each capture, or has every call made aside."""
    seconds: list[float] = []
    capture = Repeated._capture

    def timed(self, graph):
        started = time.perf_counter()
        result = capture(self, graph)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
        return result

    runs = graphs._WARM_UP_RUNS if capturing else 10**9
    with (
        mock.patch.object(Repeated, "_capture", timed),
        mock.patch.object(graphs, "_WARM_UP_RUNS", runs),
    ):
        yield seconds


def prove(setting: Setting) -> Found:
    """Train the same lanes both ways."""
    device = torch.device(setting.device)
    figures = {}
    with plain_float32() as precision:
        losses = []
        for capturing in (False, True):
            with counted(capturing=capturing) as seconds:
                started = time.perf_counter()
                losses.append(losses_of("stacked", _CONFIGS, device, precision, ends=_ENDS))
                figures["with graphs" if capturing else "without"] = time.perf_counter() - started
    found = apart(losses[1], losses[0])
    wrong = [] if found <= TOLERANCE else [f"losses {found:.2g} apart, over {TOLERANCE:g}"]
    if setting.is_gpu and not seconds:
        wrong.append("nothing was captured")
    words = f"{len(seconds)} captures, losses {found:.1g} apart"
    if not setting.is_gpu:
        words += "; a CPU has no graphs"
    return verdict_of(
        wrong, words, gap=found, tolerance=TOLERANCE, capture_seconds=seconds, seconds=figures
    )
