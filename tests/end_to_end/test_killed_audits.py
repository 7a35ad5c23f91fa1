"""Killed around the decision to audit a trial, a study audits the same trials all the same."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from killing import (
    ENGINES,
    PARAMETERS,
    Accident,
    check_same,
    check_whole,
    go_on,
    prepare,
    read_study,
    small_space,
)

TRIALS = 8
GOOD, POOR = (0.01, 0.01), (1e-4, 2e-4)
SPACE = small_space(
    TRIALS,
    parameters={**PARAMETERS, "num_layers": 2, "learning_rate": {"low": 1e-4, "high": 0.1}},
    pruner={"type": "percentile", "percentile": 75.0, "n_startup_trials": 2, "n_warmup_steps": 2},
    # Whatever the weights begin with, the poor ones are far worse than the good ones.
    enqueue=[{"learning_rate": rate} for rate in (*GOOD, *POOR, *GOOD, *POOR)],
    budget={"trials": TRIALS, "audit": 2},
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    folder = prepare(tmp_path_factory.mktemp("undisturbed"), SPACE)
    done = go_on(folder, *ENGINES["sequential"])
    assert done.returncode == 0, done.stderr
    assert "audited" in done.stdout
    return folder


@pytest.mark.parametrize(
    "accidents",
    [
        (Accident("write_audited", "before"),),
        (Accident("write_audited", "after"),),
        (Accident("write_audited", "after"), Accident("write_audited", "before", 2)),
        (Accident("write_audited", "after"), Accident("report", "after", 5)),
    ],
    ids=["before", "after", "both", "later"],
)
def test_killed_around_an_audit_it_ends_as_if_nothing_had_happened(
    tmp_path, undisturbed, accidents
):
    folder = prepare(tmp_path, SPACE)
    for accident in accidents:
        killed = go_on(folder, *ENGINES["sequential"], accidents=(accident,))
        assert killed.returncode == -signal.SIGKILL, f"never came to {accident}: {killed.stderr}"
    done = go_on(folder, *ENGINES["sequential"])
    assert done.returncode == 0, done.stderr
    audited = [t.number for t in read_study(folder).trials if t.audited is not None]
    assert audited == [2, 6]
    check_whole(folder, TRIALS, to_the_last_bit=True)
    check_same(folder, undisturbed)
