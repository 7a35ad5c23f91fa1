"""Progress on standard error: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweep.definitions import Params
from sweep.records import (
    Epoch,
    Message,
    Notice,
    Objective,
    Paused,
    Resumed,
    StudyOpened,
    TrialConfig,
    TrialOutcome,
    TrialStarted,
    TrialState,
)
from sweep.words import duration, params_words, percent_or_number, printable

__all__ = ["Progress", "Tally", "open_progress"]


class Progress(Protocol):
    """What the commands need of a display; a context manager."""

    tally: Tally

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def on_event(self, event: Message) -> None:
        """Show what happened."""
        ...


def open_progress() -> Progress:
    """The display for this standard error."""
    console = Console(stderr=True)
    return _LiveProgress(console) if console.is_terminal else _PlainProgress()


@dataclass(slots=True)
class Tally:
    """What the displays count.

    Attributes:
        study: Name of the study once it is open.
    """

    study: str | None = None
    objective: Objective = field(default_factory=lambda: Objective("", "maximize"))
    num_trials: int | None = None
    num_known: int = 0
    deadline: float | None = None
    num_workers: int = 0
    sampled: tuple[str, ...] = ()
    finished: dict[TrialState, int] = field(default_factory=dict)
    epochs: int = 0
    best: tuple[int, float] | None = None
    running: dict[int, tuple[TrialConfig, int, float | None]] = field(default_factory=dict)
    paused: dict[int, tuple[Params, int]] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Time since the display was opened."""
        return time.monotonic() - self.started

    @property
    def num_finished(self) -> int:
        """Trials of the study that have ended."""
        return sum(self.finished.values())

    def update(self, event: Message) -> None:
        """Count what happened."""
        match event:
            case StudyOpened():
                study = event.study
                self.study, self.num_trials = study.name, study.num_trials
                self.objective = study.objective
                self.deadline, self.num_workers = event.deadline, len(event.devices)
                self.sampled = event.sampled
                for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL):
                    self.finished[state] = study.count(state)
                self.num_known = self.num_finished
                self.epochs = sum(
                    t.epochs_run for t in study.trials if t.state is not TrialState.RUNNING
                )
                self.paused = {
                    t.number: (t.params, t.epochs_run)
                    for t in study.trials
                    if t.state is TrialState.PAUSED
                }
                if study.best is not None:
                    self.best = (study.best.number, study.value(study.best) or 0.0)
            case TrialStarted(config):
                _, lost, _ = self.running.get(config.number, (config, 0, None))
                _, paused = self.paused.pop(config.number, (config.params, 0))
                self.epochs -= lost + paused
                self.running[config.number] = (config, 0, None)
            case Resumed(trial, history):
                self.running[trial] = (self.running[trial][0], len(history), None)
                self.epochs += len(history)
            case Epoch():
                for metrics in event.metrics:
                    config, _, _ = self.running[metrics.trial]
                    value = self.objective.value(metrics)
                    self.running[metrics.trial] = (config, metrics.epoch, value)
                    self.epochs += 1
            case Paused(outcome):
                config, epoch, _ = self.running.pop(outcome.trial)
                self.paused[outcome.trial] = (config.params, epoch)
            case TrialOutcome():
                self.running.pop(event.trial, None)
                self.paused.pop(event.trial, None)
                self.finished[event.state] += 1
                best = self.value(event)
                if event.state is TrialState.COMPLETE and best is not None:
                    self._consider(event.trial, best)

    def value(self, outcome: TrialOutcome) -> float | None:
        """The objective of a trial's best epoch, or None if it has none."""
        return None if outcome.best is None else self.objective.value(outcome.best)

    @property
    def metric(self) -> str:
        """What the study ranks by."""
        return self.objective.metric

    def _consider(self, number: int, value: float) -> None:
        sign = 1 if self.objective.goal == "maximize" else -1
        if self.best is None or (sign * value, -number) > (sign * self.best[1], -self.best[0]):
            self.best = (number, value)

    def params(self, params: Params) -> str:
        """What is peculiar to a configuration: the parameters that are sampled."""
        return params_words({name: params[name] for name in self.sampled})

    def time_left(self) -> str:
        """The time left by the budget: to the deadline, and by the trials so far."""
        parts = []
        if self.deadline is not None:
            parts.append(f"no new trial after {duration(self.deadline - time.monotonic())}")
        done = self.num_finished - self.num_known
        if self.num_trials is not None and done >= 2 * self.num_workers:
            rest = max(0, self.num_trials - self.num_finished)
            parts.append(f"about {duration(self.seconds / done * rest)} left")
        return " · ".join(parts)


class _PlainProgress:
    """One line for each trial that ends or is paused."""

    def __init__(self) -> None:
        self.tally = Tally()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def on_event(self, event: Message) -> None:
        tally = self.tally
        running, paused = dict(tally.running), dict(tally.paused)
        tally.update(event)
        total = "" if tally.num_trials is None else f"/{tally.num_trials}"
        if isinstance(event, StudyOpened):
            devices = ", ".join(sorted(set(event.devices)))
            self._print(
                f"study {tally.study}: {tally.num_finished}{total} trials done; "
                f"{tally.num_workers} workers on {devices}"
            )
        elif isinstance(event, Resumed):
            config, _, _ = running[event.trial]
            epochs = f"{len(event.history)}/{config.params['epochs']} epochs"
            self._print(f"trial {event.trial} goes on after {epochs}")
        elif isinstance(event, Notice):
            self._print(f"note: {event.text}")
        elif isinstance(event, Paused | TrialOutcome):
            outcome = event.outcome if isinstance(event, Paused) else event
            state = TrialState.PAUSED if isinstance(event, Paused) else event.state
            is_running = outcome.trial in running
            params = running[outcome.trial][0].params if is_running else paused[outcome.trial][0]
            epochs = f"{len(outcome.history)}/{params['epochs']} epochs"
            value = tally.value(outcome)
            shown = (
                f"{tally.metric} {percent_or_number(tally.metric, value)}"
                if value is not None
                else "no value"
            )
            failure = outcome.failure
            reason = f"  {failure.kind}: {failure.reason}" if failure else ""
            self._print(
                f"[{tally.num_finished}{total}] trial {outcome.trial} {state}  {shown}  "
                f"{epochs}  {outcome.seconds:.1f} s  {tally.params(params)}{reason}"
            )

    def _print(self, line: str) -> None:
        sys.stderr.write(printable(line) + "\n")
        sys.stderr.flush()


class _LiveProgress:
    """A table that is drawn again a few times a second."""

    def __init__(self, console: Console) -> None:
        self.tally = Tally()
        self._live = Live(
            console=console, get_renderable=self._draw, refresh_per_second=4, transient=True
        )

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def on_event(self, event: Message) -> None:
        self.tally.update(event)
        if isinstance(event, Notice):
            self._live.console.print(Text(printable(f"note: {event.text}")))

    def _draw(self) -> Group | Text:
        tally = self.tally
        if tally.study is None:
            return Text("reading the data …", style="dim")
        total = tally.num_trials
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(printable(tally.study), style="bold"),
            ProgressBar(total=total, completed=tally.num_finished, width=30),
            Text(f"{tally.num_finished} of {total if total is not None else '?'} trials"),
            Text(f"{tally.epochs} epochs"),
            Text(duration(tally.seconds)),
            Text(tally.time_left(), style="dim"),
        )
        numbers = {**tally.finished, TrialState.PAUSED: len(tally.paused)}
        counts = ", ".join(f"{count} {state.lower()}" for state, count in numbers.items() if count)
        best = "no best trial yet"
        if tally.best is not None:
            shown = percent_or_number(tally.metric, tally.best[1])
            best = f"best so far: trial {tally.best[0]}, {tally.metric} {shown}"
        return Group(head, Text(f"{best}   {counts}"), self._running())

    def _running(self) -> Table:
        tally = self.tally
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for header in ("trial", "epoch", tally.metric, "configuration"):
            table.add_column(header, no_wrap=True, overflow="ellipsis")
        for number, (config, epoch, value) in sorted(tally.running.items()):
            table.add_row(
                str(number),
                f"{epoch}/{config.params['epochs']}",
                percent_or_number(tally.metric, value) if value is not None else "starting",
                printable(tally.params(config.params)),
            )
        return table
