"""The tasks of the search benchmark: four data sets in two search spaces each, two in a third.

The third space is of the convolutional network. A data set's training pool is split into three
equal parts: one to train on, one to choose on, which the search sees as its validation split, and
one to judge on, which no search sees. Test parts stay sealed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sweep.space import SearchSpace, load_space

__all__ = ["MAX_EPOCHS", "TASKS", "Task"]

MAX_EPOCHS = 20

_DATASETS: dict[str, dict[str, Any]] = {
    "digits": {"name": "digits"},
    "letter": {"table": "tabular/letter.csv", "target": "Letter"},
    "adult": {"table": "tabular/adult.csv", "target": "income"},
    "mnist": {"name": "mnist"},
}
_FIVE: dict[str, Any] = {
    "num_layers": {"low": 2, "high": 6},
    "layer_size": {"choices": [64, 128, 256, 512]},
    "activation": {"choices": ["relu", "leaky_relu", "sigmoid", "tanh"]},
    "weight_decay": {"low": 1e-6, "high": 1e-1, "log": True},
    "epochs": {"low": 5, "high": MAX_EPOCHS},
}
_MORE: dict[str, Any] = {
    "activation": {"choices": ["relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu"]},
    "normalization": {"choices": ["none", "batch", "layer"]},
    "dropout": {"low": 0.0, "high": 0.5},
    "optimizer": {"choices": ["adamw", "sgd"]},
    "momentum": {"low": 0.0, "high": 0.99, "when": {"optimizer": "sgd"}},
    "learning_rate": {"low": 3e-4, "high": 3e-2, "log": True},
    "learning_rate_schedule": {"choices": ["constant", "cosine", "one_cycle"]},
    "label_smoothing": {"low": 0.0, "high": 0.2},
    "batch_size": {"choices": [64, 128, 256]},
}
_CNN: dict[str, Any] = {
    "num_blocks": {"low": 1, "high": 4},
    "channels": {"choices": [8, 12, 16, 24]},
    "kernel_size": {"choices": [3, 5]},
    "pooling": {"choices": ["max", "average", "stride"]},
    "activation": {"choices": ["relu", "silu"]},
    "dropout": {"low": 0.0, "high": 0.5},
    "learning_rate": {"low": 3e-4, "high": 3e-2, "log": True},
    "weight_decay": {"low": 1e-4, "high": 1e-1, "log": True},
    "batch_size": {"choices": [32, 64, 128]},
    "epochs": {"low": 5, "high": MAX_EPOCHS},
}
_SPACES = {"five": _FIVE, "extended": _FIVE | _MORE, "cnn": _CNN}
_NUM_CONFIGURATIONS = 240
_FIXED = {"digits-five": {"batch_size": 32}}
_THINNED = {"mnist-cnn": 4}  # all of it would take four times as long


@dataclass(frozen=True, slots=True)
class Task:
    """One data set in one search space.

    Attributes:
        num_configurations: How many random ones were trained.
        precision: In which they were trained.
        thinning: Of each third of the data, one example of so many is used.
    """

    name: str
    dataset: dict[str, Any]
    parameters: dict[str, Any]
    num_configurations: int
    precision: str
    model: Literal["mlp", "cnn"] = "mlp"
    thinning: int = 1

    @property
    def data(self) -> str:
        """What its name calls the data set."""
        return self.name.partition("-")[0]

    def space(self, **sections: Any) -> SearchSpace:
        """The search space, with other sections as in a YAML file."""
        return load_space(
            {
                "name": self.name,
                "dataset": self.dataset,
                "model": self.model,
                "parameters": self.parameters,
                **sections,
            }
        )


def _task(data: str, space: str) -> Task:
    name = f"{data}-{space}"
    return Task(
        name=name,
        dataset=_DATASETS[data],
        parameters=_SPACES[space] | _FIXED.get(name, {}),
        num_configurations=_NUM_CONFIGURATIONS,
        precision="float32" if data == "digits" else "bfloat16",
        model="cnn" if space == "cnn" else "mlp",
        thinning=_THINNED.get(name, 1),
    )


_IMAGES = ("digits", "mnist")
TASKS = {
    task.name: task
    for task in (
        *(_task(data, space) for data in _DATASETS for space in ("five", "extended")),
        *(_task(data, "cnn") for data in _IMAGES),
    )
}
