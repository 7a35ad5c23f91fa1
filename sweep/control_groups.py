"""What the operating system says of the processor, and lets this process use. No torch here.

Linux limits both in control groups, of version 1 or 2: a container, a systemd unit or a job has its
own. What holds is the lowest limit of the process's own group and its ancestors.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["available_cores", "available_host_bytes", "processor"]

_ROOT = Path("/")
_PROCESSOR_FIELDS = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags")


def available_cores(root: Path = _ROOT) -> int:
    """CPU cores that this process may keep busy: by its affinity, and its control groups' quotas.

    A quota of 1.5 cores counts as one: the driver works, too. `root` is where `proc` and the
    mounted control groups are found.
    """
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(1, min([cores, *_quotas(root)]))


def available_host_bytes(root: Path = _ROOT) -> int | None:
    """What Linux reports as available memory, within the control groups' limits; None elsewhere."""
    limits = [
        int(line.split()[1]) * 1024
        for line in _lines(root / "proc/meminfo")
        if line.startswith("MemAvailable:")
    ]
    for folder in _groups("memory", root):
        for limit, usage in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            numbers = _numbers(folder / limit) + _numbers(folder / usage)
            if len(numbers) == 2:
                limits.append(max(0, numbers[0] - numbers[1] + _cached_bytes(folder)))
    return min(limits, default=None)


def processor(root: Path = _ROOT) -> dict[str, str]:
    """What Linux says of the first processor, empty text for what it does not say.

    Two processors of one name may differ in their flags.
    """
    pairs = [line.partition(":") for line in _lines(root / "proc/cpuinfo")]
    found = {key.strip(): value.strip() for key, _, value in reversed(pairs)}
    return {name: found.get(name, "") for name in _PROCESSOR_FIELDS}


def _cached_bytes(folder: Path) -> int:
    """What a group uses for copies of files, which make way when memory is needed."""
    words = (line.split() for line in _lines(folder / "memory.stat"))
    counts = {word: int(number) for word, number in words}
    total = "total_" if "total_active_file" in counts else ""  # descendants included, in version 1
    return sum(counts.get(f"{total}{name}_file", 0) for name in ("active", "inactive"))


def _quotas(root: Path) -> Iterator[int]:
    """Whole cores of each quota that is set."""
    for folder in _groups("cpu", root):
        period = _numbers(folder / "cpu.cfs_period_us")
        numbers = _numbers(folder / "cpu.max") or _numbers(folder / "cpu.cfs_quota_us") + period
        if len(numbers) == 2 and min(numbers) > 0:  # a quota of -1 is none
            yield numbers[0] // numbers[1]


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """The folders of the process's own control group and of its ancestors, as far as mounted."""
    own: dict[str, str] = {}
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        own |= dict.fromkeys(controllers.split(","), path)  # version 2 names no controllers
    for line in _lines(root / "proc/self/mountinfo"):
        mount, _, kind = line.partition(" - ")
        _, _, _, mounted, point = mount.split()[:5]
        version, _, options = kind.split()[:3]
        name = {"cgroup2": "", "cgroup": controller}.get(version)
        if name not in own or (name and name not in options.split(",")):
            continue
        top = root / point.lstrip("/")
        group = Path(own[name])
        # In a container, the group's path may be the one outside; then its own group is mounted.
        inside = group.relative_to(mounted) if group.is_relative_to(mounted) else Path()
        yield from (top / part for part in (inside, *inside.parents))


def _numbers(file: Path) -> list[int]:
    """The numbers in a file, unless it is missing or says something else, such as `max`."""
    try:
        return [int(word) for line in _lines(file) for word in line.split()]
    except ValueError:
        return []


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
