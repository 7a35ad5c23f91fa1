"""The list of faults that `make mutants` plants fits the code as it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mutants import plant

FAULTS = plant.load_faults()


def test_every_fault_can_be_planted():
    assert [problem for fault in FAULTS for problem in plant.problems_of(fault, plant.ROOT)] == []


def test_a_fault_that_does_not_fit_is_named():
    (edit, *_) = FAULTS[0].edits
    stale = replace(FAULTS[0], edits=(replace(edit, old="what stood there once"),))
    (problem,) = plant.problems_of(stale, plant.ROOT)
    assert problem.startswith(f"{stale.name}: {edit.file} has 'what stood there once'... 0 times")


def test_an_entry_that_lacks_something_is_named(tmp_path):
    (tmp_path / "faults.yaml").write_text("[{name: half, fault: of it}]")
    with pytest.raises(plant.ListError, match=r"^half: an entry has "):
        plant.load_faults(tmp_path / "faults.yaml")
