"""A constrained study: no trial breaks its constraints, however often its drivers are killed."""

from __future__ import annotations

import pytest
from helpers import run_cli
from killing import (
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

from sweep.space import load_space

TRIALS = 8
CONSTRAINTS = ["num_layers * layer_size <= 64", "1000 <= num_parameters <= 5000"]
SPACE = small_space(TRIALS, constraints=CONSTRAINTS)


@pytest.mark.slow
def test_killed_it_ends_as_if_nothing_had_happened_and_every_trial_meets_them(tmp_path):
    undisturbed = undisturbed_study(tmp_path / "undisturbed", SPACE)
    folder = prepare(tmp_path / "killed", SPACE)
    accidents = [
        Accident("create_study", "after"),
        Accident("commit", "before", 4),
        Accident("ask", "after", 2),
        Accident("write_outcome", "before", 2),
    ]
    kill_through(folder, accidents, "sequential")
    finish(folder, "sequential")
    check_whole(folder, TRIALS, to_the_last_bit=True)
    check_same(folder, undisturbed)
    limits = load_space(SPACE).limits
    free = load_space(small_space(TRIALS)).sampled.keys()
    for trial in read_study(folder).trials:
        assert free == trial.params.keys() & free
        assert limits.broken(trial.params) == []


def test_all_mistakes_of_constraints_are_shown_and_nothing_is_created(tmp_path):
    mistakes = ["layer_sise < 9", "num_layers"]
    folder = prepare(tmp_path / "wrong", {**SPACE, "constraints": mistakes})
    done = run_cli("run", "space.yaml", cwd=folder)
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert "space.yaml:1:" in first
    assert "constraints.0: there is no parameter or cost 'layer_sise' (did you mean" in first
    assert "constraints.1: expected an operator or a comparison" in second
    assert [file.name for file in folder.iterdir()] == ["space.yaml"]
