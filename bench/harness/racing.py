"""Interleaved repeats: every contestant is prepared, then they run in turn."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.processes import Contestant, ContestantError, Measurement, Team, assembled


@dataclass(slots=True)
class Result:
    """What is known about one contestant; `error` says why it could not be measured."""

    contestant: Contestant
    measurements: list[Measurement] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    note: str = ""
    error: str | None = None


def race(contestants: Sequence[Contestant], repeats: int) -> list[Result]:
    """Measure every contestant once in each of `repeats` rounds.

    Every second round goes backwards, so that none always follows the same neighbour. A contestant
    that fails drops out; the others continue.
    """
    results = [Result(contestant) for contestant in contestants]
    with assembled(contestants) as teams:
        entries = list(zip(results, teams, strict=True))
        for result, team in entries:
            _say(f"preparing {_name(result)}")
            _attempt(result, team, _prepare)
        for repeat in range(repeats):
            _say(f"round {repeat + 1} of {repeats}")
            for result, team in entries if repeat % 2 == 0 else reversed(entries):
                if result.error is None:
                    _attempt(result, team, _measure)
    return results


def _attempt(result: Result, team: Team, action: Callable[[Result, Team], None]) -> None:
    try:
        action(result, team)
    except ContestantError as error:
        result.error = str(error)
        _say(f"{_name(result)}: {error}")
        team.stop()


def _prepare(result: Result, team: Team) -> None:
    team.prepare()
    result.versions, result.note = team.versions, team.note


def _measure(result: Result, team: Team) -> None:
    measured = team.go()
    result.measurements.append(measured)
    _say(f"{_name(result)}: {measured.trial_epochs} trial-epochs in {measured.seconds:.2f} s")


def _name(result: Result) -> str:
    contestant = result.contestant
    return f"{contestant.name}, {contestant.settings.precision}, {contestant.layout}"


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
