"""A confirmation's test split: opened at the end, for the winner's runs, and never unrecorded."""

from __future__ import annotations

import shutil

import pytest
from helpers import HERE, read_confirmation

import sweep
from sweep.codec import unpack_labels
from sweep.errors import InputError, Interrupted, StoreError, SweepFailedError
from sweep.evaluation import openings, read_test_split, read_test_split_of_winner
from sweep.fresh_seeds import train_confirmation
from sweep.records import candidate_runs, rank_candidates
from sweep.store import Store


def readings(storage: str, study: str = "small.confirm"):
    return Store(storage, to_write=False).read_study(study).test_readings


def winning_runs(storage: str) -> list[int]:
    runs = read_confirmation(storage, "small")
    winner, _ = rank_candidates(runs)[0]
    return [run.number for run in candidate_runs(runs)[winner]]


def test_each_run_of_the_winner_is_measured_in_one_opening(confirmed):
    runs = read_test_split_of_winner(confirmed, "small")
    assert [reading.trial for reading in runs.test_readings] == winning_runs(confirmed)
    assert len({reading.opened_at for reading in runs.test_readings}) == 1
    for reading in runs.test_readings:
        labels, predicted = (unpack_labels(b, 10) for b in (reading.labels, reading.predictions))
        assert reading.num_correct == (labels == predicted).sum() > 0.7 * 360
        assert reading.num_trials == 8
    first, second = runs.test_readings
    assert first.labels == second.labels
    assert first.predictions != second.predictions, "each run is a network of its own"
    assert readings(confirmed) == runs.test_readings
    assert readings(confirmed, "small") == (), "the search's own trials stay untested"


def test_what_was_read_is_not_read_again(confirmed, tmp_path, monkeypatch):
    first = read_test_split_of_winner(confirmed, "small")
    monkeypatch.setattr(openings, "open_test_split", None)
    shutil.rmtree(tmp_path / "studies.artifacts")
    assert read_test_split_of_winner(confirmed, "small", tmp_path / "nowhere") == first


def test_an_opening_that_was_cut_off_stays_in_the_record(confirmed, monkeypatch):
    def crash(*_):
        raise MemoryError("while reading")

    with monkeypatch.context() as patch:
        patch.setattr(openings, "open_test_split", crash)
        with pytest.raises(MemoryError, match="while reading"):
            read_test_split_of_winner(confirmed, "small")
    winners = winning_runs(confirmed)
    assert [(r.trial, r.confusion_matrix) for r in readings(confirmed)] == [
        (number, None) for number in winners
    ]
    later = read_test_split_of_winner(confirmed, "small").test_readings
    assert [reading.trial for reading in later if reading.confusion_matrix] == winners
    assert len(later) == 4, "both openings are there"
    found = sweep.confirm("small", storage=confirmed)
    assert len(found.test_values) == 2


def test_the_seal_holds_until_every_run_has_ended(finished):
    with pytest.raises(StoreError, match="'small' is not confirmed: the test split stays sealed"):
        read_test_split_of_winner(finished, "small")
    with pytest.raises(Interrupted, match="interrupted; "):
        train_confirmation("small", storage=finished, top=1, seeds=1, stop=lambda: True, **HERE)
    with pytest.raises(StoreError, match="runs of its confirmation that wait: the test split"):
        read_test_split_of_winner(finished, "small")
    assert readings(finished) == ()


def test_the_runs_are_no_search_whose_best_is_tested(confirmed):
    with pytest.raises(StoreError, match="confirms 'small', and its test split is opened for"):
        read_test_split(confirmed, "small.confirm")
    with pytest.raises(
        InputError, match=f"that it confirms: `sweep report small --storage {confirmed}`"
    ):
        sweep.report("small.confirm", storage=confirmed)
    assert readings(confirmed) == ()


def test_a_confirmed_search_has_its_own_best_untested(confirmed):
    with pytest.raises(
        StoreError, match=f"its winner alone; `sweep confirm small --storage {confirmed}`"
    ):
        read_test_split(confirmed, "small")
    assert readings(confirmed, "small") == ()


def test_missing_weights_leave_the_seal(confirmed, tmp_path):
    last = winning_runs(confirmed)[-1]
    (tmp_path / f"studies.artifacts/small.confirm/trial-{last:05d}.safetensors").unlink()
    with pytest.raises(StoreError, match=rf"the weights of trial {last} of study 'small.confirm'"):
        read_test_split_of_winner(confirmed, "small")
    assert readings(confirmed) == ()


def test_a_full_disk_is_one_line(confirmed, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(openings, "open_test_split", full)
    with pytest.raises(SweepFailedError, match="test split was not read: the disk is full"):
        sweep.confirm("small", storage=confirmed)


@pytest.mark.slow
def test_the_whole_way_from_python(finished):
    """One configuration, one seed: nothing to compare, and still a result."""
    found = sweep.confirm("small", storage=finished, top=1, seeds=1, **HERE)
    (candidate,) = found.candidates
    assert found.winner == candidate.trial
    assert found.survived
    assert found.finished
    assert candidate.mean.interval is None
    assert candidate.tied is None
    assert found.test_mean.value == found.test_values[0] > 0.6
    assert len(readings(finished)) == 1
