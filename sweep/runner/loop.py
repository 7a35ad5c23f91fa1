"""The loop that asks, hands out, decides and records until the budget is used up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import cast

from sweep.errors import Interrupted, SweepFailedError
from sweep.execution import MAX_RETRIES, Pool
from sweep.provenance import project_commit
from sweep.records import (
    FINAL,
    Checkpoint,
    Copied,
    Decision,
    Epoch,
    EpochMetrics,
    Event,
    Failure,
    Lost,
    Message,
    Notice,
    Paused,
    Rank,
    Resumed,
    StudyOpened,
    StudyRecord,
    TrialConfig,
    TrialOutcome,
    TrialStarted,
    TrialState,
    WorkerReady,
    WorkersChanged,
)
from sweep.runner.copies import Originals
from sweep.runner.failures import Failures
from sweep.runner.spending import Spending
from sweep.space import SearchSpace
from sweep.store import Store
from sweep.study import StudySession
from sweep.words import counted, foreign_words

__all__ = ["Loop"]

_POLL_SECONDS = 0.2


@dataclass(kw_only=True)
class Loop:
    """Asks for trials, hands them out, decides and records until the budget is used up.

    Attributes:
        study: The study as it was found, with its new budget; None once `run` has read it.
        failures: Counts the failed trials, earlier ones included.
        fingerprint: SHA-256 of the data that workers must see.
        timeout: Seconds after which no new trial starts, or None.
        command: The command that continues the study, for messages.
        stop: Asked several times a second; True ends the work.
    """

    space: SearchSpace
    store: Store
    session: StudySession
    pool: Pool
    study: StudyRecord | None
    failures: Failures
    fingerprint: str
    timeout: float | None
    command: str
    on_event: Callable[[Event], None]
    stop: Callable[[], bool]

    def __post_init__(self) -> None:
        self._name = self.space.name
        self._trials = self.store.trials(self._name)
        self._keep_weights = 0
        self._commit = project_commit()
        self._configs: dict[int, TrialConfig] = {}
        self._leaders: dict[int, Rank] = {}  # the best trials, by number
        self._histories: dict[int, list[EpochMetrics]] = {}
        self._deadline = None if self.timeout is None else time.monotonic() + self.timeout

    def run(self) -> StudyRecord | None:
        """Work until the budget is used up. Call it once.

        Returns:
            The study if there was nothing to do; otherwise it has changed.

        Raises:
            SweepFailedError: too many trials failed, or workers cannot be started.
            Interrupted: `stop` said so; trials under way are saved.
        """
        study, self.study = self.study, None
        assert study is not None  # noqa: S101 - for the type checker: this is the only call
        self._spending = Spending(study)
        self._originals = Originals(self.space, study)
        orphans = self.session.recover(
            paused=[t.number for t in study.trials if t.state is TrialState.PAUSED]
        )
        audited = {t.number: t.audited for t in study.trials if t.audited is not None}
        self.session.plan(study.num_trials, audited)
        sampled = tuple(self.space.sampled)
        devices = tuple(slot.device for slot in self.pool.slots)
        self.on_event(StudyOpened(study, devices, self._deadline, sampled))
        self._name_foreign(study.foreign)
        failures = {config.number: study.trial(config.number).lost for config in orphans}
        self._keep_weights = study.keep_weights
        self._leaders = {
            trial.number: rank
            for trial in study.ranked()[: self._keep_weights]
            if trial.outcome is not None and (rank := study.objective.rank(trial.outcome))
        }
        waiting = [*failures, *self.session.paused]
        self._trials.delete_strays(running=waiting, keep=self._leaders)
        used = self._spending.used_up()
        can_go_on = bool(orphans) or self._promotable is not None
        if used is not None and not can_go_on and not waiting:
            self.store.change_study(self._name, finished_by=used)
            return replace(study, finished_by=used)
        del study  # many trials take much memory
        if used is None or can_go_on:
            self.pool.start()
            for config in orphans:
                self._go_on_with(config, failures[config.number])
            self._work()
        self._finish_study()
        return None

    def _work(self) -> None:
        while not (self.stop() or self.failures.reason):
            started = self._promote_trial() or self._start_trial()
            if not started:
                self.pool.flush()
                if not self.pool.running:
                    return
            # Trials under way do not wait until all lanes are filled.
            self._handle(self.pool.messages(0 if started else _POLL_SECONDS))
        # Nothing is half done here: save what was trained.
        self._handle(self.pool.save())
        if self.failures.reason:
            raise SweepFailedError(self.failures.reason)
        raise Interrupted(f"interrupted; what was trained is saved: `{self.command}` continues")

    def _budget_used(self) -> str | None:
        """The part of the budget that is used up, or None."""
        return self._spending.used_up() or ("timeout" if self._is_too_late else None)

    @property
    def _is_too_late(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _finish_study(self) -> None:
        """Record that the budget is used up.

        A study that has ended promotes no more: paused trials are pruned as recorded. If time ran
        out, they stay paused.
        """
        used = self._budget_used() if self._promotable is None else "timeout"
        with self.store.transaction():
            ended = self._prune_paused([] if used == "timeout" else self.session.paused)
            self.store.change_study(self._name, finished_by=used)
        for outcome in ended:
            self.on_event(outcome)

    def _prune_paused(self, trials: Sequence[int]) -> list[TrialOutcome]:
        """Tell that paused trials are pruned, as recorded. Call it in a transaction."""
        read = [self._trials.read(number).outcome for number in trials]
        outcomes = [outcome for outcome in read if outcome is not None]
        for outcome in outcomes:
            self._trials.discard_checkpoints(outcome.trial)
            self.session.tell(outcome)
        return outcomes

    @property
    def _promotable(self) -> int | None:
        """Number of the paused trial that continues now, or None."""
        used = self._spending.used_up()
        if used in FINAL:
            return None
        return self.session.promotable(at_end=used is not None and not self.pool.running)

    def _promote_trial(self) -> bool:
        """Submit a paused trial again, if there is room and one continues now."""
        if not self.pool.has_room or self._is_too_late:
            return False
        number = self._promotable
        if number is None:
            return False
        with self.store.transaction():
            config = self.session.promote(number)
            self._trials.change(number, paused_at=None)
            self.store.change_study(self._name, finished_by=None)
        self._go_on_with(config, self._trials.read(number).lost)
        return True

    def _start_trial(self) -> bool:
        """Ask for a trial and submit it, unless it is a copy, if there is room and budget."""
        if not self.pool.has_room or self._budget_used() is not None:
            return False
        with self.store.transaction():
            known = len(self.session.foreign)
            config = self.session.ask()
            original = self._original(config)
            if original is None:
                self._trials.change(config.number, config=config)
            else:
                self._trials.write_copy(config, original)
                self.session.copy(config.number, original)
        self._name_foreign(self.session.foreign[known:])
        if original is not None:
            self._spending.copy(config.number)
            self.on_event(Copied(config.number, original))
            return True
        self._begin(config)
        self.pool.submit(config)
        return True

    def _original(self, config: TrialConfig) -> int | None:
        """The COMPLETE trial that a new one would repeat, or None; retries are always trained."""
        original = self._originals.find(config)
        if original is None or self._trials.read(config.number).retry_of is not None:
            return None
        return original

    def _name_foreign(self, trials: Sequence[int]) -> None:
        if trials:
            self.on_event(Notice(foreign_words(trials)))

    def _go_on_with(self, config: TrialConfig, failures: tuple[Failure, ...]) -> None:
        """Submit a trial that was begun before."""
        self._trials.change(config.number, config=config)
        self._begin(config)
        self.pool.resubmit(config, partial(self._checkpoint, config.number), failures)

    def _begin(self, config: TrialConfig) -> None:
        self._configs[config.number] = config
        self._spending.start(config.number)
        self.on_event(TrialStarted(config))

    def _handle(self, messages: Sequence[Message]) -> None:
        # All at once, and before a lost trial continues from its last one.
        checkpoints = {m.trial: m for m in messages if isinstance(m, Checkpoint)}
        under_way = [c for c in checkpoints.values() if c.trial in self._configs]
        if under_way:
            self._trials.write_checkpoints(under_way)
        for is_epoch, group in groupby(messages, lambda message: isinstance(message, Epoch)):
            if is_epoch:
                self._record_epochs(cast("list[Epoch]", list(group)))
            else:
                self._act_on(group)

    def _act_on(self, messages: Iterable[Message]) -> None:
        for message in messages:
            match message:
                case WorkerReady():
                    self._admit(message)
                case Resumed():
                    self._go_on(message)
                case Paused(outcome):
                    self._pause(outcome)
                case TrialOutcome():
                    self._finish(message)
                case Lost():
                    self._lose(message)
                case Notice() | WorkersChanged():
                    self.on_event(message)

    def _checkpoint(self, trial: int) -> Checkpoint | None:
        """The newest intact checkpoint of a trial."""
        found = self._trials.read_checkpoints(trial)
        whole = next((checkpoint for checkpoint in found if checkpoint is not None), None)
        if found and found[0] is None:
            consequence = "starts again: there is no other"
            if whole is not None:
                epochs = counted(whole.epoch, "epoch")
                consequence = f"continues from the one before, after {epochs}"
            text = f"trial {trial}: its checkpoint is missing or damaged; the trial {consequence}"
            self.on_event(Notice(text))
            return whole
        lost = self.session.last_epoch(trial) - (whole.epoch if whole else 0)
        if lost > 0:
            epochs = counted(lost, "epoch")
            self.on_event(Notice(f"trial {trial} repeats {epochs} that had not been saved"))
        return whole

    def _admit(self, worker: WorkerReady) -> None:
        """Check a new worker's data."""
        if worker.data_fingerprint != self.fingerprint:
            raise SweepFailedError(
                f"a worker has other data than the driver; `{self.command}` hands them out again"
            )

    def _go_on(self, resumed: Resumed) -> None:
        """Note a trial's history and decide again on its last epoch."""
        self._histories[resumed.trial] = list(resumed.history)
        self.on_event(resumed)
        last = resumed.history[-1:]
        if last:
            (decisions,) = self._report([last])
            self.pool.decide(last, decisions)

    def _record_epochs(self, epochs: Sequence[Epoch]) -> None:
        """Record epochs of several workers: a commit takes longer than all else that is done."""
        for epoch, decisions in zip(epochs, self._report([e.metrics for e in epochs]), strict=True):
            self.pool.decide(epoch.metrics, decisions)
            for metrics in epoch.metrics:
                self._histories.setdefault(metrics.trial, []).append(metrics)
            self.on_event(epoch)

    def _report(self, epochs: Sequence[Sequence[EpochMetrics]]) -> list[list[Decision]]:
        """Record epochs of several trials in one transaction and decide on each."""
        every = [metrics for epoch in epochs for metrics in epoch]
        for metrics in every:
            self._spending.advance(metrics.trial, metrics.epoch)
        with self.store.transaction():
            decisions = [[self.session.report(metrics) for metrics in epoch] for epoch in epochs]
            audited = [m for m in every if self.session.audited_after(m.trial) == m.epoch]
            for metrics in audited:
                self._trials.change(metrics.trial, audited=metrics.epoch)
        for metrics in audited:
            self.on_event(
                Notice(
                    f"trial {metrics.trial}: the pruner would end it after epoch {metrics.epoch}; "
                    "it is audited and continues"
                )
            )
        return decisions

    def _lose(self, lost: Lost) -> None:
        """Try a trial again that its worker no longer trains, or record that it failed.

        After a stop was asked for, its worker was stopped, too: the next command continues it.
        """
        if self.stop():
            return
        history = tuple(self._histories.pop(lost.trial, ()))
        if lost.is_over:
            self._finish(
                TrialOutcome(
                    trial=lost.trial,
                    state=TrialState.FAIL,
                    history=history,
                    seconds=sum(metrics.seconds for metrics in history),
                    failure=lost.failure,
                    worker=lost.worker,
                    node=lost.node,
                )
            )
            return
        if lost.failure is not None:
            self._trials.change(lost.trial, lost=lost.failures)
            self.on_event(
                Notice(
                    f"trial {lost.trial}: {lost.failure.reason}; it is tried again, on its own "
                    f"({len(lost.failures)} of {MAX_RETRIES})"
                )
            )
        self._go_on_with(self._configs[lost.trial], lost.failures)

    def _finish(self, outcome: TrialOutcome) -> None:
        """Record, then tell: a trial that reads COMPLETE has a full record."""
        config = self._configs[outcome.trial]
        outcome = self._close(outcome)
        known = self._spending.end(outcome)
        rank = self.space.trial_objective.rank(outcome)
        if outcome.state is TrialState.COMPLETE and rank is not None:
            self._add_leader(outcome.trial, rank)
            self._originals.add(config)
        with self.store.transaction():
            self._trials.write_outcome(outcome, keep=set(self._leaders), study_epochs=known)
            self.session.tell(outcome)
        self.on_event(replace(outcome, weights=None))
        self.failures.add(outcome)

    def _pause(self, outcome: TrialOutcome) -> None:
        """Record that a trial is paused: its checkpoint is kept, its lane is free."""
        outcome = self._close(outcome)
        self._spending.pause(outcome.trial)
        with self.store.transaction():
            self._trials.write_paused(outcome)
            self.session.pause(outcome.trial)
            ended = self._prune_paused(self.session.hopeless)
        self.on_event(Paused(outcome))
        for hopeless in ended:
            self.on_event(hopeless)
        self.failures.add(outcome)

    def _close(self, outcome: TrialOutcome) -> TrialOutcome:
        """Forget what only a trial under way needs; add the driver's commit to its outcome."""
        self._histories.pop(outcome.trial, None)
        del self._configs[outcome.trial]
        if self._commit is None:
            return outcome
        return replace(outcome, environment={**(outcome.environment or {}), "commit": self._commit})

    def _add_leader(self, trial: int, rank: Rank) -> None:
        """Add a trial to the best ones, whose weights are kept, if it belongs there."""
        leaders = {**self._leaders, trial: rank}
        ranked = sorted(leaders, key=leaders.__getitem__)
        self._leaders = {number: leaders[number] for number in ranked[: self._keep_weights]}
