"""The contestants and their settings."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from contestants.serving import Settings
from contestants.this_project import choose_automatically

from harness.processes import Contestant

__all__ = ["KINDS", "lineup"]

KINDS = (
    "usual-loop", "scikit-learn", "keras", "ray-tune", "this-project", "auto", "matrix-products",
    "optimizer-bytes",
)  # fmt: skip

LANES = (1, 2, 4, 8, 16)
PRECISIONS = ("float32", "bfloat16")


def lineup(kinds: Collection[str], settings: Settings, cores: int) -> list[Contestant]:
    """The contestants of these kinds, each using all cores.

    Args:
        kinds: Some of `KINDS`.
        settings: Width, epochs and data; threads are chosen here.
        cores: Processor cores of this machine.
    """

    def contestant(
        kind: str, name: str, module: str, *, processes: int = 1, package: str = "torch",
        extra: str = "bench", **changes: Any,
    ) -> Contestant:  # fmt: skip
        own = replace(settings, **changes)
        return Contestant(kind, name, f"contestants.{module}", own, processes, package, extra)

    together = {"threads": cores}  # in one process, which is how rivals are usually run
    apart = {"threads": 1, "processes": cores}  # as the workers of `sweep run`
    ways = [together, apart] if cores > 1 else [together]
    usual_loops = [
        contestant(
            "usual-loop", f"usual loop, {count or 'no'} loader processes", "usual_loop",
            loader_processes=count, **together,
        )
        for count in (0, 2)
    ]  # fmt: skip
    libraries = [
        contestant(kind, name, module, package=package, **way)
        for kind, name, module, package in (
            ("scikit-learn", "scikit-learn", "scikit_learn", "sklearn"),
            ("keras", "Keras 3 (torch)", "keras_torch", "keras"),
        )
        for way in ways
    ]
    ray_tune = contestant(  # one trial per core at a time; the processes are Ray's
        "ray-tune", "Ray Tune, usual loop", "ray_tune",
        package="ray", extra="bench-ray", threads=1, lanes=cores,
    )  # fmt: skip
    ours = [
        contestant(
            "this-project", "this project, by hand", "this_project",
            engine="stacked", precision=precision, lanes=lanes, **apart,
        )
        for precision in PRECISIONS
        for lanes in LANES
    ]  # fmt: skip
    products = [
        contestant(
            "matrix-products", "bare matrix products", "matrix_products",
            precision=precision, lanes=lanes, **apart,
        )
        for precision in PRECISIONS
        for lanes in (1, 16)
    ]  # fmt: skip
    traffic = contestant("optimizer-bytes", "bytes of AdamW alone", "optimizer_bytes", **apart)
    everybody = [*usual_loops, *libraries, ray_tune, *ours, *products, traffic]
    if "auto" in kinds:
        everybody.append(_automatic(settings))
    return [each for each in everybody if each.kind in kinds]


def _automatic(settings: Settings) -> Contestant:
    """What this project chooses by itself; the choice is made here, on the idle machine."""
    found = choose_automatically(settings.width, settings.data_dir)
    own = replace(
        settings, engine="stacked", precision=found.precision, lanes=found.lanes,
        threads=found.threads,
    )  # fmt: skip
    return Contestant(
        "auto", "this project, auto", "contestants.this_project", own, found.processes
    )
