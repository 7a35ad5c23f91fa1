"""Try a user's network once before anything is made: can it be built, run and trained?"""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional

from sweep.definitions import Params
from sweep.families.own import OwnFamily
from sweep.records import DataSpec, Probed

__all__ = ["probe", "require_gradient", "require_logits"]


def probe(family: OwnFamily, params: Params, spec: DataSpec) -> Probed:
    """Build a network on the CPU, run it on batches of two sizes, and compute its gradients.

    Raises whatever the network raises; TypeError or ValueError if its output has another form.
    """
    from torch.utils.flop_counter import FlopCounterMode  # takes half a second

    torch.manual_seed(0)
    network = family.build(params, spec)
    require_real(network)
    trained = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    if not trained:
        raise ValueError("the network has no parameters to train")
    # Formats as in training, whatever the file made the default.
    network = network.to("cpu", torch.float32)
    examples = torch.randn(3, *spec.input_shape, dtype=torch.float32, device="cpu")
    network.eval()
    with torch.no_grad():
        require_logits(network(examples), 3, spec.num_classes)
    network.train()
    with FlopCounterMode(display=False) as counter:
        logits = require_logits(network(examples[:2]), 2, spec.num_classes)
        functional.cross_entropy(logits.float(), torch.zeros(2, dtype=torch.int64)).backward()
    for name, parameter in trained:
        require_gradient(name, parameter)
    return Probed(sum(p.numel() for _, p in trained), counter.get_total_flops() // 2)


def require_logits(logits: object, num_examples: int, num_classes: int) -> Tensor:
    """What a network returned, if it has a number for each example and class.

    Raises:
        TypeError: it is not a tensor.
        ValueError: it has another shape.
    """
    wanted = (num_examples, num_classes)
    if not isinstance(logits, Tensor):
        raise TypeError(
            f"the network must return logits, a tensor of shape {wanted}; found "
            f"{type(logits).__name__}"
        )
    if logits.shape != wanted:
        raise ValueError(
            f"the network must return logits of shape {wanted}, examples by classes; found "
            f"{tuple(logits.shape)}"
        )
    return logits


def require_real(network: nn.Module) -> None:
    """Refuse complex parameters and buffers: a change of precision drops their imaginary part.

    Raises:
        ValueError: one is complex.
    """
    for name, tensor in chain(network.named_parameters(), network.named_buffers()):
        if tensor.is_complex():
            raise ValueError(f"{name} is complex: keep its real form, as torch.view_as_real has it")


def require_gradient(name: str, parameter: Tensor) -> Tensor:
    """The gradient of a parameter.

    Raises:
        ValueError: it has none.
    """
    if parameter.grad is None:
        raise ValueError(
            f"parameter {name} took no part in the loss: use it in forward, or freeze it with "
            "requires_grad_(False)"
        )
    return parameter.grad
