"""`sweep confirm`: what is said of a confirmation, and what is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from helpers import read_confirmation

from sweep.cli.answer_text import confirmation_text
from sweep.records import confirmation_name
from sweep.reporting.candidates import BaselineMean, Candidate, Confirmation
from sweep.reporting.statistics import Interval, mean_interval
from sweep.store import Store

BEST = Candidate(
    rank=1, trial=12, search_rank=2, params={"num_layers": 2, "dropout": 0.1}, search_value=0.97,
    values=(0.96, 0.98), mean=mean_interval([0.96, 0.98]), num_failed=0, difference=None,
    difference_interval=None, difference_level=None, p_value_holm=None, tied=None,
)  # fmt: skip


def other(rank: int, search_rank: int, tied: bool | None, num_failed: int = 0) -> Candidate:
    p_value = {True: 0.31, False: 0.00123, None: None}[tied]
    return Candidate(
        rank=rank, trial=rank, search_rank=search_rank, params={"num_layers": 2, "dropout": 0.2},
        search_value=0.98, values=(0.9,), mean=mean_interval([0.9]), num_failed=num_failed,
        difference=-0.07, difference_interval=Interval(-0.1, -0.04), difference_level=0.95,
        p_value_holm=p_value, tied=tied,
    )  # fmt: skip


def made(*others: Candidate, **changes) -> Confirmation:
    given = {
        "study": "x.confirm", "metric": "validation_accuracy", "finished": True, "num_seeds": 2,
        "candidates": (BEST, *others), "winner": 12, "survived": False,
        "test_values": (0.95, 0.96), "test_mean": mean_interval([0.95, 0.96]),
    }  # fmt: skip
    return Confirmation(**{**given, **changes})


def test_a_confirmation_for_people():
    text = confirmation_text("x", made(other(2, 1, True), other(3, 3, False, 1), other(4, 4, None)))
    lines = text.splitlines()
    assert lines[0] == (
        "confirmation of study x: 4 configurations, 2 seeds each; validation_accuracy, mean ± "
        "95% interval"
    )
    rows = [re.split(r"  +", line) for line in lines[2:7]]
    assert rows == [
        ["rank", "trial", "in the search", "on fresh seeds", "verdict", "dropout"],
        ["1", "12", "97.00%", "97.00% ± 12.71 (2 runs)", "winner", "0.1"],
        ["2", "2", "98.00%", "90.00% (1 run)", "tied with the winner (p 0.31)", "0.2"],
        ["3", "3", "98.00%", "90.00% (1 run), 1 failed", "different (p 0.0012)", "0.2"],
        ["4", "4", "98.00%", "90.00% (1 run)", "not tested", "0.2"],
    ]
    assert lines[-2:] == [
        "test accuracy of trial 12: 95.50% ± 6.35 (2 runs)",
        "trial 2, the best of the search, is number 2 on fresh seeds, behind trial 12: tied with "
        "it",
    ]


@pytest.mark.parametrize(
    ("found", "last"),
    [
        (made(other(2, 1, False)), "behind trial 12: different"),
        (made(other(2, 1, None)), "behind trial 12: not tested against it"),
    ],
)
def test_what_became_of_the_best(found, last):
    assert confirmation_text("x", found).endswith(last)


def test_an_interval_that_was_cut_is_given_by_its_ends():
    cut = replace(BEST, mean=mean_interval([0.96, 0.98], highest=1.0))
    text = confirmation_text("x", made(candidates=(cut,)))
    assert "  97.00% (84.29 to 100.00%; 2 runs)  winner" in text


def test_runs_that_are_all_alike_are_said_to_be():
    alike = replace(BEST, mean=mean_interval([0.97, 0.97]))
    text = confirmation_text("x", made(candidates=(alike,)))
    assert "  97.00% (2 runs, all alike)  winner" in text


DEFAULT = BaselineMean(
    name="the default configuration", params={}, values=(0.95, 0.97), num_failed=0,
    mean=mean_interval([0.95, 0.97]), difference=0.0041,
    difference_interval=Interval(0.003, 0.0052), difference_level=1 - 0.05 / 3,
    p_value_holm=0.01, tied=False, beaten=True,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {},
            "trial 12 beats the default configuration by +0.41 points (98.3% interval +0.30 to "
            "+0.52)",
        ),
        (
            {"tied": True, "beaten": False, "num_failed": 1},
            "trial 12 is not shown to be better than the default configuration: +0.41 points "
            "(98.3% interval +0.30 to +0.52); the default configuration has 1 failed run",
        ),
        (
            {
                "tied": True,
                "beaten": False,
                "difference": -0.002,
                "difference_interval": Interval(-0.006, 0.002),
            },
            "trial 12 is not shown to be better than the default configuration, whose mean is "
            "better: −0.20 points (98.3% interval −0.60 to +0.20)",
        ),
        (
            {
                "beaten": False,
                "difference": -0.004,
                "difference_interval": Interval(-0.006, -0.002),
            },
            "trial 12 is worse than the default configuration: −0.40 points (98.3% interval "
            "−0.60 to −0.20)",
        ),
        (
            {"tied": None, "beaten": None, "difference": None},
            "trial 12 was not tested against the default configuration: 96.00% ± 12.71 (2 runs)",
        ),
        (
            {"tied": None, "beaten": None, "mean": None, "num_failed": 2},
            "the default configuration has no mean to compare with: 2 failed runs",
        ),
    ],
)
def test_what_the_search_was_worth(changes, line):
    text = confirmation_text("x", made(baselines=(replace(DEFAULT, **changes),)))
    assert line in text.splitlines()


def test_a_baseline_with_a_lower_loss_has_the_better_mean():
    behind = replace(DEFAULT, tied=True, beaten=False, difference=0.02, difference_interval=None)
    text = confirmation_text("x", made(metric="validation_loss", baselines=(behind,)))
    assert "than the default configuration, whose mean is better: +0.0200" in text


def test_a_loss_is_no_percentage():
    text = confirmation_text("x", made(other(2, 1, True), metric="validation_loss"))
    assert "0.9700 ± 0.1271 (2 runs)" in text
    assert "test loss of trial 12: 0.9550 ± 0.0635 (2 runs)" in text


@pytest.mark.slow
def test_the_command_reads_the_test_split_and_says_what_comes_next(main, confirmed):
    output, errors = main("confirm small", code=0)
    assert errors == ""
    store = Store(confirmed, to_write=False)
    runs = read_confirmation(store.url, "small")
    assert len(runs.test_readings) == 2
    assert "winner" in output
    assert "test accuracy of trial " in output
    assert output.endswith("\nnext: sweep report small\n")

    again, _ = main(f"confirm small --top 2 --seeds 2 --storage {confirmed}", code=0)
    assert again == output.replace("report small", f"report small --storage {confirmed}")
    data = json.loads(main("confirm small --json", code=0)[0])
    assert data["search"] == "small"
    assert data["study"] == confirmation_name("small")
    assert data["winner"] == data["candidates"][0]["trial"]
    assert data["test_mean"]["num_runs"] == 2
    assert read_confirmation(store.url, "small") == runs


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("confirm nope", "no study 'nope' in 'studies.db': it has small, small.confirm"),
        ("confirm small.confirm", "is itself a confirmation: `sweep confirm small` continues"),
        ("confirm small --top 3", "begun with --top 2 --seeds 2; give the same options, or none"),
        ("confirm small --top 0", "top must be at least 1; found 0"),
        ("confirm small --seeds many", "--seeds"),
        ("confirm small --storage nowhere.db", "did you mean 'sqlite:///nowhere.db'?"),
        ("confirm small --storage sqlite:///nowhere.db", "there is no such file"),
        ("resume small.confirm", "confirms 'small': continue with `sweep confirm small`"),
        ("report small.confirm", "the search that it confirms: `sweep report small`"),
        ("report small --rope 0", "rope must be a number above 0; found 0.0"),
        ("report small --rope nan", "rope must be a number above 0; found nan"),
    ],
)
def test_what_cannot_be_is_one_line(main, confirmed, tmp_path, line, words):
    before = {str(path): path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    output, errors = main(line, code=2)
    assert output == ""
    assert len(errors.splitlines()) == 1
    assert words in errors
    assert {str(path): path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("confirm small.confirm", "confirm small"),
        ("resume small.confirm", "confirm small"),
        ("report small.confirm", "report small"),
    ],
)
def test_a_command_that_is_named_finds_the_store_that_was_named(main, confirmed, line, command):
    _, errors = main(f"{line} --storage {confirmed}", code=2)
    assert f"`sweep {command} --storage {confirmed}`" in errors


def test_what_is_shown_names_commands_that_find_the_store(main, confirmed):
    where = f"--storage {confirmed}"
    assert f"see `sweep show small {where}`" in main(f"show small.confirm {where}", code=0)[0]
    Store(confirmed, to_write=True).change_study("small.confirm", finished_by=None)
    output, _ = main(f"show small {where}", code=0)
    assert f"sealed until `sweep confirm small {where}` is done" in output


def test_the_doctor_knows_how_a_confirmation_goes_on(main, confirmed):
    assert "nothing is damaged" in main("doctor", code=0)[0]
    Store(confirmed, to_write=True).change_study("small.confirm", finished_by=None)
    output, _ = main("doctor", code=0)
    assert "`sweep confirm small --storage sqlite:///studies.db` continues" in output


def test_what_is_shown_of_records_that_do_not_fit_each_other_is_one_line(
    main, finished, monkeypatch
):
    record = Store(finished, to_write=False).read_study("small")
    strange = tuple(replace(trial, params={}) for trial in record.trials)
    monkeypatch.setattr(Store, "read_study", lambda *_: replace(record, trials=strange))
    _, errors = main("show small", code=2)
    assert re.fullmatch(r"sweep: study 'small' cannot be shown: its records [^\n]+\n", errors)


def test_a_slip_of_ours_is_one_line_and_called_one(main, finished, monkeypatch):
    def slip(*_):
        raise KeyError("epochs")

    monkeypatch.setattr("sweep.cli.answer_text.answer", slip)
    _, errors = main("show small", code=1)
    assert re.fullmatch(
        r"sweep: study 'small' cannot be shown: KeyError 'epochs' in cli/answer_text\.py:\d+; if "
        r"`sweep doctor` finds nothing damaged, this is a fault of sweep: please report it\n",
        errors,
    )
    assert "nothing is damaged" in main("doctor", code=0)[0]


def test_trials_that_no_confirmation_saw_are_shown(main, confirmed, monkeypatch):
    read = Store.read_study

    def earlier(store: Store, name: str):
        record = read(store, name)
        known = record.confirms
        return record if known is None else replace(record, confirms=replace(known, num_trials=1))

    assert "not confirmed" not in main("show small", code=0)[0]
    monkeypatch.setattr(Store, "read_study", earlier)
    assert "; 2 later trials not confirmed" in main("show small", code=0)[0]
