from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sweep.data import TrainingData, load_training_data


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As in a worker: threads that wait for each other cost more than such small products."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def digits() -> TrainingData:
    """1,198 images to train on, 239 to validate."""
    return load_training_data("digits", Path("nowhere"), num_validation=None, split_seed=0)


@pytest.fixture(scope="session")
def small(digits: TrainingData) -> TrainingData:
    """120 images to train on, 60 to validate."""
    return replace(
        digits,
        train=digits.train.take(np.arange(120)),
        validation=digits.validation.take(np.arange(60)),
    )
