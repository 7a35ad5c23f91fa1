"""What the store knows of a study."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING, Any

from sweep.errors import InputError
from sweep.records.budget import Limits, limits_of
from sweep.records.speed import Calibration
from sweep.records.trial import (
    ConfusionMatrix,
    DataFacts,
    Failure,
    Objective,
    TrialOutcome,
    TrialState,
)

if TYPE_CHECKING:
    from pandas import DataFrame

KEPT_WEIGHTS = 10
"""How many trials keep their weights by default."""

_SHOWN_TRIALS = 10


class StudyState(StrEnum):
    """Whether a study's budget is used up, a driver works on it, or neither."""

    FINISHED = "finished"
    RUNNING = "running"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """A trial as the store knows it.

    Attributes:
        params: Every hyperparameter, fixed ones included; empty before it was asked for.
        reports: The objective after each reported epoch.
        outcome: Without the weights.
        lost: Why it lost each earlier worker; it was tried again each time.
        retry_of: Number of the failed trial that this one repeats.
        audited: The epoch after which the pruner would have ended it, had it not been chosen to
            show what pruning misses.
        order: Which order of the training examples it saw (see `TrialConfig`).
        copy_of: Number of the COMPLETE trial with the same configuration, in whose place this one
            was not trained. It has no epochs, and the other's value.
        study_epochs: Epochs of all trials that had ended or paused by its own end.
        started_at: When it was asked for, by this machine's clock.
        ended_at: When it was told to Optuna.
    """

    number: int
    state: TrialState
    params: dict[str, int | float | str]
    reports: dict[int, float] = field(repr=False)
    outcome: TrialOutcome | None
    lost: tuple[Failure, ...] = ()
    retry_of: int | None = None
    audited: int | None = None
    order: int = 0
    copy_of: int | None = None
    study_epochs: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def epochs_run(self) -> int:
        """Epochs up to the last report."""
        return self.outcome.epochs_run if self.outcome else max(self.reports, default=0)

    @property
    def epochs_left(self) -> int:
        """Epochs of its configuration that were not run."""
        return max(0, int(self.params.get("epochs", 0)) - self.epochs_run)

    @property
    def reason(self) -> str | None:
        """Why it was paused, pruned or not trained, or why it failed, in one line."""
        if self.copy_of is not None:
            return f"the same configuration as trial {self.copy_of}: not trained again"
        planned = self.params.get("epochs", "an unknown number")
        if self.state is TrialState.PAUSED:
            return f"paused after epoch {self.epochs_run} of {planned}"
        if self.outcome is None:
            return "ended by another program" if self.state is TrialState.FAIL else None
        if self.outcome.failure is not None:
            return f"{self.outcome.failure.kind}: {self.outcome.failure.reason}"
        if self.state is TrialState.PRUNED:
            return f"pruned after epoch {self.epochs_run} of {planned}"
        return None


@dataclass(frozen=True, slots=True)
class Mistake:
    """A test example, at `index` in the test split, that the chosen trial got wrong.

    Attributes:
        confidence: The probability of the predicted class.
        image: Pixels, one byte each, row by row and channel after channel; empty for a table.
        row: A table's values as text, in the order of `TestReading.columns`; empty if missing.
    """

    index: int
    true: int
    predicted: int
    confidence: float
    image: bytes = field(repr=False)
    row: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Test examples with about the same probability of the predicted class.

    `confidence_sum` is the sum of these probabilities.
    """

    num_images: int
    num_correct: int
    confidence_sum: float


@dataclass(frozen=True, slots=True)
class TestReading:
    """One opening of the test split.

    Attributes:
        trial: The trial that validation had chosen.
        opened_at: ISO 8601, UTC.
        num_trials: Trials of the study that had ended by then.
        num_images: Size of the test split; this and what follows is empty or None if the reading
            was never finished.
        fingerprint: SHA-256 of the test split.
        mistakes: The most confident ones.
        image_shape: (channels, height, width); empty for a table.
        labels: True class of each test example (see `sweep.codec.pack_labels`).
        predictions: Predicted class of each test example, packed likewise.
        calibration: Bins of equal width from probability 0 to 1.
        loss: Mean cross-entropy in nats.
        validation_predictions: Predicted class of each validation example, measured again in the
            reading's own precision, float32; like the next, None if the trial had that precision.
        validation_loss: Mean cross-entropy of the validation examples, measured again.
        columns: Names of a table's first 30 columns; empty for images.
        num_in_training: Test examples whose inputs also stand in the training pool.
        losses: Cross-entropy of each test example in nats, as little-endian float32, if the study
            ranks by the loss; otherwise empty, and in readings from before they were recorded.
    """

    __test__ = False  # pytest would take the name for a test class

    trial: int
    opened_at: str
    num_trials: int = 0
    num_images: int = 0
    fingerprint: str = ""
    confusion_matrix: ConfusionMatrix | None = None
    mistakes: tuple[Mistake, ...] = ()
    image_shape: tuple[int, ...] = ()
    labels: bytes = field(default=b"", repr=False)
    predictions: bytes = field(default=b"", repr=False)
    calibration: tuple[CalibrationBin, ...] = ()
    loss: float | None = None
    validation_predictions: bytes | None = None
    validation_loss: float | None = None
    columns: tuple[str, ...] = ()
    num_in_training: int | None = None
    losses: bytes = field(default=b"", repr=False)

    @property
    def num_correct(self) -> int:
        """How many test examples were classified correctly."""
        matrix = self.confusion_matrix or ()
        return sum(row[label] for label, row in enumerate(matrix))


BASELINES = {"default": "the default configuration", "softmax": "softmax regression"}
"""What a confirmation may also train, by name, in words."""


@dataclass(frozen=True, slots=True)
class Confirms:
    """What a study of repeated runs confirms: some trials of a search, on fresh seeds.

    Run number `r` of the study repeats `[*trials, *baselines][r // num_seeds]`, with the order of
    the training examples that belongs to seed `r % num_seeds`.

    Attributes:
        trials: Each has another configuration, best first.
        num_trials: Trials of the search that had ended by then.
        identity: Of the search: another one of the same name may follow it.
        front: Whether they are the best points of the front against the number of parameters, in
            place of the best trials.
        baselines: What else is trained on these seeds, to show what the search was worth: names of
            `sweep.space.baseline_parameters`. A baseline is no candidate.
    """

    study: str
    trials: tuple[int, ...]
    num_seeds: int
    num_trials: int
    identity: str
    front: bool = False
    baselines: tuple[str, ...] = ()

    @property
    def num_runs(self) -> int:
        """How many runs there are once all have ended."""
        return (len(self.trials) + len(self.baselines)) * self.num_seeds

    def repeated_by(self, run: int) -> str | None:
        """What a run repeats, in words; None for one beyond those that were planned."""
        names = [BASELINES[name] for name in self.baselines]
        repeated = [*(f"trial {trial} of {self.study}" for trial in self.trials), *names]
        return repeated[run // self.num_seeds] if 0 <= run < self.num_runs else None


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """A configuration that a study tries first, though its search space does not name it.

    Attributes:
        params: Values of sampled parameters; the sampler draws the others.
        origin: Where it comes from, such as `the portfolio`.
    """

    params: dict[str, int | float | str]
    origin: str


@dataclass(frozen=True, slots=True)
class WorkerChoices:
    """How a study is trained: what the user chose, and what `auto` came to.

    Attributes:
        threads: CPU threads of each worker.
        precision: Of matrix products.
        lanes: The most trials that one worker trains at once.
        automatic: Which of `workers`, `threads` and `lanes` were chosen for the user.
        device: Kind of device they were chosen for: `cpu` or `cuda`.
        calibration: What automatic choices follow from; None if nothing had to be measured.
    """

    workers: int
    threads: int
    engine: str
    precision: str
    lanes: int
    automatic: tuple[str, ...]
    device: str
    calibration: Calibration | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, repr=False)
class StudyRecord:
    """A study as the store knows it. `print`, and a notebook, show its best trials as a table.

    Attributes:
        space: The search space as plain data (see `sweep.space.SearchSpace`).
        num_trials: Total number of trials of the budget.
        timeout_seconds: Time limit of one command.
        trials: In the order of their numbers.
        identity: Random, given when the study was made; None for a study that is not in a store.
        starting: What its first trials were given, after those that the space enqueues.
        foreign: Numbers of the Optuna study's other trials, which another program made.
        test_readings: Every opening of the test split, in order.
        finished_by: What used up the budget: `trials`, `timeout`, `epochs`, `target` or `plateau`,
            or `copies` if nothing else was left; None while it is not used up.
        keep_weights: How many of the best trials keep their weights.
        confirms: None if it is a search.
        num_audits: How many trials may be audited (see `TrialRecord`).
        workers: None if no sweep has worked on it.
    """

    name: str
    state: StudyState
    space: dict[str, Any]
    objective: Objective
    num_trials: int | None
    timeout_seconds: float | None
    data: DataFacts
    trials: tuple[TrialRecord, ...]
    test_readings: tuple[TestReading, ...]
    finished_by: str | None = None
    keep_weights: int = KEPT_WEIGHTS
    confirms: Confirms | None = None
    num_audits: int = 0
    workers: WorkerChoices | None = None
    identity: str | None = None
    starting: tuple[StartingPoint, ...] = ()
    foreign: tuple[int, ...] = ()

    @property
    def state_at_rest(self) -> StudyState:
        """The state while no driver holds the study."""
        return StudyState.INTERRUPTED if self.finished_by is None else StudyState.FINISHED

    def trial(self, number: int) -> TrialRecord:
        """The trial of this number; raises an `InputError` if there is none."""
        if number in self.foreign:
            raise InputError(
                f"trial {number} of study {self.name!r} was not made by sweep, which leaves it out"
            )
        place = bisect_left(self.trials, number, key=lambda trial: trial.number)
        found = self.trials[place : place + 1]
        if found and found[0].number == number:
            return found[0]
        raise InputError(
            f"study {self.name!r} has no trial {number}; it has {len(self.trials)}, numbered from 0"
            + (" with gaps" if self.foreign else "")
        )

    def origin(self, trial: TrialRecord) -> str | None:
        """Where a trial's configuration comes from, None if the sampler or the space chose it."""
        if self.confirms is not None:
            return self.confirms.repeated_by(trial.number)
        index = trial.number - len(self.space.get("enqueue", ()))
        return self.starting[index].origin if 0 <= index < len(self.starting) else None

    def trained_trial(self, number: int) -> TrialRecord:
        """The trial of this number; raises an `InputError` if there is none, or it is a copy."""
        trial = self.trial(number)
        if trial.copy_of is not None:
            raise InputError(
                f"trial {number} of study {self.name!r} is {trial.reason}; name {trial.copy_of}"
            )
        return trial

    def value(self, trial: TrialRecord) -> float | None:
        """The trial's best validation metric, or None if it has none. A copy has its original's."""
        if trial.copy_of is not None:
            trial = self.trial(trial.copy_of)
        best = trial.outcome.best if trial.outcome else None
        return self.objective.value(best) if best else None

    def ranked(self) -> list[TrialRecord]:
        """COMPLETE trials with a value, best first (see `Objective.rank`); no copies."""
        complete = [
            (rank, trial)
            for trial in self.trials
            if trial.state is TrialState.COMPLETE
            and trial.outcome is not None
            and (rank := self.objective.rank(trial.outcome)) is not None
        ]
        return [trial for _, trial in sorted(complete, key=lambda entry: entry[0])]

    @property
    def with_weights(self) -> frozenset[int]:
        """Numbers of the best trials, which keep the weights they ended with."""
        return frozenset(trial.number for trial in self.ranked()[: self.keep_weights])

    @property
    def best(self) -> TrialRecord | None:
        """The trial that validation chose, or None while no trial is COMPLETE."""
        ranked = self.ranked()
        return ranked[0] if ranked else None

    @property
    def num_best(self) -> int:
        """How many COMPLETE trials have the best value, the best trial included."""
        values = [self.value(trial) for trial in self.ranked()]
        return values.count(values[0]) if values else 0

    @property
    def failed(self) -> list[TrialRecord]:
        """FAIL trials that have not been run again; a WAITING repetition does not count."""
        waiting = {t.retry_of for t in self.trials if t.state is TrialState.WAITING}
        repeated = {t.retry_of for t in self.trials} - waiting
        return [t for t in self.trials if t.state is TrialState.FAIL and t.number not in repeated]

    @property
    def unrepeated(self) -> list[TrialRecord]:
        """FAIL trials that have no repetition, not even a WAITING one."""
        repeated = {t.retry_of for t in self.trials}
        return [t for t in self.failed if t.number not in repeated]

    def state_of(self, trial: TrialRecord) -> TrialState:
        """A trial's state for readers: without a driver nothing runs, and what was begun waits."""
        if trial.state is TrialState.RUNNING and self.state is not StudyState.RUNNING:
            return TrialState.WAITING
        return trial.state

    @property
    def limits(self) -> Limits:
        """The parts of its budget that hold over its whole life."""
        return limits_of(self.num_trials, self.space.get("budget", {}))

    @property
    def num_copies(self) -> int:
        """How many trials are copies of others."""
        return sum(trial.copy_of is not None for trial in self.trials)

    @property
    def num_ended(self) -> int:
        """How many trials are complete, pruned or failed."""
        return self.count(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)

    @property
    def num_to_finish(self) -> int:
        """How many trials were under way when their driver stopped; `resume` continues them."""
        return sum(self.state_of(trial) is not trial.state for trial in self.trials)

    def count(self, *states: TrialState) -> int:
        """How many trials are in one of these states, as `state_of` has it."""
        return sum(self.state_of(trial) in states for trial in self.trials)

    def to_dataframe(self) -> DataFrame:
        """One row per trial, by number; columns as in Optuna's `trials_dataframe`, and some more.

        `number`, `state`, `value`, `params_NAME` of every hyperparameter, `datetime_start`,
        `datetime_complete`, `duration` (a timedelta), `epochs_run`, `best_epoch`, `seconds` (wall
        time of the training), `copy_of` and `reason`. Unknown values are missing.
        """
        import pandas as pd

        names = dict.fromkeys(name for trial in self.trials for name in trial.params)
        frame = pd.DataFrame(
            {
                "number": [trial.number for trial in self.trials],
                "state": [self.state_of(trial).value for trial in self.trials],
                "value": pd.Series([self.value(trial) for trial in self.trials], dtype=float),
                **{f"params_{n}": [trial.params.get(n) for trial in self.trials] for n in names},
                "datetime_start": pd.to_datetime(
                    [trial.started_at for trial in self.trials], errors="coerce"
                ),
                "datetime_complete": pd.to_datetime(
                    [trial.ended_at for trial in self.trials], errors="coerce"
                ),
            }
        )
        outcomes = [trial.outcome for trial in self.trials]
        return frame.assign(
            duration=frame["datetime_complete"] - frame["datetime_start"],
            epochs_run=[trial.epochs_run for trial in self.trials],
            best_epoch=pd.array([o.best_epoch if o else None for o in outcomes], dtype="Int64"),
            seconds=pd.Series([o.seconds if o else None for o in outcomes], dtype=float),
            copy_of=pd.array([trial.copy_of for trial in self.trials], dtype="Int64"),
            reason=[trial.reason for trial in self.trials],
        )

    def __repr__(self) -> str:
        return f"<{self._summary}>"

    def __str__(self) -> str:
        if not self.trials:
            return self._summary
        return f"{self._summary}\n{self._best_trials().to_string(index=False, line_width=100)}"

    def _repr_html_(self) -> str:
        table = self._best_trials().to_html(index=False, border=0)
        return f"<p>{escape(self._summary)}</p>\n{table}"

    @property
    def _summary(self) -> str:
        """The study in one line."""
        total = "" if self.num_trials is None else f" of {self.num_trials:,}"
        parts = [f"study {self.name!r}: {self.state}", f"{self.num_ended:,}{total} trials ended"]
        if self.best is not None:
            value = f"{_cell(self.objective.metric)} {_cell(self.value(self.best))}"
            parts.append(f"best trial {self.best.number}, {value}")
        if len(self.trials) > _SHOWN_TRIALS:
            parts.append(f"the table shows {_SHOWN_TRIALS} of {len(self.trials):,}")
        return ", ".join(parts)

    def _best_trials(self) -> DataFrame:
        """A few trials, the best ones first, with the hyperparameters in which trials differ."""
        import pandas as pd

        ranked = self.ranked()
        places = {trial.number for trial in ranked}
        others = [trial for trial in self.trials if trial.number not in places]
        names = dict.fromkeys(name for trial in self.trials for name in trial.params)
        varied = [n for n in names if len({trial.params.get(n) for trial in self.trials}) > 1]
        rows = [
            [trial.number, trial.state, self.value(trial), *(trial.params.get(n) for n in varied)]
            for trial in [*ranked, *others][:_SHOWN_TRIALS]
        ]
        columns = ["trial", "state", self.objective.metric, *varied]
        cells = [[_cell(value) for value in row] for row in rows]
        return pd.DataFrame(cells, columns=[_cell(name) for name in columns])

    def test_reading(self, trial: int) -> TestReading | None:
        """The finished reading of the test split for this trial, or None."""
        finished = (r for r in self.test_readings if r.confusion_matrix is not None)
        return next((r for r in finished if r.trial == trial), None)


def _cell(value: float | str | None) -> str:
    """A value as text: a short number, and no character that a terminal obeys.

    A study may come from an untrusted store.
    """
    if value is None:
        return ""
    return short_number(value) if isinstance(value, float) else repr(str(value))[1:-1]


def short_number(value: float) -> str:
    """Four significant digits, or as many as tell a number from 1: a decay of 0.99999 is not 1."""
    texts = (f"{value:.{digits}g}" for digits in range(4, 18))
    return next(text for text in texts if value == 1 or float(text) != 1)
