"""Memory runs out for real: the sweep has to complete with fewer lanes.

PyTorch may take only a part of the GPU here. The driver sees all of it free, starts many lanes, and
the allocator refuses.
"""

from __future__ import annotations

import torch

import sweep
from gpu_proof import studies
from gpu_proof.findings import NOT_APPLICABLE, Found, Setting, verdict_of
from gpu_proof.training import config, digits
from sweep.execution import Capacity
from sweep.records import StudyRecord
from sweep.space import load_space

_LANES = 32
_FIXED_BYTES = 1 << 29  # workspaces of libraries, which PyTorch counts
_SPACE = studies.space(_LANES, 2, layer_size=2048, num_layers=3)


def prove(setting: Setting) -> Found:
    """Run a sweep in this process with room for a few of its lanes."""
    if not setting.is_gpu:
        return Found(NOT_APPLICABLE, "it is the memory of a GPU that is to run out")
    device = torch.device(setting.device)
    total = torch.cuda.mem_get_info(device)[1]
    room = lane_bytes() * _LANES // 6 + _FIXED_BYTES
    torch.cuda.set_per_process_memory_fraction(min(1.0, room / total), device)
    study = complete(setting)
    refused = torch.cuda.memory_stats(device)["num_ooms"]
    return verdict_of(
        judge(study, refused),
        f"refused {refused} times, then complete with stacks of at most {most_lanes(study)}",
        refused=refused,
        room_mib=room >> 20,
        most_lanes=most_lanes(study),
    )


def complete(setting: Setting) -> StudyRecord:
    """Run the sweep in this process."""
    return sweep.run(
        _SPACE,
        storage=studies.storage(setting),
        data_dir=setting.data_dir,
        device=setting.device,
        workers=1,
        lanes=_LANES,
        engine="stacked",
        executor="inline",
    )


def lane_bytes() -> int:
    """What the driver believes that a lane needs."""
    params = load_space(_SPACE).to_json()["parameters"]
    fixed = {name: params[name] for name in ("layer_size", "num_layers", "batch_size")}
    return Capacity(_LANES, 1e15, "mlp", digits().spec).lane_bytes(config(0, **fixed))


def most_lanes(study: StudyRecord) -> int:
    return max(trial.outcome.num_lanes if trial.outcome else 0 for trial in study.trials)


def judge(study: StudyRecord, refused: int) -> list[str]:
    """What is wrong with the study."""
    wrong = studies.incomplete(study, _LANES)
    if not refused:
        wrong.append("memory never ran out, so nothing was shown")
    elif most_lanes(study) >= _LANES:
        wrong.append(f"all {_LANES} trials were trained together, although memory ran out")
    return wrong
