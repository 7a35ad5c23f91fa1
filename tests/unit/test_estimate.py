"""How long a sweep takes, by a calibration, counted by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers import made_up_calibration, space_mapping

import sweep
from sweep.execution import calibrating

# What `made_up_calibration` says: 0.4 ms a step, and for each lane 1 ms and 10 ps a FLOP.
_STEP_SECONDS = 4e-4
START = 1.4 * 2.0  # a command takes longer than PyTorch to load
PARAMETERS = {"num_layers": 2, "layer_size": 16, "learning_rate": 1e-3, "epochs": 5}
LANE_FLOPS = 64 * (4 * 64 * 16 + 6 * 16 * 10)
EACH = 1e-3 + LANE_FLOPS / 1e11


def cost(**changes):
    space = space_mapping(
        sampler={"type": "random", "seed": 0},
        budget={"trials": 16},
        parameters={**PARAMETERS, "batch_size": 64},
    )
    return sweep.check({**space, **changes}).cost


def test_the_time_is_that_of_all_steps_and_of_validation():
    """One worker with sixteen lanes."""
    found = cost()
    lane_seconds = _STEP_SECONDS / 16 + EACH
    epoch = 1198 / 64 * lane_seconds + 0.002
    assert found.seconds == pytest.approx(START + 16 * 5 * epoch, rel=1e-6)
    assert (found.training.precision, found.training.workers) == ("float32", 1)


def test_stacks_of_different_networks_take_as_much_longer_as_they_did(monkeypatch, tmp_path):
    once = cost().seconds

    def measure(request, _server):
        found = made_up_calibration(request)
        longer = [replace(each, seconds=1.5 * each.seconds) for each in found.mixed]
        return replace(found, mixed=tuple(longer))

    monkeypatch.setattr(calibrating, "measure", measure)
    monkeypatch.setenv("SWEEP_CACHE_DIR", str(tmp_path / "another"))
    validation = 16 * 5 * 0.002
    training = once - START - validation
    assert cost().seconds == pytest.approx(START + 1.5 * training + validation)


def test_what_is_not_validated_takes_no_time():
    rare = cost(objective={"metric": "validation_accuracy", "every": 4})
    assert cost().seconds - rare.seconds == pytest.approx(16 * 5 * 0.002 * 3 / 4)


def test_twice_the_trials_take_twice_as_long():
    once, twice = cost().seconds, cost(budget={"trials": 32}).seconds
    assert twice - START == pytest.approx(2 * (once - START))
    many, more = (cost(budget={"trials": number}).seconds for number in (3_200, 32_000))
    assert more - START == pytest.approx(10 * (many - START))


def test_the_most_is_the_time_of_the_costliest_sixth():
    found = cost(parameters={**PARAMETERS, "batch_size": 64, "epochs": {"low": 1, "high": 6}})
    longest = cost(parameters={**PARAMETERS, "batch_size": 64, "epochs": 6})
    assert longest.most_seconds == pytest.approx(longest.seconds)
    assert found.seconds < found.most_seconds == pytest.approx(longest.seconds, rel=0.05)


def test_without_a_number_of_trials_there_is_no_estimate():
    found = cost(budget={"timeout": 60})
    assert (found.seconds, found.num_trials) == (None, None)


def test_a_machine_that_cannot_be_measured_is_said(monkeypatch):
    monkeypatch.setattr(calibrating, "measure", lambda *_: None)
    assert cost().seconds is None


def said(main, tmp_path, more: str) -> list[str]:
    (tmp_path / "space.yaml").write_text(
        f"name: small\ndataset: digits\nparameters: {{epochs: 5}}\n{more}\n"
    )
    lines: list[str] = main("check space.yaml", code=0)[0].splitlines()
    return lines


def test_the_terminal_says_time_and_error(main, tmp_path):
    lines = said(main, tmp_path, "budget: {trials: 8}")
    (line,) = [line for line in lines if line.startswith("cost: ")]
    assert line.endswith(" if the search settles on the costliest; pruning shortens both")
    assert any(line.startswith("training: engine stacked, precision float32") for line in lines)
    assert any(line.startswith("calibration: measured in 1.0 s on a processor") for line in lines)


@pytest.mark.parametrize(
    ("more", "end"),
    [
        ("budget: {trials: 8}\npruner: none", " if the search settles on the costliest"),
        ("budget: {epochs: 40}", " that look best, which are often the costliest"),
        ("budget: {epochs: 40}\npruner: none", " if the search settles on the costliest"),
    ],
)
def test_what_pruning_does_to_the_time_is_said(main, tmp_path, more, end):
    (line,) = [line for line in said(main, tmp_path, more) if line.startswith("cost: ")]
    assert line.endswith(end)
