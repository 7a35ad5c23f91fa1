"""Where workers run."""

from __future__ import annotations

import os

import pytest

from sweep.errors import DeviceError, InputError
from sweep.execution import devices, place_workers


@pytest.fixture
def machine(monkeypatch):
    """Pretend to have so many GPUs and cores."""

    def pretend(gpus: int, cores: int = 8) -> None:
        monkeypatch.setattr(devices, "_count_gpus", lambda: gpus)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
        monkeypatch.setattr(os, "cpu_count", lambda: cores)

    return pretend


def placed(device: str, workers: int | None) -> list[tuple[str, int]]:
    return [(p.device, p.num_threads) for p in place_workers(device, workers)]


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_without_a_gpu_each_core_gets_a_worker(machine, device):
    machine(gpus=0, cores=4)
    assert placed(device, None) == [("cpu", 1)] * 4


@pytest.mark.parametrize(("workers", "threads"), [(1, 8), (2, 4), (3, 2), (8, 1), (20, 1)])
def test_cores_are_shared_among_workers(machine, workers, threads):
    machine(gpus=0)
    assert placed("cpu", workers) == [("cpu", threads)] * workers


@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:0,1", "cuda:1,0", "cuda:0,1,1"])
def test_each_gpu_gets_a_worker(machine, device):
    machine(gpus=2)
    assert placed(device, None) == [("cuda:0", 4), ("cuda:1", 4)]


def test_one_gpu_may_be_named(machine):
    machine(gpus=2)
    assert placed("cuda:1", None) == [("cuda:1", 8)]


def test_workers_share_gpus_in_turn(machine):
    machine(gpus=2)
    assert [device for device, _ in placed("auto", 4)] == ["cuda:0", "cuda:1"] * 2


def test_workers_are_told_how_many_share_the_memory_of_their_device(machine):
    machine(gpus=2)
    assert [slot.num_sharing for slot in place_workers("auto", 3)] == [2, 1, 2]
    assert [slot.num_sharing for slot in place_workers("cpu", 3)] == [3, 3, 3]


def test_the_cpu_may_be_chosen_in_spite_of_a_gpu(machine):
    machine(gpus=2, cores=1)
    assert placed("cpu", None) == [("cpu", 1)]


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_cuda_without_a_gpu_is_refused(machine, device):
    machine(gpus=0)
    with pytest.raises(DeviceError, match=f"'{device}' .* no GPU here; use --device cpu"):
        place_workers(device, None)


def test_a_gpu_that_is_not_there_is_refused(machine):
    machine(gpus=2)
    with pytest.raises(DeviceError, match="'cuda:0,9' names GPU 9, but there are 2"):
        place_workers("cuda:0,9", None)


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:0,", "CPU"])
def test_nonsense_is_refused(machine, device):
    machine(gpus=2)
    with pytest.raises(InputError, match="device must be auto, cpu, cuda or cuda:0,1; found"):
        place_workers(device, None)


@pytest.mark.parametrize("workers", [0, -1])
def test_there_is_at_least_one_worker(workers):
    with pytest.raises(InputError, match=f"workers must be at least 1; found {workers}"):
        place_workers("cpu", workers)
