"""A study killed around its decisions to audit trials still audits the same ones."""

from __future__ import annotations

import pytest
from killing import (
    PARAMETERS,
    Accident,
    check_same,
    check_whole,
    finish,
    kill_through,
    prepare,
    read_study,
    small_space,
    undisturbed_study,
)

TRIALS = 8
GOOD, POOR = (0.01, 0.011), (1e-4, 2e-4)
SPACE = small_space(
    TRIALS,
    parameters={
        **PARAMETERS,
        "num_layers": 2,
        "learning_rate": {"low": 1e-4, "high": 0.1},
        "epochs": 4,
    },
    pruner={"type": "percentile", "percentile": 75.0, "n_startup_trials": 2, "n_warmup_steps": 2},
    # With any initial weights, the poor ones are far worse than the good ones.
    # None repeats another: it would be a copy.
    enqueue=[{"learning_rate": factor * rate} for factor in (1.0, 1.01) for rate in (*GOOD, *POOR)],
    budget={"trials": TRIALS, "audit": 2},
)
# Around the first decision, during that audit, around the second decision.
ACCIDENTS = [
    Accident("write_audited", "before"),
    Accident("write_audited", "after"),
    Accident("report", "after", 2),
    Accident("write_audited", "before"),
    Accident("write_audited", "after"),
]


@pytest.mark.slow
def test_killed_around_its_audits_it_ends_as_if_nothing_had_happened(tmp_path):
    undisturbed = undisturbed_study(tmp_path / "undisturbed", SPACE)
    folder = prepare(tmp_path / "killed", SPACE)
    kill_through(folder, ACCIDENTS, "sequential")
    finish(folder, "sequential")
    for each in (undisturbed, folder):
        audited = [t.number for t in read_study(each).trials if t.audited is not None]
        assert audited == [2, 6]
    check_whole(folder, TRIALS, to_the_last_bit=True)
    check_same(folder, undisturbed)
