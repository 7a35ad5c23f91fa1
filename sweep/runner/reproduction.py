"""`reproduce`: train a trial again from what the store says of it, and compare."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.data import default_data_dir
from sweep.errors import DeviceError, InputError, StoreError, SweepFailedError
from sweep.execution import Pool, place_workers
from sweep.provenance import project_commit
from sweep.records import (
    Decision,
    Epoch,
    EpochMetrics,
    FailureKind,
    Lost,
    Message,
    StudyRecord,
    TrialConfig,
    TrialOutcome,
    TrialState,
)
from sweep.runner.spaces import read_data, stored_space
from sweep.runner.workers import Executor, WorkerOptions
from sweep.store import Store
from sweep.words import DEFAULT_STORAGE

__all__ = ["METRICS", "Reproduction", "reproduce"]

METRICS = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")

_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A trial beside its repetition.

    Attributes:
        study: The study's name.
        recorded: How the trial ended.
        repeated: How its repetition did.
        first_difference: The first epoch that differs in anything but time, or None.
        largest: The largest difference of each metric of `METRICS` over all epochs; without those
            that were not recorded then.
        weights: Whether the best weights are the same, or None if they are not kept.
        conditions: What was different around it: versions, data, device, neighbours.
    """

    study: str
    recorded: TrialOutcome
    repeated: TrialOutcome
    first_difference: int | None
    largest: dict[str, float]
    weights: bool | None
    conditions: tuple[str, ...]

    @property
    def is_identical(self) -> bool:
        """Whether all that was measured is the same to the last bit."""
        return (
            self.first_difference is None
            and self.has_same_best
            and self.weights is not False
            and _failed_alike(self.recorded, self.repeated)
        )

    @property
    def was_cut(self) -> bool:
        """Whether trial and repetition were ended from outside, after as many epochs."""
        return _was_cut(self.recorded)

    @property
    def has_same_best(self) -> bool:
        """Whether the best epoch and its predictions are the same, as far as they are recorded."""
        best = (self.recorded.best_epoch, self.recorded.validation_predictions)
        return self.recorded.best_epoch is None or best == (
            self.repeated.best_epoch,
            self.repeated.validation_predictions,
        )


def reproduce(
    study: str,
    trial: int,
    *,
    storage: str = DEFAULT_STORAGE,
    device: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    executor: Executor = "processes",
    on_event: Callable[[Message], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Reproduction:
    """Train a trial again from the store alone. Nothing is written.

    Engine, precision and threads are those of then; the trial is trained on its own.

    Args:
        study: Name of the study.
        trial: The trial's number.
        storage: `sqlite:///` and a path.
        device: Where to train; the kind of device of then if None and it is there.
        data_dir: Folder of local data sets; `$SWEEP_DATA_DIR` or `data/` if None.
        executor: `processes`; `inline`: the trial is trained in this very process; or what makes a
            `sweep.execution.Launcher`.
        on_event: Called for every epoch.
        stop: Asked several times a second; True ends the work.

    Raises:
        InputError: there is no such trial, or it has not ended.
        SweepFailedError: the worker died.
        KeyboardInterrupt: `stop` said so.
    """
    store = Store(storage, to_write=False)
    record = store.read_study(study)
    recorded = _ended(record, trial)
    config = store.read_config(study, trial)
    space = stored_space(store, study)
    folder = Path(data_dir) if data_dir is not None else default_data_dir()
    with _workers(recorded, device, executor).pool(space, folder) as pool:
        fingerprint = read_data(space, folder).fingerprint
        repeated = _train(pool, config, recorded, on_event, stop)
    weights = store.recorded_weights(study, trial)
    return Reproduction(
        study=study,
        recorded=recorded,
        repeated=repeated,
        first_difference=_first_difference(recorded, repeated),
        largest=_largest_differences(recorded, repeated),
        weights=(
            None
            if weights is None
            else hashlib.sha256(repeated.weights or b"").hexdigest() == weights
        ),
        conditions=tuple(_conditions(recorded, repeated, record.data.fingerprint, fingerprint)),
    )


def _ended(record: StudyRecord, trial: int) -> TrialOutcome:
    if not 0 <= trial < len(record.trials):
        raise InputError(
            f"study {record.name!r} has no trial {trial}; it has {len(record.trials)}, numbered "
            "from 0"
        )
    outcome = record.trials[trial].outcome
    if outcome is None:
        raise StoreError(
            f"trial {trial} of study {record.name!r} is {record.trials[trial].state}: there is "
            "nothing to compare a repetition with"
        )
    if _was_cut(outcome) and not outcome.history:
        raise StoreError(
            f"trial {trial} of study {record.name!r} was ended before its first epoch: there is "
            "nothing to compare a repetition with"
        )
    return outcome


def _workers(recorded: TrialOutcome, device: str | None, executor: Executor) -> WorkerOptions:
    """One worker as it was then, as far as that is recorded and this machine can meet it."""
    if device is None:
        device = recorded.device.split(" ")[0] or "auto"
        try:
            place_workers(device, 1)
        except DeviceError:
            device = "auto"  # the difference is said in the end
    return WorkerOptions(
        workers=1,
        device=device,
        engine=recorded.engine or "auto",
        # What a GPU makes of float32 is recorded as tf32.
        precision={"": "auto", "tf32": "float32"}.get(recorded.precision, recorded.precision),
        lanes=1,
        executor=executor,
        threads=recorded.num_threads or None,
    )


def _train(
    pool: Pool,
    config: TrialConfig,
    recorded: TrialOutcome,
    on_event: Callable[[Message], None],
    stop: Callable[[], bool],
) -> TrialOutcome:
    """Train the trial again; one that was ended from outside, for as many epochs as it had."""
    was_cut = _was_cut(recorded)
    pool.start()
    pool.submit(config)
    pool.flush()
    while True:
        if stop():
            raise KeyboardInterrupt
        for message in pool.messages(_POLL_SECONDS):
            match message:
                case Epoch((metrics,)):
                    is_last = was_cut and metrics.epoch == len(recorded.history)
                    decision = Decision.PRUNE if is_last else Decision.CONTINUE
                    pool.decide((metrics,), (decision,))
                    on_event(message)
                case TrialOutcome():
                    return message
                case Lost(failure=failure) if failure is not None:
                    raise SweepFailedError(f"trial {config.number}: {failure.reason}")


def _was_cut(recorded: TrialOutcome) -> bool:
    """Whether the trial was ended from outside, and not by what it did itself."""
    failure = recorded.failure
    killed = failure is not None and failure.kind in (FailureKind.KILLED, FailureKind.TIME_LIMIT)
    return killed or recorded.state is TrialState.PRUNED


def _failed_alike(recorded: TrialOutcome, repeated: TrialOutcome) -> bool:
    if recorded.failure is None or _was_cut(recorded):
        return repeated.failure is None
    return repeated.failure is not None and repeated.failure.kind is recorded.failure.kind


def _is_same(theirs: EpochMetrics, ours: EpochMetrics) -> bool:
    """Whether two epochs agree in all that was recorded then, but for time."""
    ours = replace(ours, seconds=theirs.seconds)
    if theirs.train_accuracy is None:  # a study from before it was recorded
        ours = replace(ours, train_accuracy=None)
    return ours == theirs


def _first_difference(recorded: TrialOutcome, repeated: TrialOutcome) -> int | None:
    pairs = zip(recorded.history, repeated.history, strict=False)
    for theirs, ours in pairs:
        if not _is_same(theirs, ours):
            return theirs.epoch
    lengths = len(recorded.history), len(repeated.history)
    return None if lengths[0] == lengths[1] else min(lengths) + 1


def _largest_differences(recorded: TrialOutcome, repeated: TrialOutcome) -> dict[str, float]:
    epochs = list(zip(recorded.history, repeated.history, strict=False))
    largest = {}
    for name in METRICS:
        pairs = [(getattr(theirs, name), getattr(ours, name)) for theirs, ours in epochs]
        known = [(then, now) for then, now in pairs if then is not None and now is not None]
        if known or not pairs:
            largest[name] = max((abs(then - now) for then, now in known), default=0.0)
    return largest


def _conditions(
    recorded: TrialOutcome, repeated: TrialOutcome, data_then: str, data_now: str
) -> list[str]:
    """What was different around the trial, one line each."""
    then = {**(recorded.environment or {})}
    now = {**(repeated.environment or {})}
    commit = project_commit()
    if commit is not None:
        now["commit"] = commit
    then |= {"data": data_then[:12], "device": recorded.device, "precision": recorded.precision}
    now |= {"data": data_now[:12], "device": repeated.device, "precision": repeated.precision}
    then["engine"], now["engine"] = recorded.engine, repeated.engine
    found = [
        f"{name}: {then.get(name) or 'not recorded'} then, {now.get(name) or 'unknown'} now"
        for name in dict.fromkeys([*then, *now])
        if then.get(name) != now.get(name)
    ]
    if recorded.num_lanes > 1:
        found.append(f"trained together: {recorded.num_lanes} trials then, 1 now")
    return found
