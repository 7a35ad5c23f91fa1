from __future__ import annotations

import pytest
from hand_made import SPACE, make_reading, make_study, make_trial

from sweep.records import StudyRecord, TrialState
from sweep.space import SearchSpace, load_space


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    return load_space(SPACE)


@pytest.fixture
def study(space: SearchSpace) -> StudyRecord:
    """Twelve trials: nine COMPLETE, of which 0 and 1 share the best value; a tested best."""
    wrong = [1, 1, 2, 2, 3, 4, 10, 14, 20]
    trials = [make_trial(space, number, count) for number, count in enumerate(wrong)]
    trials.append(make_trial(space, 9, 12, state=TrialState.PRUNED))
    trials.append(make_trial(space, 10, state=TrialState.FAIL))
    trials.append(make_trial(space, 11, state=TrialState.WAITING))
    return make_study(trials, space, readings=(make_reading(0),))
