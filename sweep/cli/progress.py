"""Progress on standard error: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table as Grid
from rich.text import Text

from sweep.cli.layout import Table, laid_out, left_out_words, room
from sweep.data.telling import listening
from sweep.definitions import Params
from sweep.records import (
    Copied,
    Epoch,
    Message,
    Notice,
    Objective,
    Paused,
    Resumed,
    StudyOpened,
    StudyRecord,
    TrialOutcome,
    TrialStarted,
    TrialState,
    WorkersChanged,
)
from sweep.runner.spending import Spending
from sweep.words import (
    copies_words,
    copy_words,
    counted,
    duration,
    number_words,
    params_words,
    percent_or_number,
    printable,
)

__all__ = ["Progress", "Tally"]

_MOST_NODES = 8  # named in a line
_QUIET_SECONDS = 5.0  # between lines on how far the data are read, where they are not redrawn


@dataclass(slots=True)
class Tally:
    """What the display counts.

    Attributes:
        study: Name of the study; None until it is open.
        spending: What is spent of the budget; None until the study is open.
        nodes: Workers by node, on a cluster.
        num_known: Trials that had ended when the study was opened.
        deadline: On the monotonic clock, in seconds; or None.
        finished: Number of trials that have ended, by state; copies are COMPLETE.
        copies: Number of copies.
        best: The best trial so far (see `Objective.rank`).
        params: Configurations of all trials that were under way, by number.
        running: Epoch and value of each trial under way.
        paused: Epoch of each paused trial.
    """

    study: str | None = None
    objective: Objective = field(default_factory=lambda: Objective("", "maximize"))
    num_trials: int | None = None
    spending: Spending | None = None
    num_known: int = 0
    deadline: float | None = None
    num_workers: int = 0
    nodes: dict[str, int] = field(default_factory=dict)
    sampled: tuple[str, ...] = ()
    finished: dict[TrialState, int] = field(default_factory=dict)
    copies: int = 0
    best: TrialOutcome | None = None
    params: dict[int, Params] = field(default_factory=dict)
    running: dict[int, tuple[int, float | None]] = field(default_factory=dict)
    paused: dict[int, int] = field(default_factory=dict)
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
        """Count an event."""
        match event:
            case StudyOpened():
                self._open(event.study)
                self.deadline, self.num_workers = event.deadline, len(event.devices)
                self.sampled = event.sampled
            case WorkersChanged(slots):
                self.num_workers = len(slots)
                self.nodes = dict(sorted(Counter(slot.node for slot in slots).items()))
            case TrialStarted(config):
                self._spending.start(config.number)
                self.paused.pop(config.number, None)
                self.running[config.number] = (0, None)
                self.params[config.number] = config.params
            case Resumed(trial):
                self.running[trial] = (event.epochs_run, None)
            case Epoch():
                for metrics in event.metrics:
                    self.running[metrics.trial] = (metrics.epoch, self.objective.value(metrics))
                    self._spending.advance(metrics.trial, metrics.epoch)
            case Copied(trial):
                self._spending.copy(trial)
                self.finished[TrialState.COMPLETE] += 1
                self.copies += 1
            case Paused(outcome):
                self._spending.pause(outcome.trial)
                self.paused[outcome.trial], _ = self.running.pop(outcome.trial)
            case TrialOutcome():
                self.running.pop(event.trial, None)
                self.paused.pop(event.trial, None)
                self.finished[event.state] += 1
                self._spending.end(event)
                if event.state is TrialState.COMPLETE:
                    self._compare(event)

    def _open(self, study: StudyRecord) -> None:
        self.study, self.num_trials, self.objective = study.name, study.num_trials, study.objective
        self.spending, self.copies = Spending(study), study.num_copies
        ended = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        self.finished = {state: study.count(state) for state in ended}
        self.num_known = self.num_finished
        for trial in study.trials:
            if trial.state is TrialState.PAUSED:
                self.params[trial.number] = trial.params
                self.paused[trial.number] = trial.epochs_run
        self.best = study.best.outcome if study.best else None

    def _compare(self, outcome: TrialOutcome) -> None:
        rank, best = (self.objective.rank(each) if each else None for each in (outcome, self.best))
        if rank is not None and (best is None or rank < best):
            self.best = outcome

    @property
    def _spending(self) -> Spending:
        assert self.spending is not None  # noqa: S101 - for the type checker: the study is open
        return self.spending

    @property
    def epochs(self) -> int:
        """Epochs of all trials of the study."""
        return self.spending.epochs if self.spending else 0

    def spent(self) -> list[str]:
        """The epochs so far, and what is spent of each limit besides the number of trials."""
        metric, limits, spent = self.objective.metric, self._spending.limits, self._spending
        most = "" if limits.epochs is None else f" of {limits.epochs:,}"
        found = [f"{spent.epochs:,}{most} epochs"]
        if limits.target is not None:
            target = percent_or_number(metric, limits.target)
            found.append(f"best {percent_or_number(metric, spent.best)}, target {target}")
        if limits.plateau is not None:
            plateau = counted(limits.plateau, "epoch")
            found.append(f"plateau: {spent.plateau:,} of {plateau} without improvement")
        return found

    def workers(self) -> str:
        """`3 workers on 2 nodes: alpha 2, beta 1`; empty without nodes."""
        if not self.nodes:
            return ""
        each = [f"{node} {number}" for node, number in self.nodes.items()]
        shown = ", ".join(each[:_MOST_NODES]) + ", …" * (len(each) > _MOST_NODES)
        workers, nodes = counted(self.num_workers, "worker"), counted(len(each), "node")
        return f"{workers} on {nodes}: {shown}"

    def value(self, outcome: TrialOutcome) -> float | None:
        """The objective of a trial's best epoch, or None if it has none."""
        return None if outcome.best is None else self.objective.value(outcome.best)

    def words(self, value: float | None, missing: str) -> str:
        """A value of the objective; `missing` if there is none."""
        return missing if value is None else percent_or_number(self.objective.metric, value)

    def configuration(self, trial: int) -> str:
        """The hyperparameters of a trial that are searched."""
        return params_words({name: self.params[trial][name] for name in self.sampled})

    def trials(self) -> Table:
        """The trials under way; their numbers and epochs are never left out."""
        names = [name for name in self.sampled if name != "epochs"]  # which stand beside the epoch
        rows = []
        for number, (epoch, value) in sorted(self.running.items()):
            params = self.params[number]
            done = f"{epoch}/{params['epochs']}"
            configuration = [number_words(params[name]) for name in names]
            rows.append([str(number), done, self.words(value, "starting"), *configuration])
        return Table(["trial", "epoch", "value", *names], rows, num_kept=2)

    def time_left(self) -> str:
        """The time left: until the deadline, and estimated from the trials so far."""
        parts = []
        if self.deadline is not None:
            parts.append(f"no new trial after {duration(self.deadline - time.monotonic())}")
        done = self.num_finished - self.num_known
        if self.num_trials is not None and done >= 2 * self.num_workers:
            rest = max(0, self.num_trials - self.num_finished)
            parts.append(f"about {duration(self.seconds / done * rest)} left")
        return " · ".join(parts)


class Progress:
    """Shows a study's progress, as a context manager. A terminal's table is redrawn regularly."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._reading = "reading the data …"  # before `Live`, which asks what to draw at once
        self._said_at = time.monotonic()
        self._said = set[str]()
        console = Console(stderr=True)
        self._live = Live(
            console=console,
            get_renderable=self._draw,
            refresh_per_second=4,
            transient=True,
            # What a script prints meanwhile must not end up on standard error.
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
        )
        # Rich draws into a file where FORCE_COLOR is set, and nothing at all on a dumb terminal.
        can_draw = console.is_terminal and not console.is_dumb_terminal
        self._is_live = can_draw and sys.stderr.isatty() and bool(os.environ.get("TERM"))
        self._listening = listening(self._on_reading)

    def __enter__(self) -> Self:
        self._listening.__enter__()
        if self._is_live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.__exit__(None, None, None)
        self._live.stop()

    def _on_reading(self, text: str, passing: bool) -> None:
        """Show what is said while data are read; what passes only now and then."""
        if not passing:
            if text not in self._said:  # a command may read a folder twice
                self._said.add(text)
                self.on_event(Notice(text))
        elif self._is_live:
            self._reading = text
        elif time.monotonic() - self._said_at >= _QUIET_SECONDS:
            self._said_at = time.monotonic()
            _write(text)

    def on_event(self, event: Message) -> None:
        """Show an event."""
        self.tally.update(event)
        if not self._is_live:
            line = self._line(event)
            if line:
                _write(line)
        elif isinstance(event, Notice | Copied):
            text = event.text if isinstance(event, Notice) else copy_words(event)
            console = self._live.console
            console.print(Text(laid_out([f"note: {text}"], console.width)))

    def _line(self, event: Message) -> str:
        """An event in one line; empty if it is not worth one."""
        tally = self.tally
        done = f"{tally.num_finished}" + (f"/{tally.num_trials}" if tally.num_trials else "")
        if tally.spending is not None and isinstance(event, TrialOutcome | Paused):
            first = 0 if tally.spending.limits.epochs is not None else 1
            done = "; ".join([done, *tally.spent()[first:]])
        match event:
            case StudyOpened():
                workers = counted(tally.num_workers, "worker")
                devices = ", ".join(sorted(set(event.devices)))
                return f"study {tally.study}: {done} trials done; {workers} on {devices}"
            case WorkersChanged():
                return tally.workers() or "no workers: the study waits for a node to join"
            case Resumed(trial):
                epochs = f"{event.epochs_run}/{tally.params[trial]['epochs']} epochs"
                return f"trial {trial} continues after {epochs}"
            case Notice(text):
                return f"note: {text}"
            case Copied():
                return f"[{done}] {copy_words(event)}"
            case Paused(outcome):
                state = TrialState.PAUSED
            case TrialOutcome():
                outcome, state = event, event.state
            case _:
                return ""
        metric, value = tally.objective.metric, tally.value(outcome)
        shown = "no value" if value is None else f"{metric} {tally.words(value, '')}"
        epochs = f"{outcome.epochs_run}/{tally.params[outcome.trial]['epochs']} epochs"
        failure = outcome.failure
        reason = f"  {failure.kind}: {failure.reason}" if failure else ""
        return (
            f"[{done}] trial {outcome.trial} {state}  {shown}  {epochs}  {outcome.seconds:.1f} s  "
            f"{tally.configuration(outcome.trial)}{reason}"
        )

    def _draw(self) -> Group | Text:
        tally = self.tally
        if tally.study is None:
            return _line(printable(self._reading), "dim")
        total = tally.num_trials
        epochs, *limits = tally.spent()
        done = (
            f"{tally.num_finished} of {total if total is not None else '?'} trials",
            epochs,
            duration(tally.seconds),
            tally.time_left(),
        )
        bar = Grid.grid()  # alone, a bar does not end its line
        bar.add_row(ProgressBar(total=total, completed=tally.num_finished, width=30))
        numbers = {**tally.finished, TrialState.PAUSED: len(tally.paused)}
        numbers[TrialState.COMPLETE] -= tally.copies
        counts = [f"{count} {state.lower()}" for state, count in numbers.items() if count]
        counts += [copies_words(tally.copies)] if tally.copies else []
        metric, best = tally.objective.metric, "no best trial yet"
        if tally.best is not None:
            value = tally.words(tally.value(tally.best), "")
            best = f"best so far: trial {tally.best.trial}, {metric} {value}"
        return Group(
            _line(printable(tally.study), "bold"),
            bar,
            _line("  ".join(done)),
            _line(best),
            *([_line(", ".join(counts))] if counts else ()),
            *map(_line, limits),
            *([_line(printable(tally.workers()))] if tally.nodes else ()),
            _Fitted(tally.trials()),
        )


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A table as wide as the terminal is when it is drawn, which may be resized."""

    table: Table

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        (heading, *rows), left_out = self.table.fitted(options.max_width)
        yield _line(heading, "dim")
        yield from map(_line, rows)
        if left_out:
            yield _line(left_out_words(left_out), "dim")


def _write(text: str) -> None:
    """A line of progress where it is not redrawn."""
    sys.stderr.write(laid_out([text], room(sys.stderr)) + "\n")
    sys.stderr.flush()


def _line(text: str, style: str = "") -> Text:
    """One line, which a narrow terminal cuts at its end: what matters most comes first."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
