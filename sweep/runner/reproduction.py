"""`reproduce`: train a trial again from what the store says of it, and compare."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Unpack

from sweep.errors import DeviceError, InputError, Interrupted, StoreError, SweepFailedError
from sweep.execution import Pool, place_workers
from sweep.provenance import project_commit
from sweep.records import (
    Decision,
    Epoch,
    FailureKind,
    Lost,
    Message,
    StudyRecord,
    TrialConfig,
    TrialOutcome,
    TrialState,
)
from sweep.runner.interruption import interruptible
from sweep.runner.options import DEFAULTS, PlaceOptions, StudyOptions, complete
from sweep.runner.spaces import data_folder, read_data
from sweep.runner.workers import choose_workers, open_pool, precision_option, worker_settings
from sweep.space import stored_space
from sweep.store import Store

__all__ = ["Reproduction", "reproduce"]


_POLL_SECONDS = 0.2
_NOTHING_WRITTEN = "nothing was written: reproduce the trial again"


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A trial beside its repetition.

    Attributes:
        study: The study's name.
        recorded: How the trial ended.
        repeated: How its repetition did.
        first_difference: The first epoch that differs in anything but time, or None.
        largest: The largest difference of each metric over all epochs.
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
    **options: Unpack[PlaceOptions],
) -> Reproduction:
    """Train a trial again from the store alone. Nothing is written.

    Engine, precision and threads are those of then; the trial is trained on its own.

    Args:
        study: Name of the study.
        trial: The trial's number.
        **options: Where the store, the data and the worker are, and who watches:
            `help(sweep.PlaceOptions)` documents them.

    Raises:
        InputError: there is no such trial, or it has not ended.
        SweepFailedError: the worker died.
        Interrupted: Ctrl-C, or `stop` said so.
    """
    whole = complete("reproduce", PlaceOptions, options)
    with interruptible(_NOTHING_WRITTEN):
        store = Store(whole["storage"], to_write=False)
        record = store.read_study(study)
        recorded = _ended(record, trial)
        config = store.trials(study).read_config(trial, record.space["model"])
        space = stored_space(record)
        folder = data_folder(whole["data_dir"])
        as_then = _as_then(recorded, whole, options.get("device"))
        choices, placements = choose_workers(as_then, space)
        settings = worker_settings(space, choices, placements, folder)
        with open_pool(whole["executor"], settings) as pool:
            fingerprint = read_data(space, folder).fingerprint
            repeated = _train(pool, config, recorded, whole["on_event"], whole["stop"])
        weights = store.trials(study).recorded_weights(trial)
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


def _as_then(recorded: TrialOutcome, given: PlaceOptions, device: str | None) -> StudyOptions:
    """One worker as it was then, as far as that is recorded and this machine can meet it."""
    if device is None:
        device = recorded.device.split(" ")[0] or "auto"
        try:
            place_workers(device, 1)
        except DeviceError:
            device = "auto"  # the difference is said in the end
    return {
        **DEFAULTS,
        **given,
        "workers": 1,
        "device": device,
        "engine": recorded.engine or "auto",
        "precision": precision_option(recorded.precision),
        "lanes": 1,
        "threads": recorded.num_threads or "auto",
    }


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
            raise Interrupted(f"interrupted; {_NOTHING_WRITTEN}")
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


def _first_difference(recorded: TrialOutcome, repeated: TrialOutcome) -> int | None:
    pairs = zip(recorded.history, repeated.history, strict=False)
    for theirs, ours in pairs:
        # A metric that was not recorded then cannot differ.
        values = {name: ours.values[name] for name in theirs.values.keys() & ours.values.keys()}
        if replace(ours, seconds=theirs.seconds, values=values) != theirs:
            return theirs.epoch
    lengths = len(recorded.history), len(repeated.history)
    return None if lengths[0] == lengths[1] else min(lengths) + 1


def _largest_differences(recorded: TrialOutcome, repeated: TrialOutcome) -> dict[str, float]:
    epochs = list(zip(recorded.history, repeated.history, strict=False))
    largest: dict[str, float] = {}
    for theirs, ours in epochs:
        for name in theirs.values.keys() & ours.values.keys():
            difference = abs(theirs.values[name] - ours.values[name])
            largest[name] = max(difference, largest.get(name, 0.0))
    return dict(sorted(largest.items()))


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
