"""Quotas and limits of control groups, read from a made-up file system."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sweep import control_groups
from sweep.control_groups import available_cores, available_host_bytes
from sweep.execution import place_workers

MOUNT_2 = "41 31 0:38 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw\n"
MOUNT_1 = (
    "30 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "31 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "32 31 0:31 / /elsewhere rw - tmpfs tmpfs rw\n"
)
OWN_1 = "4:memory:/job/step\n3:cpu,cpuacct:/job/step\n1:name=systemd:/x\n0::/y\n"
# As seen in a container: the path outside, and the group itself mounted.
CONTAINER = MOUNT_1.replace(" / /sys", " /docker/1 /sys")
GB = 1_000_000_000


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A file system with these files, of a machine with 8 cores and 32 GB; returns its root."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)

    def make(own: str, mounts: str, **files: str) -> Path:
        files = {
            "proc/self/cgroup": own,
            "proc/self/mountinfo": mounts,
            "proc/meminfo": "MemTotal: 40000000 kB\nMemAvailable:   31250000 kB\n",
            **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
        }
        for name, text in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("quotas", "cores"),
    [
        ({"a/b/cpu.max": "100000 100000\n"}, 1),
        ({"a/b/cpu.max": "150000 100000\n"}, 1),
        ({"a/b/cpu.max": "250000 100000\n"}, 2),
        ({"a/b/cpu.max": "50000 100000\n"}, 1),
        ({"a/b/cpu.max": "max 100000\n"}, 8),
        ({"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),
        ({"a/b/cpu.max": "200000 100000\n", "a/cpu.max": "300000 100000\n"}, 2),
        ({"cpu.max": "400000 100000\n"}, 4),
        ({"a/b/cpu.max": "1600000 100000\n"}, 8),
        ({"other/cpu.max": "100000 100000\n"}, 8),
        ({"a/b/cpu.max": ""}, 8),
        ({}, 8),
    ],
)
def test_the_lowest_quota_of_a_group_and_its_ancestors_counts(machine, quotas, cores):
    assert available_cores(machine("0::/a/b\n", MOUNT_2, **quotas)) == cores


@pytest.mark.parametrize(
    ("mounts", "folder", "quota", "cores"),
    [
        (MOUNT_1, "job/step/", "100000", 1),
        (MOUNT_1, "job/", "200000", 2),
        (MOUNT_1, "", "300000", 3),
        (MOUNT_1, "job/step/", "-1", 8),
        (CONTAINER, "", "200000", 2),
    ],
)
def test_version_1_is_read_too(machine, mounts, folder, quota, cores):
    files = {
        f"cpu,cpuacct/{folder}cpu.cfs_quota_us": f"{quota}\n",
        f"cpu,cpuacct/{folder}cpu.cfs_period_us": "100000\n",
    }
    assert available_cores(machine(OWN_1, mounts, **files)) == cores


def test_without_control_groups_the_affinity_counts(tmp_path, machine):
    assert available_cores(tmp_path) == 8
    assert available_host_bytes(tmp_path) is None
    root = machine("", "")
    assert (available_cores(root), available_host_bytes(root)) == (8, 32 * GB)


def test_workers_and_threads_come_from_the_quota(machine, monkeypatch):
    root = machine("0::/\n", MOUNT_2, **{"cpu.max": "200000 100000\n"})
    monkeypatch.setattr(control_groups.available_cores, "__defaults__", (root,))
    assert [slot.num_threads for slot in place_workers("cpu", None)] == [1, 1]
    assert [slot.num_threads for slot in place_workers("cpu", 1)] == [2]


def test_memory_is_limited_by_every_ancestor_and_copies_of_files_make_way(machine):
    files = {"memory.max": f"{9 * GB}\n", "memory.current": f"{4 * GB}\n"}
    stat = f"anon 1\nactive_file {GB}\ninactive_file {GB}\n"
    above = {f"a/{name}": text for name, text in files.items()} | {"a/memory.stat": stat}
    own = {"a/b/memory.max": "max\n", "a/b/memory.current": "5\n"}
    assert available_host_bytes(machine("0::/a/b\n", MOUNT_2, **above, **own)) == 7 * GB


def test_memory_of_version_1(machine):
    stat = f"active_file 7\ninactive_file 7\ntotal_active_file {GB}\ntotal_inactive_file 0\n"
    files = {
        "memory/job/memory.limit_in_bytes": f"{6 * GB}\n",
        "memory/job/memory.usage_in_bytes": f"{2 * GB}\n",
        "memory/job/memory.stat": stat,
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
        "memory/memory.usage_in_bytes": "1\n",
    }
    assert available_host_bytes(machine(OWN_1, MOUNT_1, **files)) == 5 * GB
