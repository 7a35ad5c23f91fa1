"""A study with copies and a budget of epochs, killed around them, ends as if nothing happened."""

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
    0,
    parameters={
        **PARAMETERS,
        "num_layers": {"choices": [1, 2]},
        "layer_size": 16,
        "learning_rate": {"choices": [0.005, 0.01]},
        "epochs": 4,
    },
    pruner={"type": "none"},
    # All configurations, and each of the first two once more.
    enqueue=[
        {"num_layers": layers, "learning_rate": rate}
        for layers, rate in ((1, 0.005), (1, 0.005), (2, 0.01), (2, 0.01), (1, 0.01), (2, 0.005))
    ],
    budget={"epochs": 15},
)
# What is written of a copy, what Optuna is told, and the end of the study.
ACCIDENTS = [
    Accident("write_copy", "before"),
    Accident("write_copy", "after"),
    Accident("copy", "after"),
    Accident("ask", "before"),
    Accident("write_copy", "after"),
    Accident("copy", "after"),
    Accident("write_outcome", "after"),
    Accident("write_finished", "before"),
]


@pytest.mark.slow
def test_killed_around_its_copies_it_ends_as_if_nothing_had_happened(tmp_path):
    undisturbed = undisturbed_study(tmp_path / "undisturbed", SPACE)
    folder = prepare(tmp_path / "killed", SPACE)
    kill_through(folder, ACCIDENTS, "sequential")
    finish(folder, "sequential")
    for each in (undisturbed, folder):
        study = read_study(each)
        assert [trial.copy_of for trial in study.trials] == [None, 0, None, 2, None, None]
        assert (study.finished_by, study.limits.epochs) == ("epochs", 15)
    check_same(folder, undisturbed)
