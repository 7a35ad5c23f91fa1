"""Trial-epochs per second of the stacked engine over widths and lanes, and what limits them."""

from __future__ import annotations

import time
from typing import Any

import torch

from gpu_proof.ceilings import copied_bytes_per_second, moved_bytes, product_seconds
from gpu_proof.findings import PASSED, Found, Goal, Setting
from gpu_proof.workbench import batches_of, mlp_configs, time_epoch
from sweep.definitions import definition_of
from sweep.execution import Capacity
from sweep.training.batches import Batches

_GOAL = 500  # trial-epochs per second at 64 wide


def prove(setting: Setting) -> Found:
    """Measure each size that there is time for, the smallest first."""
    started = time.perf_counter()
    widths, counts = ((64,), (1, 4)) if setting.small else ((64, 256, 512), (1, 4, 16, 64, 256))
    seconds = 0.02 if setting.small else 0.7
    batches = batches_of(setting)
    bandwidth = copied_bytes_per_second(batches.device, 8 if setting.small else 1024, seconds)
    rows, left_out = [], []
    for width in widths:
        for lanes in counts:
            if time.perf_counter() - started > 0.7 * setting.seconds:
                left_out.append(f"{width} x {lanes}")
            else:
                rows.append(_row(batches, width, lanes, bandwidth, seconds))
    best = max((row for row in rows if row["width"] == 64), key=lambda row: row["rate"])
    words = f"{best['rate']:.0f} trial-epochs/s with {best['lanes']} lanes of 64"
    if left_out:
        words += f"; no time for {', '.join(left_out)}"
    figures = {
        "precision": batches.precision.name,
        "gigabytes_per_second": bandwidth / 1e9,
        "rows": rows,
        "left_out": left_out,
    }
    goal = Goal.at_least(_GOAL, best["rate"], "trial-epochs/s at 64 wide")
    return Found(PASSED, words, figures, [goal])


def _row(
    batches: Batches, width: int, lanes: int, bandwidth: float, seconds: float
) -> dict[str, Any]:
    configs = mlp_configs(width, lanes)
    is_gpu = batches.device.type == "cuda"
    if is_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(batches.device)
    epoch = time_epoch("stacked", configs, batches, "mlp", seconds)
    taken = torch.cuda.max_memory_reserved(batches.device) if is_gpu else 0
    products = product_seconds(width, lanes, batches.device, batches.precision.products, seconds)
    num_parameters = definition_of("mlp").cost(configs[0].params, batches.spec).num_parameters
    room = Capacity(lanes, (), "mlp", batches.spec)
    return {
        "width": width,
        "lanes": lanes,
        "rate": epoch.trial_epochs_per_second,
        "step_ms": epoch.step * 1e3,
        "rest_ms": epoch.rest * 1e3,
        "leaving_ms": epoch.leaving * 1e3,
        "memory_mib": taken / 2**20,
        "memory_expected_mib": lanes * room.lane_bytes(configs[0]) / 2**20,
        "share_of_products": products / epoch.step,
        "share_of_memory": moved_bytes(num_parameters, lanes) / bandwidth / epoch.step,
    }
