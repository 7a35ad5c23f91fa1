"""The parts of the proof, in the order in which they run: what has to hold first, then figures."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PARTS", "Part"]


@dataclass(frozen=True, slots=True)
class Part:
    """One part, proved in a process of its own.

    Attributes:
        name: On the command line and in the table.
        module: Has `prove(setting) -> Found`.
        seconds: It is stopped after so many; all parts together have less than nine minutes.
        meaning: What it shows.
    """

    name: str
    module: str
    seconds: int
    meaning: str


PARTS = (
    Part("engines", "gpu_proof.engines", 40, "both engines agree with float32 on the CPU"),
    Part("recipe", "gpu_proof.recipe", 100, "so does every hyperparameter"),
    Part("graphs", "gpu_proof.captures", 30, "CUDA graphs change no loss while lanes leave"),
    Part("memory", "gpu_proof.memory", 45, "a sweep that runs out of memory completes"),
    Part("workers", "gpu_proof.two_workers", 40, "two workers share the GPU"),
    Part("kill", "gpu_proof.killing", 60, "a killed sweep resumes from its checkpoints"),
    Part("sweep", "gpu_proof.whole_sweep", 80, "how long a whole command takes"),
    Part("usual", "gpu_proof.usual", 45, "how many times the usual loop's speed that is"),
    Part("cnn", "gpu_proof.cnn", 20, "how fast the CNN trains"),
    Part("speed", "gpu_proof.speed", 75, "how fast the engine trains, and what limits it"),
)
