"""The tasks of the search benchmark: four data sets, each in two search spaces.

A data set's training pool is split into three equal parts: one to train on, one to choose on,
which the search sees as its validation split, and one to judge on, which no search sees. Test parts
stay sealed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
_SPACES = {"five": _FIVE, "extended": _FIVE | _MORE}
_NUM_CONFIGURATIONS = {"five": 240, "extended": 240}
_FIXED = {"digits-five": {"batch_size": 32}}


@dataclass(frozen=True, slots=True)
class Task:
    """One data set in one search space.

    Attributes:
        num_configurations: How many random ones were trained.
        precision: In which they were trained.
    """

    name: str
    dataset: dict[str, Any]
    parameters: dict[str, Any]
    num_configurations: int
    precision: str

    @property
    def data(self) -> str:
        """What its name calls the data set."""
        return self.name.partition("-")[0]

    def space(self, **sections: Any) -> SearchSpace:
        """The search space, with other sections as in a YAML file."""
        whole = {"name": self.name, "dataset": self.dataset, "parameters": self.parameters}
        return load_space(whole | sections)


TASKS = {
    f"{data}-{space}": Task(
        name=f"{data}-{space}",
        dataset=dataset,
        parameters=parameters | _FIXED.get(f"{data}-{space}", {}),
        num_configurations=_NUM_CONFIGURATIONS[space],
        precision="float32" if data == "digits" else "bfloat16",
    )
    for data, dataset in _DATASETS.items()
    for space, parameters in _SPACES.items()
}
