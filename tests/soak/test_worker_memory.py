"""A worker's memory does not grow with the number of different networks that it has trained."""

from __future__ import annotations

import psutil
import pytest
from helpers import start_cli

pytestmark = pytest.mark.soak

SPACE = """
name: shapes
dataset: digits
parameters:
  layer_size: {low: 8, high: 256}
  num_layers: {low: 1, high: 5}
  batch_size: {choices: [32, 64, 128]}
  epochs: 1
sampler: random
budget: {trials: 1500}
"""
WARM = 300  # trials after which a worker has met most that it keeps
MAX_GROWTH = 100e6  # bytes; 1,000 trials took 270e6 before the engine was rewritten


def test_memory_does_not_grow_with_the_shapes_of_networks(tmp_path):
    (tmp_path / "shapes.yaml").write_text(SPACE)
    sizes: list[int] = []
    with start_cli("run", "shapes.yaml", "--workers", 1, cwd=tmp_path) as driver:
        for number, _ in enumerate(line for line in driver.stderr if line.startswith("[")):
            if number >= WARM and number % 100 == 0:
                family = psutil.Process(driver.pid).children(recursive=True)
                sizes.append(max(process.memory_info().rss for process in family))
    assert len(sizes) > 10
    assert max(sizes) - sizes[0] < MAX_GROWTH, sizes
