"""The loop that asks, hands out, decides and records until the budget is used up."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from sweep.errors import SweepFailedError
from sweep.execution import Epoch, Executor, LocalExecutor, Placement, WorkerReady
from sweep.provenance import project_commit
from sweep.records import (
    Decision,
    EpochMetrics,
    Failure,
    FailureKind,
    TrainingSettings,
    TrialConfig,
    TrialOutcome,
    TrialState,
)
from sweep.runner.events import EpochFinished, Event, StudyOpened, TrialFinished, TrialStarted
from sweep.space import SearchSpace
from sweep.store import Store
from sweep.study import StudySession

__all__ = ["Loop"]

_KEPT_WEIGHTS = 10
_ALIKE_FAILURES = 5
_POLL_SECONDS = 0.2


class Loop:
    """Asks, hands out, decides and records until the budget is used up."""

    def __init__(
        self,
        space: SearchSpace,
        store: Store,
        session: StudySession,
        fingerprint: str,
        on_event: Callable[[Event], None],
        stop: Callable[[], bool],
        timeout: float | None,
    ) -> None:
        self._space = space
        self._store = store
        self._session = session
        self._fingerprint = fingerprint
        self._on_event = on_event
        self._stop = stop
        self._commit = project_commit()
        self._configs: dict[int, TrialConfig] = {}
        self._num_started = session.num_started
        self._orphans: deque[TrialConfig] = deque()
        self._leaders: dict[int, float] = {}  # the best trials' values, by number
        self._histories: dict[int, list[EpochMetrics]] = {}
        self._failures: list[Failure] = []
        self._any_success = False
        self._deadline = time.monotonic() + timeout if timeout is not None else None

    def run(self, settings: list[TrainingSettings], placements: tuple[Placement, ...]) -> None:
        """Work until the budget is used up."""
        name = self._space.name
        self._orphans.extend(self._session.recover())
        study = self._store.read_study(name)
        self._on_event(StudyOpened(study, placements, self._deadline))
        self._leaders = {
            trial.number: value
            for trial in study.ranked()[:_KEPT_WEIGHTS]
            if (value := study.value(trial)) is not None
        }
        del study  # many trials take much memory
        if not self._orphans and self._budget_used() == "trials":
            self._store.write_finished(name, "trials")
            return
        self._store.write_finished(name, None)
        with LocalExecutor(settings) as executor:
            while True:
                if self._stop():
                    raise KeyboardInterrupt
                started = executor.has_room and self._start_trial(executor)
                if not started:
                    executor.flush()
                    if not executor.running:
                        break
                # Trials that are under way do not wait until all lanes are filled.
                for message in executor.messages(0 if started else _POLL_SECONDS):
                    self._handle(message, executor)
        self._store.write_finished(name, self._budget_used())

    def _budget_used(self) -> str | None:
        """What part of the budget is used up, or None."""
        total = self._space.num_trials
        if total is not None and self._num_started >= total:
            return "trials"
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return "timeout"
        return None

    def _start_trial(self, executor: Executor) -> bool:
        """Hand out a trial if there is one; orphans come first and are already counted."""
        with self._store.transaction():
            if self._orphans:
                config = self._orphans.popleft()
            elif self._budget_used() is None:
                config = self._session.ask()
                self._num_started += 1
            else:
                return False
            self._store.write_config(self._space.name, config)
        self._configs[config.number] = config
        executor.submit(config)
        self._on_event(TrialStarted(config))
        return True

    def _handle(self, message: WorkerReady | Epoch | TrialOutcome, executor: Executor) -> None:
        match message:
            case WorkerReady():
                if message.data_fingerprint != self._fingerprint:
                    raise SweepFailedError(
                        "a worker read other data than the driver: the files changed meanwhile; "
                        f"`sweep resume {self._space.name}` starts again"
                    )
            case Epoch():
                executor.decide(message.metrics, self._report(message.metrics))
                for metrics in message.metrics:
                    self._histories.setdefault(metrics.trial, []).append(metrics)
                    value = self._space.trial_objective.value(metrics)
                    self._on_event(EpochFinished(metrics, value))
            case TrialOutcome():
                self._finish(message)

    def _report(self, epoch: Sequence[EpochMetrics]) -> list[Decision]:
        """Record one epoch of several trials and decide on each."""
        with self._store.transaction():
            return [self._session.report(metrics) for metrics in epoch]

    def _finish(self, outcome: TrialOutcome) -> None:
        """Record, then tell: a trial that reads COMPLETE has a full record."""
        history = tuple(self._histories.pop(outcome.trial, ()))
        if outcome.failure is not None and outcome.failure.kind is FailureKind.KILLED:
            # Its worker could not say any more what it had done.
            seconds = sum(metrics.seconds for metrics in history)
            outcome = replace(outcome, history=history, seconds=seconds)
        if self._commit is not None:
            environment = {**(outcome.environment or {}), "commit": self._commit}
            outcome = replace(outcome, environment=environment)
        value = self._space.trial_objective.value(outcome.best) if outcome.best else None
        if outcome.state is TrialState.COMPLETE and value is not None:
            self._leaders = self._with_leader(outcome.trial, value)
        with self._store.transaction():
            self._store.write_outcome(self._space.name, outcome, keep=set(self._leaders))
            self._session.tell(outcome)
        config = self._configs.pop(outcome.trial)
        self._on_event(TrialFinished(config, replace(outcome, weights=None), value))
        self._watch_failures(outcome.failure)

    def _with_leader(self, trial: int, value: float) -> dict[int, float]:
        """The best trials so far, whose weights are kept."""
        sign = -1 if self._space.objective.goal == "maximize" else 1
        leaders = {**self._leaders, trial: value}
        ranked = sorted(leaders, key=lambda number: (sign * leaders[number], number))
        return {number: leaders[number] for number in ranked[:_KEPT_WEIGHTS]}

    def _watch_failures(self, failure: Failure | None) -> None:
        """Stop when the first trials of this command all failed alike."""
        if failure is None:
            self._any_success = True
            return
        self._failures.append(failure)
        alike = len({failure.kind for failure in self._failures}) == 1
        if not self._any_success and alike and len(self._failures) >= _ALIKE_FAILURES:
            raise SweepFailedError(
                f"the first {len(self._failures)} trials all failed alike; the last one with "
                f"{failure.kind}: {failure.reason}"
            )
