"""A study with priors, killed around its draws, ends as if nothing had happened."""

from __future__ import annotations

import pytest
from killing import (
    PARAMETERS,
    Accident,
    check_same,
    finish,
    kill_through,
    prepare,
    read_study,
    small_space,
    undisturbed_study,
)

SPACE = small_space(
    8,
    parameters={
        **PARAMETERS,
        "num_layers": {"low": 1, "high": 3, "prior": 2},
        "layer_size": {"choices": [16, 32, 64], "prior": 32},
        "learning_rate": {"low": 1e-3, "high": 1e-2, "log": True, "prior": 0.003},
        "epochs": 3,
    },
    enqueue=[{"num_layers": 1}],
)
ACCIDENTS = [
    Accident("enqueue", "after"),
    Accident("write_study", "after"),
    Accident("ask", "before"),
    Accident("ask", "after", 2),
    Accident("write_config", "before"),
    Accident("write_config", "after", 2),
    Accident("tell", "before", 2),
    Accident("ask", "after"),
]


@pytest.mark.slow
def test_killed_around_its_draws_it_ends_as_if_nothing_had_happened(tmp_path):
    undisturbed = undisturbed_study(tmp_path / "undisturbed", SPACE)
    folder = prepare(tmp_path / "killed", SPACE)
    kill_through(folder, ACCIDENTS, "sequential")
    finish(folder, "sequential")
    check_same(folder, undisturbed)
    study = read_study(folder)
    assert [study.origin(trial) for trial in study.trials] == [None, "the priors", *[None] * 6]
    expected = {"num_layers": 2, "layer_size": 32, "learning_rate": 0.003}
    assert expected.items() <= study.trials[1].params.items()
