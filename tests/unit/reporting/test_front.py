"""How much value smaller networks cost: the front, on the page and in `report.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hand_made import FAIL, LABELS, SPACE, make_study, make_trial, study_of_runs
from pages import page_of

from sweep.definitions import definition_of
from sweep.records import (
    NetworkArgument,
    NetworkSource,
    OwnNetwork,
    StudyRecord,
    TrialRecord,
    TrialState,
)
from sweep.reporting.document import study_document
from sweep.reporting.findings import findings
from sweep.reporting.front import Front
from sweep.reporting.reported import reported
from sweep.reporting.statistics import wilson_interval
from sweep.space import SearchSpace, load_space, load_space_for
from sweep.words import fraction_words

pytestmark = pytest.mark.usefixtures("words_only")


def trial_of(
    space: SearchSpace, number: int, wrong: int, size: int, *seconds: float, **params: Any
) -> TrialRecord:
    """A trial with so many mistakes and parameters, and seconds in each of its two epochs."""
    trial = make_trial(space, number, wrong, **params)
    assert trial.outcome is not None
    history = tuple(
        replace(metrics, seconds=own)
        for metrics, own in zip(trial.outcome.history, seconds or (0.5, 0.5), strict=True)
    )
    return replace(trial, outcome=replace(trial.outcome, num_parameters=size, history=history))


def search(space: SearchSpace, *trials: tuple[int, int]) -> StudyRecord:
    """Trials with so many mistakes and parameters."""
    made = [trial_of(space, number, *each) for number, each in enumerate(trials)]
    return make_study(made, space)


def front_of(record: StudyRecord, space: SearchSpace, runs: StudyRecord | None = None) -> Front:
    found = findings(reported(record, space, runs), top=3).front
    assert found is not None
    return found


def confirmed_front(
    space: SearchSpace, wrong: Sequence[Sequence[int]], trials: Sequence[int]
) -> StudyRecord:
    runs = study_of_runs(wrong, trials, space=space)
    assert runs.confirms is not None
    return replace(runs, confirms=replace(runs.confirms, front=True))


# ---------------------------------------------------------------- what is computed


def test_a_row_says_what_its_trial_reached_and_cost(space):
    record = search(space, (2, 900), (3, 400), (4, 600), (30, 100))
    found = front_of(record, space)
    assert [row.trial.number for row in found.rows] == [0, 1, 3]
    second = found.rows[1]
    assert second.trial.value == 37 / 40
    assert second.interval == wilson_interval(37, 40)
    assert second.trial.num_parameters == 400
    cost = definition_of("mlp").cost(record.trials[1].params, record.data.spec)
    assert second.flops == cost.example_flops > 0
    assert [row.tied_with_best for row in found.rows] == [None, True, False]
    assert [row.fresh_seeds for row in found.rows] == [None] * 3


def test_the_figure_has_every_trial_and_the_front_of_each_cost(space):
    slow = trial_of(space, 0, 2, 900, 3.0, 3.0, num_layers=4)
    quick = trial_of(space, 1, 4, 900, 1.0, 1.0, num_layers=2)
    small = trial_of(space, 2, 8, 300, 2.0, 2.0, num_layers=3)
    pruned = make_trial(space, 3, 1, state=TrialState.PRUNED)
    curves = front_of(make_study([slow, quick, small, pruned], space), space).curves
    assert curves is not None
    assert curves.label == "Validation error (%)"
    assert curves.chosen == 0
    sizes, flops = curves.panels
    assert list(sizes.front.index) == [2, 0], "by ascending cost"
    assert list(flops.front.index) == [1, 0]
    for panel in curves.panels:
        assert list(panel.trials["height"]) == pytest.approx([5, 10, 20])
    assert list(sizes.trials["cost"]) == [0.9, 0.9, 0.3], "in thousands"
    low, high = wilson_interval(38, 40)
    assert sizes.front.loc[0, "low"] == pytest.approx(100 * (1 - high))
    assert sizes.front.loc[0, "high"] == pytest.approx(100 * (1 - low))


def test_a_cost_in_which_no_trials_differ_has_no_panel(space):
    same = {"num_layers": 2}
    trials = [trial_of(space, number, 3 + number, 500, **same) for number in range(3)]
    assert front_of(make_study(trials, space), space).curves is None
    trials[1] = trial_of(space, 1, 4, 400, **same)
    curves = front_of(make_study(trials, space), space).curves
    assert [panel.label for panel in curves.panels] == ["Parameters (thousands)"]


def test_flops_of_an_own_network_are_unknown_and_not_zero(tmp_path):
    width = NetworkArgument("width", "int", 8, ())
    model = OwnNetwork(NetworkSource("net.py", "build", "def build(): ..."), (width,))
    plain = {**SPACE, "parameters": {"width": {"low": 1, "high": 9}, "epochs": 3}}
    space = load_space_for(plain, network=model)
    trials = [trial_of(space, n, 2 + n, 900 - n, width=9 - n) for n in range(3)]
    record = make_study(trials, space)
    found = front_of(record, space)
    assert [row.flops for row in found.rows] == [None] * 3
    assert [panel.label for panel in found.curves.panels] == ["Parameters (thousands)"]
    assert (
        study_document(findings(reported(record, space, None), top=3))["front"][0]["flops"] is None
    )
    assert "MFLOP" not in page_of(tmp_path, record, None)


@pytest.mark.parametrize("strange", [{"layer_size": 10**12}, {"dropout": "much"}])
def test_flops_of_a_configuration_that_cannot_be_are_unknown(space, tmp_path, strange):
    """A stranger's store may hold any; to count it could take all memory."""
    record = make_study([trial_of(space, 0, 2, 9, **strange), trial_of(space, 1, 3, 5)], space)
    found = front_of(record, space)
    assert [row.flops is None for row in found.rows] == [True, False]
    assert "MFLOP per example" in page_of(tmp_path, record, None)


def test_a_loss_has_its_own_intervals_and_the_lowest_is_best(space):
    by_loss = load_space(space.to_json() | {"objective": "validation_loss"})
    made = []
    for number, (loss, size) in enumerate([(0.2, 900), (0.4, 300), (0.5, 600)]):
        trial = trial_of(by_loss, number, 4, size)
        history = tuple(
            replace(m, values={**m.values, "validation_loss": loss}) for m in trial.outcome.history
        )
        made.append(replace(trial, outcome=replace(trial.outcome, history=history)))
    found = front_of(make_study(made, by_loss), by_loss)
    assert [row.trial.number for row in found.rows] == [0, 1]
    assert [row.interval for row in found.rows] == [None, None], "the losses are not recorded"
    assert found.curves.panels[0].front["low"].isna().all()


def test_without_a_complete_trial_there_is_no_front(space):
    record = make_study([make_trial(space, 0, state=TrialState.PRUNED)], space)
    found = findings(reported(record, space, None), top=3)
    assert found.front is None
    assert study_document(found)["front"] == []


# ---------------------------------------------------------------- what it says


def test_the_smallest_trial_that_ties_with_the_best_is_named(space, tmp_path):
    record = search(space, (2, 8000), (3, 4000), (4, 1000), (30, 100))
    assert front_of(record, space).tied.trial.number == 2
    text = page_of(tmp_path, record, None)
    assert (
        "Trial 2 has about 1/8 of the parameters of the best, trial 0, and the data cannot tell "
        "them apart. That does not make them equal." in text
    )
    assert "`" not in text
    assert "sweep confirm hand-made --front trains the front again on fresh seeds" in text


def test_a_smaller_trial_of_the_very_value_is_named(space, tmp_path):
    """Then the best, which the loss chose, is not on the front."""
    first, second = (trial_of(space, n, 2, 900 - 600 * n) for n in range(2))
    better_loss = tuple(
        replace(m, values={**m.values, "validation_loss": 0.01}) for m in first.outcome.history
    )
    first = replace(first, outcome=replace(first.outcome, history=better_loss))
    found = front_of(make_study([first, second], space), space)
    assert found.best.number == 0
    assert [row.trial.number for row in found.rows] == [1]
    assert found.tied.trial.number == 1


@pytest.mark.parametrize(
    ("trials", "words"),
    [
        (
            [(1, 900), (30, 100), (35, 50)],
            "Each smaller trial of the front differs from the best, trial 0, by more than chance.",
        ),
        ([(1, 900), (30, 100)], "Each smaller trial of the front differs from the best, trial 0"),
        (
            [(1, 100), (2, 100), (30, 900)],
            "nothing to weigh: no trial of the front is smaller than the best, trial 0",
        ),
    ],
)
def test_what_is_said_if_none_ties(space, tmp_path, trials, words):
    record = search(space, *trials)
    assert front_of(record, space).tied is None
    assert words in page_of(tmp_path, record, None)


def test_what_was_not_compared_is_not_called_a_tie_or_a_difference(space, tmp_path):
    made = [trial_of(space, n, 2 + n, 900 - n) for n in range(2)]
    made = [replace(t, outcome=replace(t.outcome, validation_predictions=None)) for t in made]
    record = make_study(made, space)
    found = front_of(record, space)
    assert (found.tied, found.num_smaller, found.num_worse) == (None, 1, 0)
    assert "Whether a smaller trial differs from the best, trial 0, by more than" in page_of(
        tmp_path, record, None
    )


def test_a_single_trial_has_nothing_to_weigh_it_against(space, tmp_path):
    record = search(space, (2, 900))
    assert len(front_of(record, space).rows) == 1
    assert "against size" not in page_of(tmp_path, record, None)


# ---------------------------------------------------------------- on fresh seeds


def test_a_confirmed_front_is_weighed_on_fresh_seeds(space, tmp_path):
    """There the second trial is worse than chance, though single networks tie."""
    record = search(space, (2, 900), (3, 300), (4, 100))
    runs = confirmed_front(space, [[2, 3, 2], [10, 11, 10], [3, 2, 2]], [0, 1, 2])
    found = front_of(record, space, runs)
    assert found.on_fresh_seeds
    assert [row.tied_with_best for row in found.rows] == [None, True, True]
    assert [row.candidate.tied for row in found.rows] == [None, False, True]
    assert found.tied.trial.number == 2
    text = page_of(tmp_path, record, runs)
    assert (
        "Trial 2 has about 1/9 of the parameters of the winner, trial 0, and the data cannot tell "
        "them apart. That does not make them equal." in text
    )
    assert "Mean on fresh seeds" in text
    assert "The best of the front also has the best mean of 3" in text
    assert "--front" not in text


def test_a_confirmation_of_the_best_trials_does_not_weigh_the_front(space):
    record = search(space, (2, 900), (3, 300), (4, 100))
    runs = study_of_runs([[2, 3], [10, 11]], [0, 1], space=space)
    found = front_of(record, space, runs)
    assert not found.on_fresh_seeds
    assert found.tied.trial.number == 2
    assert [row.fresh_seeds is not None for row in found.rows] == [True, True, False]


def test_a_front_under_way_is_weighed_by_the_search(space):
    record = search(space, (2, 900), (3, 300))
    runs = confirmed_front(space, [[2, 2], [4, 4]], [0, 1])
    part = replace(runs, trials=runs.trials[:3])
    found = front_of(record, space, part)
    assert not found.on_fresh_seeds
    assert [row.fresh_seeds.num_runs for row in found.rows] == [2, 1]


def test_a_winner_that_is_the_smallest_leaves_nothing_to_weigh(space, tmp_path):
    record = search(space, (2, 900), (3, 300), (4, 100))
    runs = confirmed_front(space, [[9, 10], [2, 3]], [0, 1])
    found = front_of(record, space, runs)
    assert found.best.number == 1
    assert (found.tied, found.num_smaller) == (None, 0), "trial 2 was not trained again"
    assert "no trial of the front is smaller than the winner, trial 1" in page_of(
        tmp_path, record, runs
    )


def test_runs_that_failed_have_no_mean(space, tmp_path):
    record = search(space, (2, 900), (3, 300))
    runs = confirmed_front(space, [[2, 3], [FAIL, FAIL]], [0, 1])
    found = front_of(record, space, runs)
    assert [row.fresh_seeds is None for row in found.rows] == [False, True]
    assert "differs from the winner, trial 0, by more than chance is not known" in page_of(
        tmp_path, record, runs
    )


# ---------------------------------------------------------------- report.json


def test_its_part_of_report_json(space):
    record = search(space, (2, 900), (3, 300))
    runs = confirmed_front(space, [[2, 3], [4, 5]], [0, 1])
    first, second = study_document(findings(reported(record, space, runs), top=3))["front"]
    assert list(first) == [
        "trial", "value", "interval", "num_parameters", "flops", "tied_with_best", "fresh_seeds",
    ]  # fmt: skip
    assert (first["trial"], first["value"], first["num_parameters"]) == (0, 38 / len(LABELS), 900)
    assert first["tied_with_best"] is None
    assert second["tied_with_best"] is True
    assert second["interval"] == [*wilson_interval(37, 40)]
    assert second["fresh_seeds"]["num_runs"] == 2
    assert second["fresh_seeds"]["value"] == pytest.approx(35.5 / 40)


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [
        (1, 8, "about 1/8"),
        (100, 1234, "about 1/12"),
        (1, 2, "50%"),
        (2, 5, "about 1/2"),
        (62, 100, "62%"),
    ],
)
def test_a_fraction_in_words(part, whole, words):
    assert fraction_words(part, whole) == words


def test_the_folder_has_the_figure(tmp_path: Path, space: SearchSpace) -> None:
    page_of(tmp_path, search(space, (2, 900), (3, 300)), None)
    assert (tmp_path / "figures" / "hand-made-front.png").exists()
