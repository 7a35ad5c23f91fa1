"""The course of a study and of its trials, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sweep.records import StudyRecord, TrialRecord, TrialState
from sweep.reporting.statistics import heights
from sweep.words import metric_words, percent_or_number

__all__ = [
    "STATES",
    "BestSoFar",
    "ChosenCurves",
    "Trials",
    "best_so_far",
    "chosen_curves",
    "history",
    "label",
    "learning_curves",
    "trial_values",
]

STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}

_LABELS = {
    "validation_accuracy": "Validation error (%)",
    "validation_loss": "Validation loss (nats)",
}


def label(record: StudyRecord) -> str:
    """The axis label of a study's own objective; short, to fit beside small panels."""
    metric = record.objective.metric
    name = metric_words(metric.removeprefix("validation_"))
    return _LABELS.get(metric, f"1 − {name} (%)")


# ---------------------------------------------------------------- the search


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """Trials to draw, a row each or a row for each epoch; `label` is of the column `height`."""

    label: str
    frame: pd.DataFrame
    chosen: int | None


@dataclass(frozen=True, slots=True)
class BestSoFar:
    """The objective of the best trial so far, after each COMPLETE trial.

    `epochs` are those of all trials up to it, by number, and `end` those of all trials; `shown` are
    the heights of `values`, and `texts` say both in words.
    """

    study: str
    epochs: tuple[int, ...]
    end: int
    values: tuple[float, ...]
    label: str
    shown: tuple[float, ...]
    texts: tuple[str, ...]


def history(record: StudyRecord, chosen: int | None) -> Trials | None:
    """The value of each trial against the epochs spent; None below two values.

    Columns: `number`, `state` (`complete`, `pruned` or `failed`), `epochs_spent` on all trials up
    to this one, `value` and `height` (NaN if failed), `text` in words, and `best`, the lowest
    height of the COMPLETE trials so far.
    """
    frame = trial_values(record)
    frame = frame[frame["height"].notna() | (frame["state"] == "failed")]
    if frame["height"].count() < 2:
        return None
    best = frame["height"].where(frame["state"] == "complete").cummin().ffill()
    return Trials(label(record), frame.assign(best=best), chosen)


def best_so_far(record: StudyRecord) -> BestSoFar:
    """A study's progress."""
    trials = trial_values(record)
    frame = trials[(trials["state"] == "complete") & trials["value"].notna()]
    maximized = record.objective.goal == "maximize"
    values = frame["value"].cummax() if maximized else frame["value"].cummin()
    said = (percent_or_number(record.objective.metric, value) for value in values)
    return BestSoFar(
        study=record.name,
        epochs=tuple(frame["epochs_spent"].tolist()),
        end=int(trials["epochs_spent"].max()) if len(trials) else 0,
        values=tuple(values.tolist()),
        label=label(record),
        shown=tuple(frame["height"].cummin().tolist()),
        texts=tuple(
            f"{record.name}, {epochs:,} epochs: {text}"
            for epochs, text in zip(frame["epochs_spent"], said, strict=True)
        ),
    )


def trial_values(record: StudyRecord) -> pd.DataFrame:
    """A row for each trial; of a copy or without a finite value, `value` and `height` are NaN."""
    valued = (TrialState.COMPLETE, TrialState.PRUNED)
    rows = [
        (
            trial.number,
            STATES.get(trial.state, ""),
            trial.epochs_run,
            record.value(trial) if trial.state in valued and trial.copy_of is None else None,
        )
        for trial in record.trials
    ]
    frame = pd.DataFrame(rows, columns=["number", "state", "epochs_spent", "value"])
    frame = frame.astype({"epochs_spent": int, "value": float})
    frame["epochs_spent"] = frame["epochs_spent"].cumsum()
    frame["value"] = frame["value"].where(np.isfinite(frame["value"]))
    metric = record.objective.metric
    frame["height"] = heights(frame["value"], metric, record)
    frame["text"] = [
        f"trial {number}: {percent_or_number(metric, value)} {state}"
        for number, state, value in zip(
            frame["number"], frame["state"], frame["value"], strict=True
        )
    ]
    return frame


def learning_curves(record: StudyRecord, chosen: int | None) -> Trials | None:
    """The objective of every COMPLETE and PRUNED trial, epoch by epoch.

    Columns: `number`, `state`, `epoch` (from 1), `height`, `text` in words, and `audited`: whether
    the pruner would have ended the trial after this epoch. None below two trials, or two reported
    epochs.
    """
    rows = [
        (trial.number, STATES[trial.state], metrics.epoch, record.objective.value(metrics),
         metrics.epoch == trial.audited)
        for trial in record.trials
        if trial.outcome and trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        for metrics in trial.outcome.history
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["number", "state", "epoch", "height", "audited"])
    if frame["number"].nunique() < 2 or frame["epoch"].nunique() < 2:
        return None
    metric = record.objective.metric
    frame["text"] = [
        f"trial {number}, epoch {epoch}: {percent_or_number(metric, value)}"
        for number, epoch, value in zip(
            frame["number"], frame["epoch"], frame["height"], strict=True
        )
    ]
    frame["height"] = heights(frame["height"], metric, record)
    return Trials(label(record), frame, chosen)


@dataclass(frozen=True, slots=True, eq=False)
class ChosenCurves:
    """The chosen trial, epoch by epoch.

    Columns: `epoch` (from 1), `split` (`training` or `validation`), `loss` (mean cross-entropy in
    nats), `error` (wrong answers in percent), and both in words: `loss_text`, `error_text`.
    """

    number: int
    best_epoch: int
    frame: pd.DataFrame


def chosen_curves(record: StudyRecord, trial: TrialRecord) -> ChosenCurves | None:
    """Loss and error of a trial; None below two reports. `record` has its validation split."""
    outcome = trial.outcome
    if outcome is None or outcome.best_epoch is None or len(outcome.history) < 2:
        return None
    rows = [
        (metrics.epoch, split, metrics.values[f"{key}_loss"], metrics.values[f"{key}_accuracy"])
        for split, key in (("training", "train"), ("validation", "validation"))
        for metrics in outcome.history
    ]
    frame = pd.DataFrame(rows, columns=["epoch", "split", "loss", "error"])
    frame["loss"] = heights(frame["loss"], "validation_loss", record)
    frame["error"] = heights(frame["error"], "validation_accuracy", record)
    where = [f"epoch {epoch}, {split}" for epoch, split in frame[["epoch", "split"]].to_numpy()]
    for column, form in (("loss", "{:.4f}"), ("error", "{:.2f}%")):
        said = map(form.format, frame[column])
        frame[f"{column}_text"] = [f"{at}: {text}" for at, text in zip(where, said, strict=True)]
    return ChosenCurves(outcome.trial, outcome.best_epoch, frame)
