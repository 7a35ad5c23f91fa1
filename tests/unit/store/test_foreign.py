"""What another program wrote is named and left out; everything else works."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from forging import forge, in_part
from helpers import HERE, SMALL, sqlite_url

import sweep
from sweep.errors import ForeignStudyError
from sweep.records import Notice, TrialState
from sweep.store import Store

WORDS = "--workers 1 --device cpu --engine sequential"


@pytest.fixture
def study(finished) -> optuna.Study:
    """The finished study `small`, of three trials, as stock Optuna opens it."""
    return optuna.load_study(study_name="small", storage=finished)


def add_complete(study: optuna.Study) -> None:
    first = study.trials[0]
    study.add_trial(
        optuna.trial.create_trial(
            params=first.params, distributions=first.distributions, value=0.999
        )
    )


def add_with_other_choices(study: optuna.Study) -> None:
    study.add_trial(
        optuna.trial.create_trial(
            params={"momentum": 0.5},
            distributions={"momentum": optuna.distributions.FloatDistribution(0, 1)},
            value=0.999,
        )
    )


def copy_own(study: optuna.Study) -> None:
    study.add_trial(study.trials[1])


def enqueue_outside(study: optuna.Study) -> None:
    study.enqueue_trial({"layer_size": 33})


def enqueue_text(study: optuna.Study) -> None:
    study.enqueue_trial({"num_layers": "deep"})


def ask(study: optuna.Study) -> None:
    study.ask().suggest_int("num_layers", 1, 2)


def fail(study: optuna.Study) -> None:
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)


def report_only(study: optuna.Study) -> None:
    trial = study.ask()
    trial.report(0.999, 1)
    trial.set_user_attr("seed", 1)


ADD = [
    add_complete,
    add_with_other_choices,
    copy_own,
    enqueue_outside,
    enqueue_text,
    ask,
    fail,
    report_only,
]
LINE = "trial 3 was not made by sweep: it is left out"


def own_trials(url: str) -> list[Any]:
    return list(Store(url, to_write=False).read_study("small").trials)


@pytest.mark.slow
@pytest.mark.usefixtures("words_only")
def test_every_command_names_a_trial_of_another_program_and_goes_on(finished, study, main):
    add_complete(study)
    for command in ("show small", "doctor", "report small --out r"):
        said = "".join(main(command, code=0))
        assert LINE in said.replace("Trial", "trial")
        assert "DAMAGED" not in said
    assert main("list", code=0)[0].splitlines()[1].split()[:4] == [
        "small",
        "digits",
        "finished",
        "3",
    ]
    data = json.loads(main("show small --json", code=0)[0])
    assert (data["foreign_trials"], len(data["trials"])) == ([3], 3)
    _, errors = main("show small 3", code=2)
    assert errors == "sweep: trial 3 of study 'small' was not made by sweep, which leaves it out\n"


@pytest.mark.slow
@pytest.mark.parametrize("add", ADD, ids=lambda add: add.__name__)
def test_a_trial_of_another_program_is_named_and_left_out(finished, study, main, add):
    before = own_trials(finished)
    add(study)
    theirs = study.trials[3]
    assert own_trials(finished) == before
    _, errors = main(f"resume small --trials 5 {WORDS}", code=0)
    assert errors.count(LINE) == 1
    assert [trial.number for trial in own_trials(finished)] == [0, 1, 2, 4, 5]
    assert own_trials(finished)[:3] == before
    assert study.trials[3] == theirs


def test_a_trial_of_another_program_does_not_change_the_budget(finished, study):
    add_complete(study)
    assert len(sweep.run(SMALL, storage=finished, **HERE).trials) == 3


@pytest.mark.slow
def test_trials_that_come_meanwhile_are_named_and_left_out(storage):
    said: list[str] = []

    def interfere(event: Any) -> None:
        if isinstance(event, Notice):
            said.append(event.text)
        other = optuna.load_study(study_name="small", storage=storage)
        if len(other.trials) == 2:
            other.enqueue_trial({"layer_size": 33})

    record = sweep.run(SMALL, storage=storage, on_event=interfere, **HERE)
    assert [trial.number for trial in record.trials] == [0, 1, 3]
    assert record.foreign == (2,)
    assert said == ["trial 2 was not made by sweep: it is left out"]
    assert record.count(TrialState.COMPLETE) == 3


@pytest.mark.slow
def test_nothing_is_learnt_from_a_trial_of_another_program(storage, tmp_path):
    """The sampler draws what it draws without it, but for the seeds that follow from numbers."""
    space = {**SMALL, "sampler": {"type": "tpe", "seed": 3, "n_startup_trials": 2}}

    def draw(url: str, *, disturb: bool) -> list[dict[str, Any]]:
        sweep.run(space, storage=url, trials=2, **HERE)
        other = optuna.load_study(study_name="small", storage=url)
        if disturb:
            add_complete(other)
        else:
            fail(other)
        return [
            trial.params for trial in sweep.resume("small", storage=url, trials=4, **HERE).trials
        ]

    alone = draw(sqlite_url(tmp_path), disturb=False)
    (tmp_path / "b").mkdir()
    assert draw(sqlite_url(tmp_path / "b"), disturb=True) == alone


@pytest.mark.slow
@pytest.mark.parametrize("state", ["COMPLETE", "PRUNED", "FAIL"])
def test_a_trial_that_another_program_ended_has_failed(storage, main, state):
    def stop_at_once(event: Any) -> None:
        nonlocal running
        running = running or type(event).__name__ == "TrialStarted"

    running = False
    with pytest.raises(sweep.Interrupted, match="interrupted"):
        sweep.run(SMALL, storage=storage, on_event=stop_at_once, stop=lambda: running, **HERE)
    other = optuna.load_study(study_name="small", storage=storage)
    value = 0.999 if state == "COMPLETE" else None
    other.tell(0, value, state=optuna.trial.TrialState[state])
    record = sweep.resume("small", storage=storage, **HERE)
    assert record.trial(0).state is TrialState.FAIL
    assert record.trial(0).reason == "ended by another program"
    assert record.best.number != 0
    assert "ended by another program" in main("show small", code=0)[0]
    again = sweep.resume("small", storage=storage, retry_failed=True, **HERE)
    assert again.trials[3].retry_of == 0
    assert again.trials[3].params == record.trial(0).params


# ---------------------------------------------------------------- studies


def test_a_copy_under_another_name_is_named_and_hides_nothing(finished, main, tmp_path):
    optuna.copy_study(
        from_study_name="small", from_storage=finished, to_storage=finished, to_study_name="renamed"
    )
    optuna.create_study(study_name="theirs", storage=finished)
    output, errors = main("list", code=0)
    assert [line.split()[0] for line in output.splitlines()[1:]] == ["small"]
    words = "study 'renamed' in 'studies.db' is a copy of study 'small' that another program made"
    assert words in errors
    assert "study 'theirs' in 'studies.db' was not made by sweep" in errors
    assert words in main("show renamed", code=2)[1]
    assert words in main(f"resume renamed {WORDS}", code=2)[1]
    output, _ = main("doctor", code=0)
    assert "DAMAGED" not in output
    assert words in output


def test_a_copy_that_gets_its_name_back_is_the_study(finished, tmp_path):
    """What the message advises works."""
    before = Store(finished, to_write=False).read_study("small")
    optuna.copy_study(
        from_study_name="small", from_storage=finished, to_storage=finished, to_study_name="renamed"
    )
    optuna.delete_study(study_name="small", storage=finished)
    with pytest.raises(ForeignStudyError, match=r"give the copy its name with optuna\.copy_study"):
        Store(finished, to_write=False).read_study("renamed")
    optuna.copy_study(
        from_study_name="renamed", from_storage=finished, to_storage=finished, to_study_name="small"
    )
    store = Store(finished, to_write=False)
    assert store.read_study("small") == before
    assert store.trials("small").read_weights(0) is not None


def test_trials_of_another_study_that_optuna_copies_are_foreign(finished, main):
    optuna.load_study(study_name="small", storage=finished)
    sweep.run({**SMALL, "name": "other"}, storage=finished, trials=1, **HERE)
    other = optuna.load_study(study_name="other", storage=finished)
    other.add_trials(optuna.load_study(study_name="small", storage=finished).trials)
    record = Store(finished, to_write=False).read_study("other")
    assert (len(record.trials), record.foreign) == (1, (1, 2, 3))
    assert (
        "3 trials were not made by sweep: they are left out (1, 2, 3)"
        in main("show other", code=0)[0]
    )


def test_a_damaged_study_hides_no_other(finished, main, tmp_path):
    sweep.run({**SMALL, "name": "other"}, storage=finished, trials=1, **HERE)
    with closing(sqlite3.connect(tmp_path / "studies.db")) as database, database:
        database.execute("UPDATE trial_values SET value = 0.99 WHERE trial_id = 1")
    output, errors = main("list", code=1)
    assert [line.split()[0] for line in output.splitlines()[1:]] == ["other"]
    assert "trial 0: its value differ" in errors
    assert [each["study"] for each in json.loads(main("list --json", code=1)[0])] == ["other"]


# ---------------------------------------------------------------- confirmations


@pytest.fixture
def made_anew(confirmed) -> str:
    """Storage URL of `small`, searched anew, beside the confirmation of an earlier `small`."""
    optuna.delete_study(study_name="small", storage=confirmed)
    space = {**SMALL, "sampler": {"type": "random", "seed": 99}}
    said: list[str] = []

    def note(event: Any) -> None:
        if isinstance(event, Notice):
            said.append(event.text)

    sweep.run(space, storage=confirmed, on_event=note, **HERE)
    assert len(said) == 1
    assert said[0].startswith("study 'small.confirm' confirms an earlier study named 'small'")
    return confirmed


@pytest.mark.slow
@pytest.mark.usefixtures("words_only")
def test_a_confirmation_belongs_to_one_study_whatever_its_name(made_anew, main):
    line = "study 'small.confirm' confirms an earlier study named 'small', not this one; it is not "
    best = Store(made_anew, to_write=False).read_study("small").best
    output, errors = main("show small", code=0)
    assert f"use the configuration of trial {best.number}, the best on validation" in output
    assert "fresh seeds" not in output
    assert line in errors
    output, _ = main("doctor", code=0)
    assert line in output
    _, errors = main(f"confirm small {WORDS}", code=2)
    assert line in errors
    assert "`sweep delete small.confirm" in errors
    _, errors = main("report small --out r", code=0)
    assert line in errors.replace("Study", "study")
    document = json.loads(Path("r/report.json").read_text())["studies"]["small"]
    assert document["best"]["number"] == best.number
    assert document["best"]["test_accuracy"] is not None  # it was not held back for a winner
    main("delete small.confirm --yes", code=0)
    assert "earlier" not in "".join(main("show small", code=0))


def test_runs_of_other_configurations_confirm_nothing(confirmed, main):
    def other_dropout(_: int, record: dict[str, Any]) -> dict[str, Any]:
        config = record["config"]
        return {**record, "config": {**config, "params": {**config["params"], "dropout": 0.5}}}

    store = Store(confirmed, to_write=False)
    forge(store.path.parent, trial=other_dropout, of="small.confirm")
    runs, why_not = store.read_confirmation(store.read_study("small"))
    assert runs is None
    assert why_not == (
        "study 'small.confirm' repeats other configurations than study 'small' has; it is not used"
    )
    assert why_not in main("show small", code=0)[1]


def test_runs_on_other_data_confirm_nothing(confirmed, main):
    store = Store(confirmed, to_write=False)
    forge(
        store.path.parent,
        study=lambda plain: in_part(plain, "data", fingerprint="0" * 64),
        of="small.confirm",
    )
    runs, why_not = store.read_confirmation(store.read_study("small"))
    assert runs is None
    words = "study 'small.confirm' was trained on other data than study 'small'; it is not used"
    assert why_not.startswith(words)
    assert words in main("show small", code=0)[1]


# ---------------------------------------------------------------- while a driver works


def during(storage: str, act: Any, number: int = 1) -> Any:
    """An `on_event` that calls `act` with stock Optuna's study after so many epochs."""
    seen = 0

    def on_event(event: Any) -> None:
        nonlocal seen
        seen += type(event).__name__ == "Epoch"
        if seen == number:
            seen += 1
            act(optuna.load_study(study_name="small", storage=storage))

    return on_event


def test_a_trial_that_another_program_ends_meanwhile_ends_the_sweep_in_one_line(storage):
    act = during(storage, lambda other: other.tell(0, 0.99))
    with pytest.raises(sweep.SweepFailedError, match="another program ended a trial that was und"):
        sweep.run(SMALL, storage=storage, on_event=act, **HERE)
    record = sweep.resume("small", storage=storage, **HERE)
    assert [trial.state.name for trial in record.trials] == ["FAIL", "COMPLETE", "COMPLETE"]


def test_a_study_that_another_program_deletes_meanwhile_ends_the_sweep_in_one_line(storage):
    def delete(_: optuna.Study) -> None:
        optuna.delete_study(study_name="small", storage=storage)

    act = during(storage, delete)
    with pytest.raises(sweep.SweepError, match=r"^[^\n]+$") as caught:
        sweep.run(SMALL, storage=storage, on_event=act, **HERE)
    assert "deleted" in str(caught.value)


def test_an_enqueued_trial_that_another_program_asks_for_is_run_all_the_same(storage):
    space = {**SMALL, "enqueue": [{"layer_size": 16}, {"layer_size": 32}]}
    with pytest.raises(sweep.Interrupted, match="interrupted"):
        sweep.run(space, storage=storage, stop=lambda: True, **HERE)
    optuna.load_study(study_name="small", storage=storage).ask()
    record = sweep.resume("small", storage=storage, **HERE)
    assert record.foreign == ()
    assert [trial.params["layer_size"] for trial in record.trials[:2]] == [16, 32]
    assert record.count(TrialState.COMPLETE) == 3

    (Path(storage.removeprefix("sqlite:///"))).unlink()
    act = during(storage, lambda other: other.ask())
    record = sweep.run(space, storage=storage, on_event=act, **{**HERE, "lanes": 1})
    assert [trial.params["layer_size"] for trial in record.trials[:2]] == [16, 32]
    assert record.count(TrialState.COMPLETE) == 3


def test_the_doctor_knows_weights_behind_numbers_of_other_programs(finished, study, main):
    fail(study)
    sweep.resume("small", storage=finished, trials=5, **HERE)
    output, _ = main("doctor", code=0)
    assert "belongs to no trial" not in output
