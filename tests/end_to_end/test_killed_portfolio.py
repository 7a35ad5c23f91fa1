"""A study that tries the portfolio first, killed meanwhile, ends as if nothing had happened."""

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

from sweep.space import portfolio

FIRST = portfolio("mlp")[0]
SPACE = small_space(8, parameters={**FIRST, **PARAMETERS, "dropout": FIRST["dropout"], "epochs": 3})
ACCIDENTS = [
    Accident("enqueue", "after"),
    Accident("write_study", "after"),
    Accident("ask", "before"),
    Accident("ask", "after", 2),
    Accident("write_config", "after", 2),
    Accident("tell", "before", 2),
]


@pytest.mark.slow
def test_killed_it_goes_on_with_the_same_portfolio(tmp_path):
    undisturbed = undisturbed_study(tmp_path / "undisturbed", SPACE)
    folder = prepare(tmp_path / "killed", SPACE)
    kill_through(folder, ACCIDENTS, "sequential")
    finish(folder, "sequential")
    check_same(folder, undisturbed)
    study = read_study(folder)
    number = len(study.starting)
    assert number > 0
    origins = [study.origin(trial) for trial in study.trials]
    assert origins == ["the portfolio"] * number + [None] * (8 - number)
    for trial, point in zip(study.trials, study.starting, strict=False):
        assert point.params.items() <= trial.params.items()
