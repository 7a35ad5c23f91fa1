"""The live table at every width: trials, their epochs and the study's progress stay in sight."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from sweep.cli.progress import Progress
from sweep.records import (
    Copied,
    DataFacts,
    DataSpec,
    Epoch,
    EpochMetrics,
    Objective,
    Slot,
    StudyOpened,
    StudyRecord,
    StudyState,
    TrialConfig,
    TrialOutcome,
    TrialStarted,
    TrialState,
    WorkersChanged,
)

NAMES = tuple(f"a_long_hyperparameter_{number}" for number in range(12))


def shown(width: int, *, name: str = "digits", num_lanes: int = 3, height: int = 50) -> list[str]:
    """What a terminal shows of a study with trials under way."""
    progress = Progress()
    facts = DataFacts(DataSpec("image", (1, 8, 8), ("0", "1"), 10, 10), "", b"")
    study = StudyRecord(
        name=name,
        state=StudyState.RUNNING,
        space={},
        objective=Objective("validation_accuracy", "maximize"),
        num_trials=200,
        timeout_seconds=None,
        data=facts,
        trials=(),
        test_readings=(),
    )
    progress.tally.update(StudyOpened(study, ("cpu",), None, NAMES))
    for number in range(num_lanes):
        params: dict[str, Any] = {**dict.fromkeys(NAMES, 0.123456), "epochs": 500}
        progress.tally.update(TrialStarted(TrialConfig(100 + number, 0, params)))
        values = {"validation_accuracy": 0.875}
        progress.tally.update(Epoch((EpochMetrics(100 + number, 123, values, 0.1, 0.1),)))
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True)
    with console.capture() as capture:
        console.print(progress._draw())
    text = re.sub(r"\x1b\[[0-9;]*m", "", capture.get())
    return [line.rstrip() for line in text.splitlines()]


@pytest.mark.parametrize("width", [160, 80, 60, 40, 20])
def test_trials_and_epochs_are_in_sight_at_every_width(width):
    for name in ("digits", "x" * 64):
        lines = shown(width, name=name)
        assert all(len(line) <= width for line in lines)
        assert lines[0].startswith(name[: width - 1])
        assert lines[2].startswith("0 of 200 trials")
        rows = [line.split() for line in lines if line.startswith("10")]
        assert [row[:2] for row in rows] == [[str(100 + n), "123/500"] for n in range(3)]


@pytest.mark.parametrize("width", [160, 80, 60, 40])
def test_values_are_in_sight_where_there_is_room(width):
    rows = [line.split() for line in shown(width) if line.startswith("10")]
    assert [row[2] for row in rows] == ["87.50%"] * 3


@pytest.mark.parametrize("width", [160, 80, 60, 40])
def test_hyperparameters_without_room_are_left_out_whole_and_that_is_said(width):
    lines = shown(width)
    start = next(index for index, line in enumerate(lines) if line.startswith("trial "))
    *table, last = lines[start:]
    heading, *rows = [line.split() for line in table]
    assert len(rows) == 3
    assert heading == ["trial", "epoch", "value", *NAMES[: len(heading) - 3]]
    assert all(row[3:] == ["0.1235"] * (len(heading) - 3) for row in rows)
    assert len(heading) - 3 == (width - 22) // 25
    said = f"not shown for want of room: {', '.join(NAMES[len(heading) - 3 :])}"
    assert last == (said if len(said) <= width else f"{said[: width - 1]}…")


@pytest.mark.parametrize("width", [80, 40])
def test_names_of_wide_characters_have_room(width):
    assert all(cell_len(line) <= width for line in shown(width, name="研究" * 30))


@pytest.mark.parametrize("width", [1, 2, 5])
def test_no_width_is_too_small_to_draw(width):
    assert shown(width, num_lanes=64)


def test_many_lanes_are_all_drawn():
    rows = [line for line in shown(80, num_lanes=64) if "123/500" in line]
    assert len(rows) == 64


# ---------------------------------------------------------------- workers on a cluster


def on_nodes(**nodes: int) -> WorkersChanged:
    return WorkersChanged(
        tuple(
            Slot(f"{node}{n}", "cpu", 1, node=node)
            for node, number in nodes.items()
            for n in range(number)
        )
    )


def test_workers_and_their_nodes_are_shown_as_they_come_and_go():
    progress = opened({})
    for event, words in (
        (on_nodes(beta=1, alpha=2), "3 workers on 2 nodes: alpha 2, beta 1"),
        (on_nodes(beta=1), "1 worker on 1 node: beta 1"),
    ):
        progress.tally.update(event)
        assert progress._line(event) == words
        assert words in drawn(progress)
        assert progress.tally.num_workers == len(event.slots)
    progress.tally.update(on_nodes())
    assert progress._line(on_nodes()) == "no workers: the study waits for a node to join"
    many = on_nodes(**{f"n{number:02d}": 1 for number in range(20)})
    progress.tally.update(many)
    assert progress._line(many).endswith("n06 1, n07 1, …")


def test_without_a_cluster_there_is_no_line_of_nodes():
    assert "node" not in drawn(opened({}))


# ---------------------------------------------------------------- what is spent, and copies

LIMITS = {"epochs": 800, "target": 0.98, "plateau": 200}


def opened(limits: dict[str, Any], num_trials: int | None = 200) -> Progress:
    progress = Progress()
    facts = DataFacts(DataSpec("image", (1, 8, 8), ("0", "1"), 10, 10), "", b"")
    study = StudyRecord(
        name="digits",
        state=StudyState.RUNNING,
        space={"budget": limits},
        objective=Objective("validation_accuracy", "maximize"),
        num_trials=num_trials,
        timeout_seconds=None,
        data=facts,
        trials=(),
        test_readings=(),
    )
    progress.tally.update(StudyOpened(study, ("cpu",), None, ("epochs",)))
    return progress


def end(progress: Progress, trial: int, value: float) -> str:
    """Train a trial of 12 epochs; the line about its end."""
    metrics = EpochMetrics(trial, 12, {"validation_accuracy": value}, 0.1, 0.1)
    outcome = TrialOutcome(trial, TrialState.COMPLETE, (metrics,), best_epoch=12)
    progress.tally.update(TrialStarted(TrialConfig(trial, 0, {"epochs": 12})))
    progress.tally.update(Epoch((metrics,)))
    progress.tally.update(outcome)
    return progress._line(outcome)


def drawn(progress: Progress) -> str:
    console = Console(file=io.StringIO(), width=160, height=50)
    with console.capture() as capture:
        console.print(progress._draw())
    return capture.get()


def test_what_is_left_of_each_limit_is_shown():
    progress = opened(LIMITS)
    end(progress, 0, 0.9712)
    spent = [
        "24 of 800 epochs",
        "best 97.12%, target 98.00%",
        "plateau: 12 of 200 epochs without improvement",
    ]
    line = end(progress, 1, 0.9)
    assert line.startswith(f"[2/200; {'; '.join(spent)}] trial 1 COMPLETE")
    assert all(words in drawn(progress) for words in spent)


def test_a_budget_of_trials_alone_says_nothing_more():
    progress = opened({})
    assert end(progress, 0, 0.9).startswith("[1/200] trial 0 COMPLETE")
    assert "target" not in drawn(progress)
    assert "plateau" not in drawn(progress)


def test_a_copy_is_a_line_and_is_counted():
    progress = opened({})
    end(progress, 0, 0.9)
    progress.tally.update(Copied(1, 0))
    line = progress._line(Copied(1, 0))
    assert line == "[2/200] trial 1 is the same configuration as trial 0: not trained again"
    assert "1 complete, 1 copy" in drawn(progress)
    assert (progress.tally.num_finished, progress.tally.epochs) == (2, 12)
