from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pandas as pd
import pytest
from hand_made import make_study, make_trial

from sweep.records import StudyRecord
from sweep.reporting.frames import to_csv, trials_frame
from sweep.space import SearchSpace


def test_a_study_becomes_a_frame_with_optunas_names(study: StudyRecord, space: SearchSpace) -> None:
    timed = replace(
        study.trials[0],
        started_at=datetime(2026, 3, 1, 12, 0),
        ended_at=datetime(2026, 3, 1, 12, 1),
    )
    frame = replace(study, trials=(timed, *study.trials[1:])).to_dataframe()
    assert list(frame["number"]) == list(range(12))
    assert frame.loc[0, "value"] == pytest.approx(39 / 40)
    assert frame.loc[0, "params_optimizer"] == "sgd"
    assert frame.loc[0, "duration"] == timedelta(minutes=1)
    assert (frame.loc[0, "best_epoch"], frame.loc[0, "epochs_run"]) == (2, 2)
    assert frame["params_num_layers"][:4].tolist() == [1, 2, 3, 4]
    assert list(frame["state"][9:]) == ["PRUNED", "FAIL", "WAITING"]
    assert frame.loc[10, "reason"] == "nan: loss became nan in epoch 3"
    assert frame.loc[11, ["value", "params_num_layers", "best_epoch", "seconds"]].isna().all()
    assert frame.loc[frame["value"].idxmax(), "number"] == 0


def test_a_study_without_trials_has_an_empty_frame(space: SearchSpace) -> None:
    frame = make_study([], space).to_dataframe()
    assert len(frame) == 0
    assert "value" in frame.columns


def test_whole_numbers_stay_whole_beside_gaps(space: SearchSpace) -> None:
    trials = [replace(make_trial(space, 0), audited=1), make_trial(space, 1)]
    lines = to_csv(trials_frame([(make_study(trials, space), space)])).decode().splitlines()
    header, first, second = (line.split(",") for line in lines)
    place = header.index("audited")
    assert (first[place], second[place]) == ("1", "")


def test_a_spreadsheet_takes_no_text_for_a_formula() -> None:
    frame = pd.DataFrame({"reason": ["=1+1", "-1", "fine", None, float("inf")]}, dtype=object)
    assert to_csv(frame).decode().split("\n")[1:-1] == ["'=1+1", "'-1", "fine", '""', '""']
