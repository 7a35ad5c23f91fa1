"""A search without training: workers that look learning curves up, and a store in memory.

Everything else is the product's: the loop of `sweep.runner`, its pool, and `sweep.study`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from optuna.storages import InMemoryStorage
from surrogate import Curve, Surrogate

from sweep.execution import InlineLauncher, Pool
from sweep.execution.wire import pack, unpack
from sweep.records import (
    Checkpoint,
    DataFacts,
    DataSpec,
    Decide,
    Decision,
    Epoch,
    EpochMetrics,
    Event,
    Message,
    Paused,
    Resumed,
    StartingPoint,
    StudyRecord,
    StudyState,
    Train,
    TrainingSettings,
    TrialConfig,
    TrialOutcome,
    TrialState,
    WorkerReady,
)
from sweep.runner.failures import Failures
from sweep.runner.loop import Loop
from sweep.space import SearchSpace
from sweep.study import StudySession

__all__ = ["Step", "replay"]

_FINGERPRINT = "f" * 64
_SPEC = DataSpec("image", (1, 28, 28), ("a", "b"), 2, 1)


@dataclass(frozen=True, slots=True)
class Step:
    """A new incumbent: the epochs that the search had spent, and its true accuracy."""

    epochs: int
    accuracy: float


@dataclass(slots=True)
class _Lane:
    config: TrialConfig
    curve: Curve
    epoch: int = 0
    history: list[EpochMetrics] = field(default_factory=list)

    def advance(self) -> EpochMetrics:
        """Report the next epoch."""
        accuracy, loss = float(self.curve.accuracy[self.epoch]), float(self.curve.loss[self.epoch])
        self.epoch += 1
        values = {"validation_accuracy": accuracy, "validation_loss": loss}
        metrics = EpochMetrics(self.config.number, self.epoch, values, 1e-3, 1.0)
        self.history.append(metrics)
        return metrics

    @property
    def has_ended(self) -> bool:
        return self.epoch >= len(self.curve.accuracy)

    def outcome(self, state: TrialState) -> TrialOutcome:
        best = max(self.history, key=lambda metrics: metrics.values["validation_accuracy"])
        return TrialOutcome(
            trial=self.config.number,
            state=state,
            history=tuple(self.history),
            best_epoch=best.epoch,
            data_fingerprint=_FINGERPRINT,
        )


class _ReplayWorker:
    """Answers as `sweep.execution.worker.Worker` does; all its trials advance by epochs together.

    Checkpoints hold nothing but the epoch: a trial's curve depends on its seed alone.
    """

    def __init__(self, surrogate: Surrogate, send: Callable[[bytes], None]) -> None:
        self._surrogate = surrogate
        self._send = send
        self._leases: dict[int, int] = {}
        self._lanes: dict[int, _Lane] = {}
        self._waiting: set[int] = set()  # for a decision
        self._say(WorkerReady(_FINGERPRINT, "replayed", None))

    @property
    def is_idle(self) -> bool:
        return not self._lanes or bool(self._waiting)

    def advance(self) -> None:
        self._waiting = set(self._lanes)
        self._say(Epoch(tuple(lane.advance() for lane in self._lanes.values())))

    def receive(self, data: bytes) -> None:
        message, _ = unpack(data)
        if isinstance(message, Train):
            for assignment in message.assignments:
                self._begin(assignment.lease, assignment.config, assignment.checkpoint)
        elif isinstance(message, Decide):
            for trial, decision in zip(message.trials, message.decisions, strict=True):
                self._waiting.discard(trial)
                self._act(trial, decision)

    def _begin(self, lease: int, config: TrialConfig, checkpoint: Checkpoint | None) -> None:
        lane = _Lane(config, self._surrogate.predict(config.params, config.seed))
        self._leases[config.number] = lease
        self._lanes[config.number] = lane
        if checkpoint is not None:
            while lane.epoch < checkpoint.epoch:
                lane.advance()
            self._waiting.add(config.number)
            self._say(Resumed(config.number, tuple(lane.history)), config.number)

    def _act(self, trial: int, decision: Decision) -> None:
        lane = self._lanes[trial]
        if lane.has_ended or decision is not Decision.CONTINUE:
            del self._lanes[trial]
        if lane.has_ended and decision is not Decision.PRUNE:
            self._say(lane.outcome(TrialState.COMPLETE), trial)
        elif decision is Decision.PRUNE:
            self._say(lane.outcome(TrialState.PRUNED), trial)
        elif decision is Decision.PAUSE:
            self._say(Checkpoint(trial, lane.epoch, 0, b""), trial)
            self._say(Paused(lane.outcome(TrialState.PRUNED)), trial)

    def _say(self, message: Message, *trials: int) -> None:
        if isinstance(message, Epoch):
            trials = tuple(metrics.trial for metrics in message.metrics)
        self._send(pack(message, {trial: self._leases[trial] for trial in trials}))


@dataclass(slots=True)
class _Record:
    outcome: TrialOutcome | None = None
    checkpoint: Checkpoint | None = None
    lost: tuple[Any, ...] = ()
    retry_of: int | None = None


class _Trials:
    """What the loop asks of `sweep.store.Trials`, in memory."""

    def __init__(self) -> None:
        self._records: dict[int, _Record] = {}

    def read(self, trial: int) -> _Record:
        return self._records.setdefault(trial, _Record())

    def change(self, trial: int, **_: object) -> None:
        """Nothing else is read again."""

    def write_copy(self, _config: TrialConfig, _original: int) -> None:
        """A copy has no record that is read again."""

    def write_outcome(self, outcome: TrialOutcome, **_: object) -> None:
        self._records[outcome.trial] = _Record(outcome)

    def write_paused(self, outcome: TrialOutcome) -> None:
        self.read(outcome.trial).outcome = outcome

    def write_checkpoints(self, checkpoints: Sequence[Checkpoint]) -> None:
        for checkpoint in checkpoints:
            self.read(checkpoint.trial).checkpoint = checkpoint

    def read_checkpoints(self, trial: int) -> list[Checkpoint | None]:
        found = self.read(trial).checkpoint
        return [] if found is None else [found]

    def discard_checkpoints(self, trial: int) -> None:
        self.read(trial).checkpoint = None

    def delete_strays(self, **_: object) -> None:
        """There are none."""


class _Store:
    """What the loop asks of `sweep.store.Store`, in memory."""

    def __init__(self) -> None:
        self._trials = _Trials()

    def trials(self, _name: str) -> _Trials:
        return self._trials

    @contextmanager
    def transaction(self) -> Iterator[None]:
        yield

    def change_study(self, _name: str, **_: object) -> None:
        """Nothing reads it."""


class _Incumbents:
    """Follows the events of a search: who is best, and how many epochs were spent."""

    def __init__(self, space: SearchSpace, surrogate: Surrogate) -> None:
        self._objective = space.trial_objective
        self._surrogate = surrogate
        self._configs: dict[int, TrialConfig] = {}
        self._best: Any = None
        self.epochs = 0
        self.steps: list[Step] = []

    def hear(self, event: Event) -> None:
        config = getattr(event, "config", None)
        if config is not None:
            self._configs[config.number] = config
        if isinstance(event, Epoch):
            self.epochs += len(event.metrics)
        if isinstance(event, TrialOutcome) and event.state is TrialState.COMPLETE:
            rank = self._objective.rank(event)
            if rank is not None and (self._best is None or rank < self._best):
                self._best = rank
                true = self._surrogate.predict(self._configs[event.trial].params).judged
                assert event.best_epoch is not None
                self.steps.append(Step(self.epochs, float(true[event.best_epoch - 1])))


def replay(
    space: SearchSpace, surrogate: Surrogate, lanes: int, starting: Sequence[StartingPoint] = ()
) -> tuple[list[Step], int]:
    """Run a search of this space with so many lanes: its incumbents, and the epochs it spent.

    It tries nothing first but `starting`: what the product ships was learnt from these very curves.
    """
    settings = TrainingSettings(
        model=space.model,
        spec=_SPEC,
        order_seed=0,
        objective=space.trial_objective,
        device="cpu",
        num_sharing=1,
        num_threads=1,
        engine="stacked",
        precision="float32",
        lanes=lanes,
    )
    store: Any = _Store()
    session = StudySession(InMemoryStorage(), space.name, space, (), starting=starting)
    session.enqueue()
    launcher = InlineLauncher(load=lambda _, send: _ReplayWorker(surrogate, send))  # type: ignore[arg-type,return-value]
    study = StudyRecord(
        name=space.name,
        state=StudyState.RUNNING,
        space=space.to_json(),
        objective=space.trial_objective,
        num_trials=space.num_trials,
        timeout_seconds=None,
        data=DataFacts(_SPEC, _FINGERPRINT, b""),
        trials=(),
        test_readings=(),
        keep_weights=0,
    )
    heard = _Incumbents(space, surrogate)
    with Pool(launcher, settings, 1) as pool:
        Loop(
            space=space,
            store=store,
            session=session,
            pool=pool,
            study=study,
            failures=Failures(None, 0, space),
            fingerprint=_FINGERPRINT,
            timeout=None,
            command="",
            on_event=heard.hear,
            stop=lambda: False,
        ).run()
    return heard.steps, heard.epochs
