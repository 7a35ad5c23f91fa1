"""A study that starts from another one, killed while it is made and while its first trials run."""

from __future__ import annotations

import pytest
from helpers import sqlite_url
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

TRIALS = 5
ACCIDENTS = [
    Accident("write_study", "before"),  # what it starts from is found, and nothing is written
    Accident("enqueue", "after"),
    Accident("write_study", "after"),
    Accident("ask", "before"),
    Accident("ask", "after"),
    Accident("decide", "before", 3),
    Accident("write_outcome", "after"),
    Accident("ask", "after"),
]


@pytest.mark.slow
def test_killed_it_starts_from_the_same_configurations(tmp_path):
    first = undisturbed_study(tmp_path / "first", small_space(3, pruner={"type": "none"}))
    warm_start = {"study": "small", "storage": sqlite_url(first), "trials": 2}
    space = small_space(TRIALS, warm_start=warm_start)
    undisturbed = undisturbed_study(tmp_path / "undisturbed", space)
    folder = prepare(tmp_path / "killed", space)
    kill_through(folder, ACCIDENTS, "sequential")
    finish(folder, "sequential")
    check_whole(folder, TRIALS, to_the_last_bit=True)
    check_same(folder, undisturbed)
    study, best = read_study(folder), read_study(first).ranked()
    assert study.starting == read_study(undisturbed).starting
    assert [study.origin(trial) for trial in study.trials[:3]] == [
        f"trial {best[0].number} of study 'small'",
        f"trial {best[1].number} of study 'small'",
        None,
    ]
    names = study.trials[0].params.keys() & study.starting[0].params.keys()
    assert {name: study.trials[0].params[name] for name in names} == study.starting[0].params
