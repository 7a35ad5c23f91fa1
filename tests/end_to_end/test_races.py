"""Two `resume` at one instant: one works, the other leaves and says who works."""

from __future__ import annotations

from killing import ENGINES, check_whole, go_on, prepare, small_space
from races import RACE, race


def test_one_of_two_works_and_the_other_names_it(tmp_path):
    folder = prepare(tmp_path, small_space(1, parameters=RACE, pruner={"type": "none"}))
    assert go_on(folder, *ENGINES["stacked"]).returncode == 0
    for number in range(2, 5):
        race(folder, number, num_trials=number)
        check_whole(folder, number, to_the_last_bit=False)
