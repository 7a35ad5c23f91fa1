"""A network with its preprocessing inside, and the plain PyTorch code that builds it.

Shape legend: N examples, C channels, H height, W width; M columns of numbers, T columns of text, I
inputs of the network.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from sweep.data import TrainingData
from sweep.errors import SweepFailedError

__all__ = ["EncodeRows", "Standardize", "network_code", "packaged"]


class Standardize(nn.Module):
    """Raw numbers → float32 of mean 0 and standard deviation 1 in the training split."""

    mean: Tensor
    std: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones(shape))

    def forward(self, inputs: Tensor) -> Tensor:
        """Of shape (N, *input_shape)."""
        return (inputs.to(torch.float32) - self.mean) / self.std


class EncodeRows(nn.Module):
    """Rows of a table → float32 inputs: standardised numbers, flags of missing ones, categories.

    Rows are float64, shape (N, M + T): numbers, NaN where they are missing, then codes of
    categories. Those in float64 are computed as they were for training.
    """

    median: Tensor
    mean: Tensor
    scale: Tensor
    flagged: Tensor
    column: Tensor
    code: Tensor

    def __init__(
        self, num_numbers: int, num_flagged: int, num_categories: int, farthest: float
    ) -> None:
        super().__init__()
        self.num_numbers = num_numbers
        self.num_flagged = num_flagged
        self.num_categories = num_categories
        self.farthest = farthest
        for name in ("median", "mean", "scale"):
            self.register_buffer(name, torch.zeros(num_numbers, dtype=torch.float64))
        self.register_buffer("flagged", torch.zeros(num_flagged, dtype=torch.int64))
        self.register_buffer("column", torch.zeros(num_categories, dtype=torch.int64))
        self.register_buffer("code", torch.zeros(num_categories, dtype=torch.float64))

    def forward(self, rows: Tensor) -> Tensor:
        """Inputs, shape (N, I)."""
        parts = []
        if self.num_numbers:
            numbers = rows[:, : self.num_numbers]
            missing = numbers.isnan()
            numbers = (torch.where(missing, self.median, numbers) - self.mean) / self.scale
            parts.append(numbers.clamp(-self.farthest, self.farthest).to(torch.float32))
            if self.num_flagged:
                parts.append(missing[:, self.flagged].to(torch.float32))
        if self.num_categories:
            parts.append((rows[:, self.column] == self.code).to(torch.float32))
        return torch.cat(parts, 1)


def packaged(network: nn.Module, data: TrainingData) -> nn.Sequential:
    """Raw inputs → probabilities, float32 of shape (N, classes), for use and not for training.

    Raw inputs are pixels, uint8 of shape (N, C, H, W); rows of arrays, float32 of shape (N, I); or
    rows of a table as `EncodeRows` takes them. The layers of this package's families are taken one
    by one, without dropout; any other network is one layer.
    """
    is_family = type(network).__module__.startswith("sweep.")
    layers = list(_flat(getattr(network, "layers", network))) if is_family else [network]
    if isinstance(layers[0], nn.Linear) and len(data.spec.input_shape) > 1:
        layers.insert(0, nn.Flatten())
    return nn.Sequential(_preprocessing(data), *layers, nn.Softmax(1)).eval()


def _flat(module: nn.Module) -> Iterator[nn.Module]:
    if isinstance(module, nn.Sequential):
        for child in module:
            yield from _flat(child)
    elif "Dropout" not in type(module).__name__:
        yield module


def _preprocessing(data: TrainingData) -> nn.Module:
    if data.encoder is not None:
        return _encode_rows(data)
    shape = data.spec.input_shape
    moments = [
        torch.tensor(each, dtype=torch.float32).view(shape) for each in (data.mean, data.std)
    ]
    if data.spec.kind == "image":  # the pixels of a channel share them
        moments = [each[:, :1, :1] for each in moments]
    module = Standardize(tuple(moments[0].shape))
    module.load_state_dict(dict(zip(("mean", "std"), moments, strict=True)), assign=True)
    return module


def _encode_rows(data: TrainingData) -> EncodeRows:
    assert data.encoder is not None  # noqa: S101 - for the type checker
    rules, num_numbers = data.encoder.rules, len(data.encoder.numbers)
    places = [
        (num_numbers + position, code)
        for position, column in enumerate(rules.categories)
        for code in range(column.num_inputs)
    ]
    module = EncodeRows(num_numbers, len(rules.flagged), len(places), rules.farthest)
    state: dict[str, Any] = {
        **{name: getattr(rules, name) for name in ("median", "mean", "scale", "flagged")},
        "column": [column for column, _ in places],
        "code": [code for _, code in places],
    }
    like = module.state_dict()
    module.load_state_dict(
        {name: torch.as_tensor(state[name], dtype=like[name].dtype) for name in like}
    )
    return module


# ---------------------------------------------------------------- code

_OWN = (Standardize, EncodeRows)


def network_code(package: nn.Sequential, own: str | None = None) -> tuple[str, str]:
    """What builds a packaged network: the classes that it needs, and an expression.

    `own` is an expression for the one layer that is a user's network.

    Raises:
        SweepFailedError: a layer is not one of PyTorch's own.
    """
    classes = "\n\n".join(inspect.getsource(kind) for kind in _OWN if isinstance(package[0], kind))
    if own is None:
        calls = [_construction(layer) for layer in package]
    else:
        calls = [_construction(package[0]), own, _construction(package[2])]
    layers = "".join(f"        {call},\n" for call in calls)
    return classes, f"nn.Sequential(\n{layers}    )"


def _construction(layer: nn.Module) -> str:
    """The call that makes a layer like this one: `nn.Linear(784, 10)`."""
    kind = type(layer)
    parameters = [
        parameter
        for parameter in inspect.signature(kind).parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        and parameter.name not in ("device", "dtype")
    ]
    is_known = kind in _OWN or getattr(nn, kind.__name__, None) is kind
    if not is_known or not all(hasattr(layer, each.name) for each in parameters):
        raise SweepFailedError(
            f"a layer of the network, {kind.__name__}, cannot be written as plain code; the "
            "formats pt2 and onnx need none"
        )
    arguments = []
    for each in parameters:
        value = getattr(layer, each.name)
        if each.name == "bias":
            value = value is not None
        if each.default is each.empty:
            arguments.append(repr(value))
        elif value not in (each.default, (each.default,) * 2):  # of both sides
            arguments.append(f"{each.name}={value!r}")
    return f"{'' if kind in _OWN else 'nn.'}{kind.__name__}({', '.join(arguments)})"
