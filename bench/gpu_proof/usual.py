"""The engine against the usual loop on the same device, three hidden layers of 64."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from contestants import usual_loop, workload
from harness.machine import num_cores
from harness.mnist import unpacked_mnist

from gpu_proof.findings import PASSED, Found, Goal, Setting
from gpu_proof.workbench import batches_of, mlp_configs, time_epoch

_WIDTH = 64
_GOAL = 100


def prove(setting: Setting) -> Found:
    """Time part of an epoch of the loop, without loader processes and with them."""
    rates = {}
    with unpacked_mnist(Path(setting.data_dir)) as data_dir:
        for processes in (0,) if setting.small else (0, min(8, num_cores())):
            rate = usual_rate(data_dir, processes, setting)
            rates[f"{processes} loader processes"] = rate
    configs = mlp_configs(_WIDTH, 2 if setting.small else 256)
    epoch = time_epoch(
        "stacked", configs, batches_of(setting), "mlp", 0.02 if setting.small else 2.0
    )
    ours = epoch.trial_epochs_per_second
    times = ours / max(rates.values())
    words = f"{times:.0f} times: {ours:.0f} trial-epochs/s against {max(rates.values()):.2g}"
    goal = Goal.at_least(_GOAL, times, "times the usual loop")
    return Found(PASSED, words, {"usual": rates, "engine": ours, "times": times}, [goal])


def usual_rate(data_dir: str, loader_processes: int, setting: Setting) -> float:
    """Epochs per second, from some of an epoch's steps after as many to warm up."""
    torch.set_num_threads(num_cores())
    loader = usual_loop.build_loader(data_dir, loader_processes)
    steps = 2 if setting.small else 200

    def train() -> None:
        usual_loop.train(loader, _WIDTH, 1, lambda *_: None, steps, setting.device)

    train()
    started = time.perf_counter()
    train()
    return steps / workload.NUM_STEPS / (time.perf_counter() - started)
