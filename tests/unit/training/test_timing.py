"""The measurement itself: what is timed, with which limits."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from functools import partial

import pytest
import torch
from helpers import make_calibration_request, make_config

from sweep.codec import decode, encode
from sweep.records import Calibration, Timing
from sweep.training import timing
from sweep.training.timing import calibrate, fastest

_ENOUGH = 600.0  # seconds: ten steps end each measurement on any machine
REQUEST = make_calibration_request(num_cores=2)


@pytest.fixture(autouse=True)
def _settings_of_pytorch():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


def stacks(found: Calibration, threads: int) -> dict[str, set[tuple[int, int]]]:
    """Networks and lanes by precision, the mix included."""
    grouped: dict[str, set[tuple[int, int]]] = {}
    for each in (*found.timings, *found.mixed):
        if each.threads == threads:
            grouped.setdefault(each.precision, set()).add((each.step_flops, each.lanes))
    return grouped


def test_every_network_is_timed_alone_and_stacked_and_with_two_threads(monkeypatch):
    monkeypatch.setattr(timing, "_HOPELESS", 1e9)  # bfloat16 is measured everywhere
    found = calibrate(REQUEST, seconds=_ENOUGH)
    of_one = stacks(found, 1)
    assert {"float32", "bfloat16"} <= of_one.keys() == found.products.keys()
    early = {(10, 1), (20, 1), (15, 3)}  # decides on the precision of the others
    for name, measured in of_one.items():
        expected = early | {(10, 4), (20, 2)} if name == found.precision else early
        assert measured == expected
    assert stacks(found, 2) == {found.precision: {(15, 3)}}
    assert {each.step_flops for each in found.mixed} == {15}
    assert all(0 < each.seconds < 10 for each in found.timings)
    assert all(rate > 0 for rate in found.products.values())
    assert decode(Calibration, encode(found)) == found


def test_where_trials_are_trained_one_by_one_each_network_is_timed_with_two_threads():
    alone = replace(REQUEST, engine="sequential", lanes=((1,), (1,)), mix=(), mix_flops=0)
    found = calibrate(alone, seconds=_ENOUGH)
    assert found.mixed == ()
    assert stacks(found, 1)["float32"] == {(10, 1), (20, 1)}
    assert stacks(found, 2) == {found.precision: {(10, 1), (20, 1)}}


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_no_other_precision_is_measured_than_the_one_asked_for(name):
    found = calibrate(replace(REQUEST, precision=name), seconds=_ENOUGH)
    assert found.precision == name
    assert stacks(found, 1) == {name: {(10, 1), (10, 4), (20, 1), (20, 2), (15, 3)}}


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
        stack = timing._Stack(tuple(make_config(number=n) for n in range(4)), 10)
        (found,) = bench.measure(stack, "float32", 1, time.perf_counter() + _ENOUGH)
        assert found.seconds == 2.0
        assert found.epoch_seconds == pytest.approx(1 + 10 * scale + 4 * 100)


def test_without_time_nothing_is_measured():
    found = calibrate(REQUEST, seconds=0.0)
    assert found.timings == found.mixed == ()
    assert found.precision == "float32"


@pytest.mark.parametrize(("of_mix", "best"), [(0.5, "bfloat16"), (2.0, "float32")])
def test_the_stacks_of_the_study_decide_on_the_precision(monkeypatch, of_mix, best):
    """Not networks that are trained alone."""

    def measure(_self, stack, precision, threads, _until):
        lanes = len(stack.configs)
        seconds = 1.0 if precision == "float32" else of_mix if lanes == 3 else 1 / of_mix
        return [Timing(stack.step_flops, precision, lanes, threads, seconds, 0.0)]

    monkeypatch.setattr(timing._Bench, "measure", measure)
    monkeypatch.setattr(timing, "_HOPELESS", 1e9)
    assert calibrate(replace(REQUEST, num_cores=1), seconds=_ENOUGH).precision == best


# ---------------------------------------------------------------- which precision is fastest


def of(precision: str, **milliseconds: float) -> list[Timing]:
    """Networks of so many operations (after `of_`) and what a step of theirs takes."""
    return [
        Timing(int(name.removeprefix("of_")), precision, 1, 1, each / 1000, 0.0)
        for name, each in milliseconds.items()
    ]


@pytest.mark.parametrize(
    ("float32", "bfloat16", "best"),
    [
        ({"of_1": 1, "of_9": 5}, {"of_1": 2, "of_9": 3.5}, "bfloat16"),
        ({"of_1": 1, "of_9": 5}, {"of_1": 2, "of_9": 4.5}, "float32"),
        ({"of_1": 10}, {"of_1": 9.8}, "float32"),  # next to nothing is saved
        ({"of_1": 10}, {"of_1": 9.6}, "bfloat16"),
        # Time ran out before the small one was measured in bfloat16.
        ({"of_1": 1, "of_9": 5}, {"of_9": 4.5}, "bfloat16"),
        ({"of_1": 1}, {"of_9": 0.5}, "float32"),
        ({"of_1": 1}, {}, "float32"),
        ({}, {"of_1": 1}, "float32"),
    ],
    ids=str,
)
def test_the_fastest_precision_is_that_of_all_networks_together(float32, bfloat16, best):
    assert fastest([*of("float32", **float32), *of("bfloat16", **bfloat16)]) == best


def test_what_is_trained_decides_over_single_networks():
    alone = [*of("float32", of_1=1), *of("bfloat16", of_1=2)]
    mixed = [*of("float32", of_5=5), *of("bfloat16", of_5=4)]
    assert fastest(mixed, alone) == "bfloat16"
    assert fastest(mixed[:1], alone) == "float32"
    alone = [*of("float32", of_1=1), *of("bfloat16", of_1=0.9), *of("float16", of_1=0.8)]
    assert fastest(mixed[:1], alone) == "float16"


def test_a_network_that_fails_is_left_to_training(monkeypatch):
    """One that takes too much memory, say: the others are measured all the same."""
    group = timing._Bench.group

    def fail(self, configs, *rest):
        if any(config.params["layer_size"] == 64 for config in configs):
            raise torch.OutOfMemoryError
        return group(self, configs, *rest)

    monkeypatch.setattr(timing._Bench, "group", fail)
    found = calibrate(replace(REQUEST, num_cores=1), seconds=_ENOUGH)
    assert {each.step_flops for each in found.timings} == {10}
    assert {each.step_flops for each in found.mixed} == {15}
