"""A study continues in a version that has one more hyperparameter: it always had its default."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import HERE, SMALL, sqlite_url, timeless

import sweep
from sweep.errors import Interrupted, StoreError
from sweep.records import Epoch, Resumed, StudyState, TrialConfig
from sweep.store import Store
from sweep.store.consistency import complete_config


def test_the_trials_of_before_have_the_default(finished, newer):
    before = Store(finished, to_write=False).read_study("small")
    newer()
    store = Store(finished, to_write=False)
    after = store.read_study("small")
    assert [trial.params for trial in after.trials] == [
        {**trial.params, "num_heads": 4} for trial in before.trials
    ]
    assert [trial.outcome for trial in after.trials] == [trial.outcome for trial in before.trials]
    assert store.trials("small").read_config(0, "mlp").params["num_heads"] == 4


def test_the_study_goes_on(finished, newer):
    newer()
    study = sweep.resume("small", storage=finished, trials=4, **HERE)
    assert study.state is StudyState.FINISHED
    assert [trial.params["num_heads"] for trial in study.trials] == [4] * 4
    assert sweep.run(SMALL, storage=finished, trials=4, **HERE) == study


def test_another_value_than_the_default_is_another_search(finished, newer):
    newer()
    parameters = {**SMALL["parameters"], "num_heads": 8}
    with pytest.raises(StoreError, match=r"parameters\.num_heads: 4 → 8"):
        sweep.run({**SMALL, "parameters": parameters}, storage=finished, **HERE)


def test_a_trial_that_was_interrupted_goes_on_from_its_checkpoint(finished_folder, storage, newer):
    seen: list[int] = []

    def watch(event: Any) -> None:
        if isinstance(event, Epoch):
            seen.extend(metrics.epoch for metrics in event.metrics)

    with pytest.raises(Interrupted, match="interrupted"):
        sweep.run(SMALL, storage=storage, on_event=watch, stop=lambda: 2 in seen, **HERE)
    newer()
    events: list[Any] = []
    study = sweep.resume("small", storage=storage, on_event=events.append, **HERE)
    assert [event.trial for event in events if isinstance(event, Resumed)] == [0]
    known = Store(sqlite_url(finished_folder), to_write=False).read_study("small")
    assert [timeless(trial.outcome) for trial in study.trials] == [
        timeless(trial.outcome) for trial in known.trials
    ]


def test_a_trial_of_before_is_reproduced(finished, newer):
    newer()
    assert sweep.reproduce("small", 0, storage=finished, executor="inline").is_identical


def test_a_network_of_before_is_tested(finished, newer, tmp_path):
    newer()
    from sweep.evaluation import read_test_split

    assert read_test_split(finished, "small").num_images == 360


def test_a_parameter_that_is_not_known_is_not_dropped():
    """A network that was trained with it would be shown, and trained again, without it."""
    config = TrialConfig(0, 1, {"num_layers": 3, "num_heads": 4})
    with pytest.raises(ValueError, match="knows no parameter num_heads of mlp"):
        complete_config(config, "mlp")
