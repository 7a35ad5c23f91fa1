"""Studies whose values follow a given rule, for statistics that must find it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hand_made import make_study
from helpers import make_metrics

from sweep.records import StudyRecord, TrialOutcome, TrialRecord, TrialState
from sweep.space import SearchSpace, load_space

PARAMETERS: dict[str, Any] = {
    "num_layers": {"low": 2, "high": 6},
    "layer_size": {"low": 16, "high": 512, "log": True},
    "activation": {"choices": ["relu", "tanh", "sigmoid"]},
    "weight_decay": {"low": 1e-6, "high": 1e-1, "log": True},
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "optimizer": {"choices": ["adamw", "sgd"]},
    "momentum": {"low": 0.0, "high": 0.99, "when": {"optimizer": "sgd"}},
    "dropout": {"low": 0.0, "high": 0.5, "step": 0.1},
    "epochs": 3,
}

Rule = Callable[[dict[str, Any]], float]


WIDE_SPACE: SearchSpace = load_space(
    {
        "name": "simulated",
        "dataset": "digits",
        "parameters": PARAMETERS,
        "sampler": {"type": "random"},
    }
)
"""Every kind of parameter: whole, real, logarithmic, stepped, chosen and conditional."""


def simulate(
    num_trials: int,
    rule: Rule,
    seed: int = 0,
    noise: float = 0.01,
    space: SearchSpace | None = None,
) -> StudyRecord:
    """A study by random search whose validation accuracy is the rule's, and noise."""
    random = np.random.default_rng(seed)
    trials: list[TrialRecord] = []
    for number in range(num_trials):
        params: dict[str, Any] = {
            "num_layers": int(random.integers(2, 7)),
            "layer_size": int(2 ** random.uniform(4, 9)),
            "activation": str(random.choice(["relu", "tanh", "sigmoid"])),
            "weight_decay": float(10 ** random.uniform(-6, -1)),
            "epochs": 3,
            "learning_rate": float(10 ** random.uniform(-4, -1)),
            "batch_size": 128,
            "optimizer": str(random.choice(["adamw", "sgd"])),
            "momentum": float(random.uniform(0, 0.99)),
            "dropout": float(random.integers(6) / 10),
            "learning_rate_schedule": "cosine",
        }
        accuracy = rule(params) + noise * float(random.normal())
        history = (make_metrics(number, 1, accuracy),)
        outcome = TrialOutcome(number, TrialState.COMPLETE, history=history, best_epoch=1)
        trials.append(TrialRecord(number, TrialState.COMPLETE, params, {}, outcome))
    return make_study(trials, WIDE_SPACE)
