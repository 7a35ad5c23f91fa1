"""A residual MLP for tables: pre-normalised blocks with a GELU, as in a transformer.

Adding each block's output to its input lets a deep network train as easily as a shallow one (He et
al. 2016, arXiv:1512.03385); on tables such a network is hard to beat (Gorishniy et al. 2021,
arXiv:2106.11959).
"""

import math

from torch import Tensor, nn


class Block(nn.Module):
    """x + f(x), where f normalises, widens, and narrows again."""

    def __init__(self, width: int, expansion: float, dropout: float) -> None:
        super().__init__()
        hidden = round(width * expansion)
        self.layers = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, width),
            nn.Dropout(dropout),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs + self.layers(inputs)


def build(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    width: int = 128,
    depth: int = 3,
    expansion: float = 2.0,
    dropout: float = 0.1,
) -> nn.Module:
    """A residual MLP with `depth` blocks of `width` features."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(input_shape), width),
        *(Block(width, expansion, dropout) for _ in range(depth)),
        nn.LayerNorm(width),
        nn.Linear(width, num_classes),
    )
