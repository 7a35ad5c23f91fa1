"""Two drivers that start on the same study at the same instant."""

from __future__ import annotations

import json
from pathlib import Path

from helpers import run_cli, wait_for
from killing import ENGINES, Accident, kill_all, start_driver
from zygote import ForkedProcess

RACE = {"num_layers": 1, "learning_rate": {"low": 1e-4, "high": 0.1}, "epochs": 1}


def race(folder: Path, round_number: int, num_trials: int) -> None:
    """Start two `resume` at one instant; the winner is held until the other has ended.

    Both have imported everything and wait for the same file.
    """
    go, until = folder / f"go-{round_number}", folder / f"until-{round_number}"
    drivers = []
    for index in range(2):
        held = folder / f"held-{round_number}-{index}"
        drivers.append(
            start_driver(
                folder,
                "resume",
                "small",
                *ENGINES["stacked"],
                "--trials",
                num_trials,
                accidents=(Accident("recover", action="hold", held=str(held), until=str(until)),),
                ready=str(folder / f"ready-{round_number}-{index}"),
                go=str(go),
            )
        )
    try:
        _run_race(folder, round_number, drivers, go, until)
    finally:
        for driver in drivers:
            kill_all(driver)


def _run_race(
    folder: Path, number: int, drivers: list[ForkedProcess], go: Path, until: Path
) -> None:
    wait_for(lambda: all((folder / f"ready-{number}-{index}").exists() for index in range(2)))
    go.touch()
    wait_for(lambda: any(driver.poll() is not None for driver in drivers))
    loser, winner = sorted(drivers, key=lambda driver: driver.poll() is None)
    output, errors = loser.communicate()
    assert (loser.returncode, output) == (2, "")
    (line,) = errors.splitlines()
    assert line.startswith(f"sweep: study 'small' is held by process {winner.pid} on "), line
    # If both had been refused, neither would be held.
    wait_for(lambda: any(folder.glob(f"held-{number}-*")) or winner.poll() is not None)
    assert winner.poll() is None, "both were refused"
    running = json.loads(run_cli("list", "--json", cwd=folder).stdout)
    assert [study["state"] for study in running] == ["running"]
    until.touch()
    _, errors = winner.communicate()
    assert winner.returncode == 0, errors
