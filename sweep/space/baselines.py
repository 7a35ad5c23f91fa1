"""What a search has to beat: configurations that cost no search."""

from __future__ import annotations

from sweep.definitions import Params, Scalar, parameters_of, with_defaults
from sweep.records import Model

__all__ = ["baseline_parameters"]


def baseline_parameters(model: Model) -> dict[str, dict[str, Scalar]]:
    """Whole configurations by the names of `Confirms.baselines`.

    `default` has every hyperparameter at its default; `softmax`, for the MLP alone, is that with
    the output layer as its only one.
    """
    changes: dict[str, Params] = {"default": {}}
    if model == "mlp":
        changes["softmax"] = {"num_layers": 1}
    parameters = parameters_of(model)
    return {name: with_defaults(parameters, changed) for name, changed in changes.items()}
