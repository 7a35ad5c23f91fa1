"""The studies and the clock of bench/report.py."""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "bench"))

import report as bench
from harness.large_studies import NAME, fill

from sweep.codec import unpack_labels
from sweep.records import StudyState, TrialState
from sweep.store import Store


def test_a_made_study_is_read_as_one_that_was_swept(tmp_path):
    fill(tmp_path / "made.db", 6)
    record = Store(f"sqlite:///{tmp_path / 'made.db'}", to_write=False).read_study(NAME)
    states = Counter(trial.state for trial in record.trials)
    assert states == {TrialState.COMPLETE: 4, TrialState.PRUNED: 2}
    assert record.state is StudyState.FINISHED
    assert record.best is not None
    reading = record.test_reading(record.best.number)
    assert reading is not None
    assert reading.num_correct / reading.num_images == record.value(record.best)
    labels = unpack_labels(record.data.validation_labels, 10)
    for trial in record.ranked():
        predicted = unpack_labels(trial.outcome.validation_predictions, 10)
        assert (predicted == labels).mean() == record.value(trial)


def test_each_part_of_a_program_counts_its_own_time(monkeypatch):
    now = iter([0.0, 1.0, 4.0, 10.0])
    monkeypatch.setattr(time, "process_time", lambda: next(now))
    clock = bench.Clock()
    inner = clock.around("inner", lambda: None)
    clock.around("outer", inner)()
    assert clock.seconds == {"inner": 3.0, "outer": 7.0}


def test_a_part_that_fails_counts_too(monkeypatch):
    now = iter([0.0, 2.0])
    monkeypatch.setattr(time, "process_time", lambda: next(now))
    clock = bench.Clock()
    with pytest.raises(ZeroDivisionError, match="division"):
        clock.around("failing", lambda: 1 / 0)()
    assert clock.seconds == {"failing": 2.0}
