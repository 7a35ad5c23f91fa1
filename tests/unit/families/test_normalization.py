"""Normalisation of lanes in bfloat16; all else about it is in test_stacked_mlp.py."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from sweep.families.mlp.normalization import BatchNorm, LayerNorm


@pytest.mark.parametrize("kind", [BatchNorm, LayerNorm])
def test_under_autocast_it_is_computed_in_float32(kind):
    """Of sums far from 0, whose mean in bfloat16 would be off by half of their deviation."""
    torch.manual_seed(0)
    sums = (100 + torch.randn(2, 8, 32)).to(torch.bfloat16)
    sums[0, 6:] = 0
    norm = kind([6, 8], 8, torch.zeros(0))
    weight, _ = norm.parameters
    torch.nn.init.ones_(weight)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = norm.forward(sums, is_training=True)
    for lane, size in enumerate((6, 8)):
        units = sums[lane, :size].float()
        expected = (
            functional.layer_norm(units.T, (size,)).T
            if kind is LayerNorm
            else functional.batch_norm(units.T, None, None, training=True).T
        )
        ours = outputs[lane, :size].float()
        torch.testing.assert_close(ours, expected, rtol=0.01, atol=0.01)
