"""A search space from its parameters, and answers to what it asks for."""

from __future__ import annotations

from typing import Any

from sweep.space import SearchSpace, load_space


def make(parameters: dict[str, Any] | None = None, **rest: Any) -> SearchSpace:
    return load_space({"name": "x", "dataset": "digits", "parameters": parameters or {}, **rest})


class Scripted:
    """Answers with given values and notes what it was asked for."""

    def __init__(self, **values: Any) -> None:
        self.values = values
        self.asked: list[str] = []

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        self.asked.append(name)
        return self.values.get(name, low)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float:
        self.asked.append(name)
        return self.values.get(name, low)

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        self.asked.append(name)
        return self.values.get(name, choices[0])
