"""A study that validates every third epoch: what is stored, resumed, reported and repeated."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from helpers import HERE, read_confirmation, space_mapping

import sweep
from sweep.cli.check_text import check_text
from sweep.cli.progress import Tally
from sweep.errors import Interrupted
from sweep.records import Epoch, TrialState
from sweep.reporting import frames
from sweep.space import load_space
from sweep.store import Store

SPACE = space_mapping(
    parameters={**space_mapping()["parameters"], "epochs": 7},
    objective={"metric": "validation_loss", "every": 3},
    pruner={"type": "median", "n_startup_trials": 1},
    budget={"trials": 3},
)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> str:
    storage = f"sqlite:///{tmp_path_factory.mktemp('sparse') / 'studies.db'}"
    sweep.run(SPACE, storage=storage, **HERE)
    return storage


def read(storage: str):
    return Store(storage, to_write=False).read_study("small")


@pytest.mark.slow
def test_its_record_counts_epochs_and_not_reports(made):
    study = read(made)
    assert study.objective.every == 3
    for trial in study.trials:
        epochs = [metrics.epoch for metrics in trial.outcome.history]
        assert epochs == [3, 6, 7][: len(epochs)]
        assert list(trial.reports) == epochs
        assert trial.epochs_run == epochs[-1]
        assert trial.state is TrialState.PRUNED or trial.epochs_run == 7
        assert trial.outcome.best_epoch in epochs
        assert trial.outcome.best in trial.outcome.history
    assert study.to_dataframe()["epochs_run"].tolist() == [t.epochs_run for t in study.trials]
    rows = list(csv.DictReader(io.StringIO(frames.to_csv(frames.epochs_frame([study])).decode())))
    assert {row["epoch"] for row in rows} <= {"3", "6", "7"}


@pytest.mark.slow
def test_show_and_the_report_say_how_often_it_was_validated(made, tmp_path, main):
    shown, _ = main(f"show small --storage {made}", code=0)
    (line,) = (line for line in shown.splitlines() if line.startswith("trained by "))
    assert line.endswith("; validated every 3 epochs and after the last")
    sweep.report("small", storage=made, out=tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "(validated every 3 epochs and after the last)" in page


@pytest.mark.slow
def test_a_trial_is_reproduced(made):
    found = sweep.reproduce("small", read(made).best.number, storage=made, executor="inline")
    assert found.is_identical


@pytest.mark.slow
def test_it_is_confirmed_with_the_same_grid(storage):
    sweep.run(SPACE, storage=storage, **HERE)
    sweep.confirm("small", storage=storage, top=1, seeds=2, **HERE)
    runs = read_confirmation(storage, "small")
    by_default = [*range(3, 20, 3), 20]  # the baselines have the default number of epochs
    assert [[m.epoch for m in run.outcome.history] for run in runs.trials] == (
        [[3, 6, 7]] * 2 + [by_default] * 4
    )


@pytest.mark.slow
@pytest.mark.parametrize("reports", [1, 2, 4])
def test_a_stopped_study_is_resumed_as_if_nothing_had_happened(made, storage, reports):
    seen: list[Any] = []

    def count(event: Any) -> None:
        seen.extend([event] if isinstance(event, Epoch) else [])

    with pytest.raises(Interrupted):
        sweep.run(SPACE, storage=storage, on_event=count, stop=lambda: len(seen) >= reports, **HERE)
    tally = Tally()
    study = sweep.resume("small", storage=storage, on_event=tally.update, **HERE)
    assert [timeless_reports(t) for t in study.trials] == [
        timeless_reports(t) for t in read(made).trials
    ]
    assert tally.epochs == sum(trial.epochs_run for trial in study.trials)


def timeless_reports(trial):
    return trial.state, trial.params, trial.reports, trial.outcome.best_epoch


def test_every_is_part_of_what_a_search_is():
    plain = load_space({**SPACE, "objective": {"metric": "validation_loss"}})
    named = load_space({**SPACE, "objective": {"metric": "validation_loss", "every": 1}})
    other = load_space(SPACE)
    assert plain.fingerprint == named.fingerprint != other.fingerprint
    assert plain.differences(other) == ["objective.every: 1 → 3"]


@pytest.mark.parametrize(("every", "warns"), [(1, False), (6, False), (7, True)])
def test_check_warns_where_trials_are_validated_only_once(every, warns):
    parameters = {**SPACE["parameters"], "epochs": {"low": 7, "high": 20}}
    objective = {"metric": "validation_loss", "every": every}
    text = check_text(sweep.check({**SPACE, "parameters": parameters, "objective": objective}))
    assert ("as few as 7 epochs, and every 7 are validated" in text) is warns
