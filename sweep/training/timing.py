"""Measures how fast this machine trains the networks of a study, on made-up examples.

Steps are those of the engine itself, so that all that a step costs is in its time.
"""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from sweep.data import Part, TrainingData
from sweep.definitions import Recipe, view
from sweep.records import (
    WORTHWHILE,
    Calibration,
    CalibrationRequest,
    Objective,
    Timing,
    TrialConfig,
)
from sweep.training import PRECISION_NAMES, VALIDATION_BATCH, load_groups
from sweep.training.batches import Batches
from sweep.training.groups import Group
from sweep.training.hardware import choose_precision, hardware_name
from sweep.training.lane import Lane

__all__ = ["calibrate", "fastest", "product_rate"]

_SECONDS = 1.5  # for all measurements together
_MAX_STEPS = 10  # of one measurement, after one that is not counted
_MAX_BYTES = 16 * 2**20  # of made-up inputs: more than a processor's caches keep
_MIN_BATCHES = 2
# A number format whose bare products take longer than float32's by this factor cannot pay.
_HOPELESS = 1.25
_PRODUCT = 256  # rows and columns of the matrices of bare products
_OBJECTIVE = Objective("validation_accuracy", "maximize")


def calibrate(request: CalibrationRequest, seconds: float = _SECONDS) -> Calibration:
    """Measure steps in each promising precision, with one lane and several, one thread and two.

    `start_seconds` is for the caller to fill in. Meant for a process of its own: PyTorch's threads
    are changed, and a second process is forked, which keeps another core busy as training would.
    """
    device = torch.device(request.device)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    bench = _Bench(request, device)
    mix = [_Stack(request.mix, request.mix_flops)] if request.mix else []
    equal = _equal_stacks(request)
    alone, together = equal[: len(request.configs)], equal[len(request.configs) :]
    decisive = mix or alone
    bench.measure(alone[-1], "float32", 1, time.perf_counter() + seconds)  # loads what is lazy
    started = time.perf_counter()
    rates = {name: product_rate(name, device) for name in PRECISION_NAMES}
    names = [name for name, rate in rates.items() if rate * _HOPELESS >= rates["float32"]]
    if request.precision != "auto":
        names = [request.precision]
    deadline = started + seconds
    num_left = len([*alone, *mix]) * len(names) + len([*together, *decisive])

    def measure(stacks: Sequence[_Stack], names: Sequence[str], threads: int = 1) -> list[Timing]:
        """Time each, for a fair share of the time that is left; nothing once there is none."""
        nonlocal num_left
        found: list[Timing] = []
        for stack, name in itertools.product(stacks, names):
            now = time.perf_counter()
            if now < deadline:
                found += bench.measure(stack, name, threads, now + (deadline - now) / num_left)
            num_left -= 1
        return found

    has_two = device.type == "cpu" and request.num_cores > 1
    with _busy_neighbour(bench) if has_two else nullcontext():
        timings, mixed = measure(alone, names), measure(mix, names)
        precision = fastest(mixed, timings) if request.precision == "auto" else request.precision
        timings += measure(together, [precision])
    with_two = measure(decisive, [precision], threads=2) if has_two else []
    return Calibration(
        hardware=hardware_name(device),
        torch=torch.__version__,
        products=rates,
        precision=precision,
        timings=tuple(timings if mix else timings + with_two),
        mixed=tuple(mixed + with_two if mix else mixed),
        start_seconds=0.0,
        seconds=time.perf_counter() - started,
    )


def fastest(*measured: Sequence[Timing]) -> str:
    """The precision that takes least time; float32 unless another one saves a worthwhile share.

    It is compared on what was measured in both, in the first of `measured` that has any of that.
    """
    best, least = "float32", 1 - WORTHWHILE
    for name in PRECISION_NAMES:
        for timings in measured:
            one, plain = (
                {t.step_flops: t.seconds for t in timings if t.precision == each}
                for each in (name, "float32")
            )
            common = one.keys() & plain.keys()
            if common:
                ratio = sum(one[each] for each in common) / sum(plain[each] for each in common)
                if ratio < least:
                    best, least = name, ratio
                break
    return best


@dataclass(frozen=True, eq=False)
class _Stack:
    """Networks to be trained together, and the floating-point operations of a step of one."""

    configs: tuple[TrialConfig, ...]
    step_flops: int


def _equal_stacks(request: CalibrationRequest) -> list[_Stack]:
    """Each network alone, then each in its largest stack, then in a smaller one.

    The largest network comes first, which takes most of a study's time.
    """
    chosen = dict.fromkeys(
        (index, lanes[rank])
        for rank in (0, -1, 1)
        for index, lanes in reversed(list(enumerate(request.lanes)))
        if rank < len(lanes)
    )
    return [
        _Stack(
            tuple(replace(request.configs[index], number=number) for number in range(lanes)),
            request.step_flops[index],
        )
        for index, lanes in chosen
    ]


class _Bench:
    """Groups of networks on made-up examples."""

    def __init__(self, request: CalibrationRequest, device: torch.device) -> None:
        self._request = request
        self._device = device
        self._build = load_groups(request.model, request.engine)
        configs = (*request.configs, *request.mix)
        batch_sizes = [view(Recipe, each.params).batch_size for each in configs]
        self._data = _made_up_data(request, _MIN_BATCHES * max(batch_sizes))

    def group(self, configs: Sequence[TrialConfig], precision: str) -> Group:
        """A stack, ready for its first epoch."""
        batches = Batches(self._data, 0, self._device, choose_precision(precision, self._device))
        return self._build([Lane(config, _OBJECTIVE) for config in configs], batches)

    def measure(self, stack: _Stack, precision: str, threads: int, until: float) -> list[Timing]:
        """Time a few steps, at least one, until about this moment; nothing if it fails."""
        torch.set_num_threads(threads)
        lanes = len(stack.configs)
        # What a user's network raises, or a lack of memory, is for training to report.
        try:
            group = self.group(stack.configs, precision)
            begin = self._timed(group.begin_epoch)
            times: list[float] = []
            for step in itertools.islice(itertools.cycle(range(group.num_steps)), 1 + _MAX_STEPS):
                times.append(self._timed(partial(group.step, step)))
                if len(times) > 1 and time.perf_counter() >= until:
                    break
            end = self._timed(group.finish_epoch)
            keep = sum(self._timed(partial(group.copy_weights, n)) for n in range(lanes))
        except Exception:  # noqa: BLE001
            return []
        share = self._request.num_validation / len(self._data.validation)
        epoch = begin + end * share + keep
        # Other programs only add to a time.
        return [Timing(stack.step_flops, precision, lanes, threads, min(times[1:]), epoch)]

    def keep_busy(self) -> None:
        """Train what a study trains until the process is killed, or its parent was."""
        parent = os.getppid()
        in_the_middle = self._request.configs[len(self._request.configs) // 2]
        group = self.group(self._request.mix or (in_the_middle,), "float32")
        group.begin_epoch()
        for step in itertools.cycle(range(group.num_steps)):
            group.step(step)
            if os.getppid() != parent:
                return

    def _timed(self, work: Callable[[], object]) -> float:
        """The seconds that some work takes."""
        started = time.perf_counter()
        work()
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter() - started


def _made_up_data(request: CalibrationRequest, min_examples: int) -> TrainingData:
    """Random examples of the study's form."""
    spec = request.spec
    random = np.random.default_rng(0)
    is_image = spec.kind == "image"
    num_bytes = spec.num_inputs * (1 if is_image else 4)
    number = max(min_examples, min(spec.num_pool, _MAX_BYTES // num_bytes))
    shape = (number, *spec.input_shape)
    inputs = (
        random.integers(0, 256, shape, np.uint8)
        if is_image
        else random.standard_normal(shape, np.float32)
    )
    train = Part(inputs, random.integers(0, spec.num_classes, number))
    mean, std = np.zeros(spec.num_inputs), np.ones(spec.num_inputs)
    if is_image:
        mean, std = mean + 127.5, std * 73.9
    validation = train.take(np.arange(min(number, request.num_validation, VALIDATION_BATCH)))
    return TrainingData(spec, train, validation, mean, std, "made up")


def product_rate(precision: str, device: torch.device) -> float:
    """Floating-point operations per second of bare matrix products."""
    products = choose_precision(precision, device).products
    left = torch.ones(_PRODUCT, _PRODUCT, dtype=products, device=device)
    times = []
    for _ in range(4):
        started = time.perf_counter()
        left @ left
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return 2 * _PRODUCT**3 / min(times[1:])


@contextmanager
def _busy_neighbour(bench: _Bench) -> Iterator[None]:
    """A forked process that trains on another core: caches, memory and clocks are shared."""
    pid = os.fork()
    if pid == 0:
        try:
            bench.keep_busy()
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
