"""The contestants and their settings."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from contestants.serving import Settings

from harness.processes import Contestant

__all__ = ["KINDS", "lineup"]

KINDS = ("usual-loop", "scikit-learn", "keras", "ray-tune", "this-project", "matrix-products")

# Precision and lanes of the measurements of this project's engines and of the products.
_ONE_LANE = [("float32", 1), ("bfloat16", 1)]
_STACKED = [("float32", 1), ("float32", 16), ("bfloat16", 1), ("bfloat16", 16)]


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
            "this-project", f"this project, {engine}", "this_project",
            engine=engine, precision=precision, lanes=lanes, **apart,
        )
        for engine, measured in (("sequential", _ONE_LANE), ("stacked", _STACKED))
        for precision, lanes in measured
    ]  # fmt: skip
    products = [
        contestant(
            "matrix-products", "bare matrix products", "matrix_products",
            precision=precision, lanes=lanes, **way,
        )
        for precision, lanes in _STACKED
        for way in ways
    ]  # fmt: skip
    everybody = [*usual_loops, *libraries, ray_tune, *ours, *products]
    return [each for each in everybody if each.kind in kinds]
