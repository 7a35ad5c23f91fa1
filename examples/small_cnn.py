"""A small CNN for images of any size: batch norm, one pooling for each stage, global pooling.

Each stage has two 3 x 3 convolutions (Simonyan and Zisserman 2015, arXiv:1409.1556), halves the
image and doubles the channels. Averaging over what is left of the image replaces wide hidden layers
(Lin et al. 2014, arXiv:1312.4400), so that few parameters do.
"""

from torch import nn


def convolution(num_inputs: int, num_outputs: int) -> nn.Sequential:
    """A 3 x 3 convolution that keeps the image's size; batch norm has the bias."""
    return nn.Sequential(
        nn.Conv2d(num_inputs, num_outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(num_outputs),
        nn.ReLU(),
    )


def build(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    channels: int = 16,
    stages: int = 2,
    dropout: float = 0.1,
) -> nn.Module:
    """A CNN with `channels` channels in its first stage; each stage after it halves the image."""
    layers: list[nn.Module] = []
    before = input_shape[0]
    for stage in range(stages):
        after = channels * 2**stage
        if stage > 0:
            layers.append(nn.MaxPool2d(2))
        layers += [convolution(before, after), convolution(after, after)]
        before = after
    pooled = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, *pooled, nn.Linear(before, num_classes))
