from __future__ import annotations

from dataclasses import replace

import pytest
from hand_made import make_reading

from sweep.records import StudyRecord
from sweep.reporting.answer import answer
from sweep.reporting.reported import reported
from sweep.reporting.statistics import difference_interval
from sweep.space import SearchSpace


def test_the_answer_joins_validation_and_test(study: StudyRecord, space: SearchSpace) -> None:
    found = answer(reported(study, space, None))
    assert found is not None
    assert (found.trial.number, found.network.number) == (0, 0)
    assert found.network_study == study.name
    assert not found.confirmed
    assert found.test_accuracy == pytest.approx(18 / 20)
    assert found.test_errors == 2
    (promise,) = found.promises
    assert promise.difference == pytest.approx(39 / 40 - 18 / 20)
    assert promise.interval == difference_interval(39, 40, 18, 20)


def test_an_unfinished_reading_is_no_result(study: StudyRecord, space: SearchSpace) -> None:
    opened = replace(study, test_readings=(make_reading(0, confusion_matrix=None, num_images=0),))
    found = answer(reported(opened, space, None))
    assert found is not None
    assert found.test_accuracy is None
    assert found.promises == ()


def test_without_a_complete_trial_there_is_no_answer(
    study: StudyRecord, space: SearchSpace
) -> None:
    assert answer(reported(replace(study, trials=study.trials[9:]), space, None)) is None
