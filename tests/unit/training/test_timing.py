"""The measurement itself: what is timed, with which limits."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from functools import partial

import pytest
import torch
from helpers import make_calibration_request

from sweep.codec import decode, encode
from sweep.records import Calibration
from sweep.training import timing
from sweep.training.timing import calibrate

_ENOUGH = 600.0  # seconds: ten steps end each measurement on any machine
REQUEST = make_calibration_request(num_cores=2)


@pytest.fixture(autouse=True)
def _settings_of_pytorch():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


def stacks(found: Calibration, threads: int) -> dict[str, set[tuple[int, int]]]:
    """Networks and lanes by precision."""
    grouped: dict[str, set[tuple[int, int]]] = {}
    for each in found.timings:
        if each.threads == threads:
            grouped.setdefault(each.precision, set()).add((each.step_flops, each.lanes))
    return grouped


def test_every_network_is_timed_alone_and_stacked_and_with_two_threads(monkeypatch):
    monkeypatch.setattr(timing, "_HOPELESS", 1e9)  # bfloat16 is measured everywhere
    found = calibrate(REQUEST, seconds=_ENOUGH)
    expected = {(10, 1), (10, 4), (20, 1), (20, 2)}
    of_one = stacks(found, 1)
    assert {"float32", "bfloat16"} <= of_one.keys() == found.products.keys()
    assert of_one["float32"] == of_one["bfloat16"] == of_one["float16"] == expected
    (of_two,) = stacks(found, 2).values()
    assert of_two == {(10, 4), (20, 2)}
    assert all(0 < each.seconds < 10 for each in found.timings)
    assert all(rate > 0 for rate in found.products.values())
    assert decode(Calibration, encode(found)) == found


def test_a_format_whose_products_are_slow_is_not_tried(monkeypatch):
    rates = {"float32": 1e11, "bfloat16": 5e10}
    monkeypatch.setattr(timing, "product_rate", lambda name, _device: rates.get(name, 1.0))
    assert stacks(calibrate(REQUEST, seconds=_ENOUGH), 1).keys() == {"float32"}


def test_one_core_needs_neither_a_neighbour_nor_two_threads(monkeypatch):
    def refuse() -> int:
        raise AssertionError("forked")

    monkeypatch.setattr(os, "fork", refuse)
    found = calibrate(replace(REQUEST, num_cores=1), seconds=_ENOUGH)
    assert found.timings
    assert not stacks(found, 2)


def test_the_neighbour_is_gone_in_the_end(monkeypatch):
    forked = []
    fork = os.fork

    def note() -> int:
        forked.append(fork())
        return forked[-1]

    monkeypatch.setattr(os, "fork", note)
    calibrate(REQUEST, seconds=_ENOUGH)
    (pid,) = forked
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def test_an_epoch_counts_the_whole_validation_split_and_the_weights_of_each_lane_once(monkeypatch):
    seconds = {"begin_epoch": 1.0, "step": 2.0, "finish_epoch": 10.0, "copy_weights": 100.0}

    def timed(_self, work):
        work()
        name = (work.func if isinstance(work, partial) else work).__name__
        return seconds[name]

    monkeypatch.setattr(timing._Bench, "_timed", timed)
    bench = timing._Bench(REQUEST, torch.device("cpu"))
    share = REQUEST.num_validation / len(bench._data.validation)
    request = replace(REQUEST, num_validation=3 * REQUEST.num_validation)
    for asked, scale in ((REQUEST, share), (request, 3 * share)):
        monkeypatch.setattr(bench, "_request", asked)
        (found,) = bench.measure(0, "float32", 4, 1, time.perf_counter() + _ENOUGH, 1)
        assert found.seconds == 2.0
        assert found.epoch_seconds == pytest.approx(1 + 10 * scale + 4 * 100)


def test_without_time_nothing_is_measured():
    found = calibrate(REQUEST, seconds=0.0)
    assert found.timings == ()


def test_a_network_that_fails_is_left_to_training(monkeypatch):
    """One that takes too much memory, say: the others are measured all the same."""
    group = timing._Bench.group

    def fail(self, index, *rest):
        if index == 1:
            raise torch.OutOfMemoryError
        return group(self, index, *rest)

    monkeypatch.setattr(timing._Bench, "group", fail)
    found = calibrate(replace(REQUEST, num_cores=1), seconds=_ENOUGH)
    assert {each.step_flops for each in found.timings} == {10}
