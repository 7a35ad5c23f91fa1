"""The process that calibrates, and the cache of what it found."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers import made_up_calibration, make_calibration_request, make_config

from sweep.control_groups import processor
from sweep.data.cache import cache_folder, write_whole
from sweep.definitions import DATASETS
from sweep.execution import ForkServer, calibrating
from sweep.execution.calibrating import cached_calibration, calibrated, measure

REQUEST = make_calibration_request()


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("SWEEP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(calibrating, "write_whole", write_whole)


@pytest.fixture
def measured(monkeypatch):
    """The requests that were measured."""
    requests = []

    def note(request, _server):
        requests.append(request)
        return made_up_calibration(request)

    monkeypatch.setattr(calibrating, "measure", note)
    return requests


def test_a_machine_is_measured_once(measured):
    assert cached_calibration(REQUEST) is None
    found = calibrated(REQUEST)
    assert calibrated(REQUEST) == cached_calibration(REQUEST) == found
    assert measured == [REQUEST]


@pytest.mark.parametrize(
    "change",
    [
        {"lanes": ((1, 4), (1,))},
        {"engine": "sequential"},
        {"num_cores": 8},
        {"num_validation": 301},
        {"configs": (make_config(layer_size=99), make_config())},
        {"spec": DATASETS["mnist"]},
    ],
    ids=str,
)
def test_another_study_is_measured_again(measured, change):
    calibrated(REQUEST)
    calibrated(replace(REQUEST, **change))
    assert len(measured) == 2


@pytest.mark.parametrize("field", ["model", "flags", "model name"])
def test_another_processor_is_measured_again(measured, monkeypatch, field):
    """Also if it has the same name: flags decide what is fast."""
    calibrated(REQUEST)
    monkeypatch.setattr(calibrating, "processor", lambda: {**processor(), field: "another"})
    assert cached_calibration(REQUEST) is None


def test_another_pytorch_is_measured_again(measured, monkeypatch):
    calibrated(REQUEST)
    monkeypatch.setattr(calibrating, "version", lambda _package: "99.0")
    assert cached_calibration(REQUEST) is None


@pytest.mark.parametrize("damage", [b"", b"[]", b"\xff", b'[{"hardware": 1}]'], ids=str)
def test_a_damaged_entry_is_measured_again(measured, damage):
    calibrated(REQUEST)
    (file,) = (cache_folder() / "calibrations").iterdir()
    file.write_bytes(damage)
    assert calibrated(REQUEST) is not None
    assert len(measured) == 2
    assert cached_calibration(REQUEST) is not None


def test_without_a_cache_every_command_measures(measured, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SWEEP_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert calibrated(REQUEST) == calibrated(REQUEST) is not None
    assert len(measured) == 2


@pytest.mark.slow
def test_a_process_of_its_own_measures():
    with ForkServer() as server:
        found = measure(REQUEST, server)
    assert found is not None
    assert found.timings
    assert {each.lanes for each in found.timings} <= {1, 2, 4}
    assert found.start_seconds > 0


@pytest.mark.slow
def test_a_process_that_ends_is_said_and_does_no_harm(caplog):
    with ForkServer() as server:
        assert measure(replace(REQUEST, model="unheard of"), server) is None
    assert "this machine could not be calibrated" in caplog.text
    assert "unheard of" in caplog.text
