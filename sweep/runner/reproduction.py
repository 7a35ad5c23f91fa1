"""`reproduce`: train a trial again from its record, and compare."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Unpack

from sweep.errors import DeviceError, Interrupted, StoreError, SweepFailedError
from sweep.execution import Pool, place_workers
from sweep.provenance import project_commit
from sweep.records import (
    Decision,
    Epoch,
    EpochMetrics,
    FailureKind,
    Lost,
    StudyRecord,
    TrialConfig,
    TrialOutcome,
    TrialState,
)
from sweep.runner.argument_rules import read_argument
from sweep.runner.failures import ctrl_c_interrupts
from sweep.runner.options import DEFAULTS, PlaceOptions, StudyOptions, complete_options
from sweep.runner.workers import precision_option, prepare_workers
from sweep.space import stored_space
from sweep.store import Store

__all__ = ["Reproduction", "reproduce"]


_POLL_SECONDS = 0.2
_NOTHING_WRITTEN = "nothing was written: reproduce the trial again"


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A trial compared with its repetition.

    Attributes:
        weights: Whether the best weights are the same, or None if they are not kept.
        conditions: Differences in versions, data, device and lanes, one line each.
    """

    study: str
    recorded: TrialOutcome
    repeated: TrialOutcome
    weights: bool | None
    conditions: tuple[str, ...]

    @property
    def is_identical(self) -> bool:
        """Whether everything measured is the same to the last bit."""
        return (
            self.first_difference is None
            and self.has_same_best
            and self.weights is not False
            and self._has_same_end
        )

    @property
    def was_cut(self) -> bool:
        """Whether trial and repetition were ended from outside, after the same epoch."""
        return _was_cut(self.recorded)

    @property
    def has_same_best(self) -> bool:
        """Whether the best epoch and its predictions are the same, as far as they are recorded."""
        then, now = (
            (outcome.best_epoch, outcome.validation_predictions)
            for outcome in (self.recorded, self.repeated)
        )
        return self.recorded.best_epoch is None or then == now

    @property
    def first_difference(self) -> int | None:
        """The first epoch that differs in anything but time, or None."""
        for theirs, ours in self._epochs:
            # A metric that was not recorded cannot differ.
            values = {name: ours.values[name] for name in theirs.values.keys() & ours.values.keys()}
            if replace(ours, seconds=theirs.seconds, values=values) != theirs:
                return theirs.epoch
        shared = len(self._epochs)
        for history in (self.recorded.history, self.repeated.history):
            if len(history) > shared:
                return history[shared].epoch
        return None

    @property
    def largest(self) -> dict[str, float]:
        """The largest difference of each metric over all epochs."""
        largest: dict[str, float] = {}
        for theirs, ours in self._epochs:
            for name in theirs.values.keys() & ours.values.keys():
                difference = abs(theirs.values[name] - ours.values[name])
                largest[name] = max(difference, largest.get(name, 0.0))
        return dict(sorted(largest.items()))

    @property
    def _epochs(self) -> list[tuple[EpochMetrics, EpochMetrics]]:
        """The epochs that both have."""
        return list(zip(self.recorded.history, self.repeated.history, strict=False))

    @property
    def _has_same_end(self) -> bool:
        then, now = self.recorded.failure, self.repeated.failure
        if then is None or self.was_cut:
            return now is None
        return now is not None and now.kind is then.kind


def reproduce(study: str, trial: int, **options: Unpack[PlaceOptions]) -> Reproduction:
    """Train a trial again from the store alone. Nothing is written.

    Engine, precision and threads are the recorded ones; the trial is trained on its own.
    `help(sweep.PlaceOptions)` documents the options.

    Raises:
        InputError: there is no such trial, or it has not ended.
        SweepFailedError: the worker died.
        Interrupted: Ctrl-C, or `stop` returned True.
    """
    whole = complete_options("reproduce", PlaceOptions, options)
    study, trial = read_argument("study", study), read_argument("trial", trial)
    device = whole["device"] if "device" in options else None
    with ctrl_c_interrupts(_NOTHING_WRITTEN):
        store = Store(str(whole["storage"]), to_write=False)
        record = store.read_study(study)
        recorded = _ended(record, trial)
        space = stored_space(record)
        config = store.trials(study).read_config(trial, space.model)
        as_then = _as_then(recorded, whole, device)
        with prepare_workers(as_then, space) as workers:
            repeated = _train(workers.pool, config, recorded, as_then)
        weights = store.trials(study).recorded_weights(trial)
    found = hashlib.sha256(repeated.weights or b"").hexdigest()
    data = record.data.fingerprint, workers.data.fingerprint
    return Reproduction(
        study=study,
        recorded=recorded,
        repeated=repeated,
        weights=None if weights is None else found == weights,
        conditions=tuple(_conditions(recorded, repeated, *data)),
    )


def _ended(record: StudyRecord, trial: int) -> TrialOutcome:
    found = record.trained_trial(trial)
    outcome = found.outcome
    if outcome is not None and (outcome.history or not _was_cut(outcome)):
        return outcome
    how = f"is {found.state}" if outcome is None else "was ended before its first epoch"
    raise StoreError(
        f"trial {trial} of study {record.name!r} {how}: there is nothing to compare a repetition "
        "with"
    )


def _as_then(recorded: TrialOutcome, given: PlaceOptions, device: str | None) -> StudyOptions:
    """One worker as it was then, as far as that is recorded and possible on this machine."""
    if device is None:
        device = recorded.device.split(" ")[0] or "auto"
        if given["executor"] == "ray":
            device = device.split(":")[0]  # it chooses the GPU
        else:
            try:
                place_workers(device, 1)
            except DeviceError:
                device = "auto"  # `conditions` says so
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
    pool: Pool, config: TrialConfig, recorded: TrialOutcome, options: PlaceOptions
) -> TrialOutcome:
    """Train the trial again; one that was ended from outside, for as many epochs."""
    was_cut = _was_cut(recorded)
    pool.start()
    pool.submit(config)
    pool.flush()
    while not options["stop"]():
        for message in pool.messages(_POLL_SECONDS):
            match message:
                case Epoch((metrics,)):
                    is_last = was_cut and metrics.epoch == recorded.epochs_run
                    decision = Decision.PRUNE if is_last else Decision.CONTINUE
                    pool.decide((metrics,), (decision,))
                    options["on_event"](message)
                case TrialOutcome():
                    return message
                case Lost(failure=failure):
                    if failure is not None and not options["stop"]():
                        raise SweepFailedError(f"trial {config.number}: {failure.reason}")
                    pool.resubmit(config, lambda: None)
    raise Interrupted(f"interrupted; {_NOTHING_WRITTEN}")


def _was_cut(recorded: TrialOutcome) -> bool:
    """Whether the trial was ended from outside."""
    failure = recorded.failure
    killed = failure is not None and failure.kind in (FailureKind.KILLED, FailureKind.TIME_LIMIT)
    return killed or recorded.state is TrialState.PRUNED


def _conditions(
    recorded: TrialOutcome, repeated: TrialOutcome, data_then: str, data_now: str
) -> list[str]:
    then, now = (
        {
            **(outcome.environment or {}),
            "data": data[:12],
            "device": outcome.device,
            "precision": outcome.precision,
            "engine": outcome.engine,
        }
        for outcome, data in ((recorded, data_then), (repeated, data_now))
    )
    commit = project_commit()
    if commit is not None:
        now["commit"] = commit
    found = [
        f"{name}: {then.get(name) or 'not recorded'} then, {now.get(name) or 'unknown'} now"
        for name in dict.fromkeys([*then, *now])
        if then.get(name) != now.get(name)
    ]
    if recorded.num_lanes > 1:
        found.append(f"trained together: {recorded.num_lanes} trials then, 1 now")
    return found
