"""Two `resume` at one instant, fifty times."""

from __future__ import annotations

import pytest
from killing import check_whole, finish, prepare, small_space
from races import RACE, race

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("batch", range(5))
def test_one_of_two_works_and_the_other_names_it(tmp_path, batch, tally):
    name = "two drivers at one instant"
    folder = prepare(tmp_path, small_space(1, parameters=RACE, pruner={"type": "none"}))
    finish(folder, "stacked")
    for number in range(2, 12):
        tally(name, tried=1)
        race(folder, number, num_trials=number)
        check_whole(folder, number, to_the_last_bit=False)
        tally(name, survived=1)
