"""Two `resume` at one instant: one works, the other is refused and names it."""

from __future__ import annotations

import pytest
from killing import check_whole, finish, prepare, small_space
from races import RACE, race


@pytest.mark.slow
def test_one_of_two_works_and_the_other_names_it(tmp_path):
    folder = prepare(tmp_path, small_space(1, parameters=RACE, pruner={"type": "none"}))
    finish(folder, "stacked")
    for number in (2, 3):
        race(folder, number, num_trials=number)
        check_whole(folder, number, to_the_last_bit=False)
