"""What training would have measured, made up, for studies of many trials."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from sweep.records import EpochMetrics, Failure, TrialConfig, TrialOutcome, TrialState
from sweep.space import SearchSpace, load_space

SPACE = Path(__file__).parents[2] / "search_spaces" / "mnist.yaml"
FINGERPRINT = "f" * 64
NUM_IMAGES = 10_000  # of MNIST's validation split, and of its test split


def make_space(num_trials: int, epochs: int, **changes: Any) -> SearchSpace:
    """`mnist.yaml` with fixed epochs and, in their place, dropout as a sampled parameter."""
    space = load_space(SPACE).to_json()
    space["parameters"] |= {"epochs": epochs, "dropout": {"low": 0.0, "high": 0.5}}
    return load_space(space | {"enqueue": [], "budget": {"trials": num_trials}} | changes)


def make_metrics(config: TrialConfig, epoch: int, noise: float = 0.0) -> EpochMetrics:
    """A learning curve that depends on the configuration, so that sampler and pruner have work."""
    params = config.params
    limit = 0.985 - 0.02 * abs(math.log10(params["weight_decay"]) + 4) - 0.1 * params["dropout"]
    speed = math.log2(params["layer_size"]) / 8
    share = limit * (1 - math.exp(-speed * (epoch + 2))) + noise
    accuracy = round(min(max(share, 0.1), 0.999) * NUM_IMAGES) / NUM_IMAGES
    loss = -math.log(accuracy)
    values = {
        "train_loss": 0.9 * loss,
        "train_accuracy": min(1.0, accuracy + 0.005),
        "validation_loss": loss,
        "validation_accuracy": accuracy,
        "validation_balanced_accuracy": accuracy,
        "validation_f1_macro": accuracy,
    }
    return EpochMetrics(config.number, epoch, values, learning_rate=1e-3, seconds=1.5)


def make_outcome(
    config: TrialConfig,
    history: list[EpochMetrics],
    predictions: bytes,
    *,
    state: TrialState = TrialState.COMPLETE,
    failure: Failure | None = None,
    weights: bytes | None = None,
) -> TrialOutcome:
    """The end of a trial after these epochs."""
    size = config.params["layer_size"]
    return TrialOutcome(
        trial=config.number,
        state=state,
        history=tuple(history),
        seconds=1.5 * len(history),
        num_parameters=size * (795 + (config.params["num_layers"] - 2) * size),
        device="cpu (AMD EPYC)",
        precision="bfloat16",
        engine="stacked",
        num_threads=1,
        num_lanes=16,
        environment={"python": "3.11.7", "torch": "2.15.0", "sweep": "0.1.0", "commit": "f" * 40},
        data_fingerprint=FINGERPRINT,
        best_epoch=None if failure else max(history, key=accuracy_of).epoch,
        validation_predictions=None if failure else predictions,
        failure=failure,
        weights=weights,
        worker=config.number % 2,
    )


def accuracy_of(metrics: EpochMetrics) -> float:
    return metrics.values["validation_accuracy"]
