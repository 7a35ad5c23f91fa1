"""Who takes part, and with which settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from contestants.serving import Settings

from harness.processes import Contestant

__all__ = ["KINDS", "lineup"]

_PRODUCT_LANES = (1, 16)
_OURS = {
    "sequential": (("float32", 1), ("bfloat16", 1)),
    "stacked": (("float32", 1), ("float32", 16), ("bfloat16", 1), ("bfloat16", 16)),
}
"""Precisions and lanes that each engine of this project is measured with."""


def lineup(kinds: list[str], settings: Settings, cores: int) -> list[Contestant]:
    """The contestants of these kinds, each using all cores.

    Args:
        kinds: Names of `KINDS`.
        settings: Width, epochs and data; threads are chosen here.
        cores: Processor cores of this machine.
    """
    return [row for kind in kinds for row in KINDS[kind](settings, cores)]


def _usual_loop(settings: Settings, cores: int) -> list[Contestant]:
    """One process with all threads, as people run it."""
    settings = replace(settings, threads=cores)
    return [
        Contestant(
            "usual-loop",
            f"usual loop, {count or 'no'} loader processes",
            "contestants.usual_loop",
            replace(settings, loader_processes=count),
        )
        for count in (0, 2)
    ]


def _scikit_learn(settings: Settings, cores: int) -> list[Contestant]:
    row = Contestant(
        "scikit-learn", "scikit-learn", "contestants.scikit_learn", settings, package="sklearn"
    )
    return _both_ways(row, cores)


def _keras(settings: Settings, cores: int) -> list[Contestant]:
    row = Contestant("keras", "Keras 3 (torch)", "contestants.keras_torch", settings)
    return _both_ways(replace(row, package="keras"), cores)


def _ray_tune(settings: Settings, cores: int) -> list[Contestant]:
    """One trial for each core at a time; the processes are Ray's."""
    settings = replace(settings, threads=1, lanes=cores)
    row = Contestant("ray-tune", "Ray Tune, usual loop", "contestants.ray_tune", settings)
    return [replace(row, package="ray", extra="bench-ray")]


def _matrix_products(settings: Settings, cores: int) -> list[Contestant]:
    return [
        row
        for precision in ("float32", "bfloat16")
        for lanes in _PRODUCT_LANES
        for row in _both_ways(
            Contestant(
                "matrix-products",
                "bare matrix products",
                "contestants.matrix_products",
                replace(settings, precision=precision, lanes=lanes),
            ),
            cores,
        )
    ]


def _this_project(settings: Settings, cores: int) -> list[Contestant]:
    """A worker process for each core, as `sweep run` starts them."""
    return [
        Contestant(
            "this-project",
            f"this project, {engine}",
            "contestants.this_project",
            replace(settings, threads=1, engine=engine, precision=precision, lanes=lanes),
            processes=cores,
        )
        for engine, ways in _OURS.items()
        for precision, lanes in ways
    ]


def _both_ways(row: Contestant, cores: int) -> list[Contestant]:
    """One process with all threads, and a process with one thread for each core."""
    together = replace(row, settings=replace(row.settings, threads=cores))
    apart = replace(row, settings=replace(row.settings, threads=1), processes=cores)
    return [together, apart] if cores > 1 else [together]


KINDS: dict[str, Callable[[Settings, int], list[Contestant]]] = {
    "usual-loop": _usual_loop,
    "scikit-learn": _scikit_learn,
    "keras": _keras,
    "ray-tune": _ray_tune,
    "this-project": _this_project,
    "matrix-products": _matrix_products,
}
