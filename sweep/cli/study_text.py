"""Studies, trials and search spaces as text for people."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

from sweep.records import (
    FINAL,
    StudyRecord,
    TrialOutcome,
    TrialRecord,
    TrialState,
    WorkerChoices,
)
from sweep.space import (
    DATASET_FORMS,
    KEPT,
    advice_lines,
    notable_parameters,
    stored_space,
)
from sweep.words import (
    DEFAULT_STORAGE,
    columns,
    command_words,
    copies_words,
    counted,
    duration,
    equal_words,
    number_words,
    percent_or_number,
    state_words,
)

if TYPE_CHECKING:
    from sweep.runner.deletion import Deletion

__all__ = [
    "dataset_name",
    "deletion_text",
    "failure_kinds",
    "failure_lines",
    "headline",
    "nothing_to_do",
    "study_rows",
    "summarize",
    "training_line",
    "training_words",
    "trial_text",
]

_SHOWN_FAILURES = 5


def summarize(
    study: StudyRecord, seconds: float, storage: str = DEFAULT_STORAGE, places: str = ""
) -> str:
    """What `run` and `resume` print at the end; `places` are options for the next command."""
    lines = [f"{headline(study)} in {duration(seconds)}", *_best_lines(study)]
    pruned = [trial for trial in study.trials if trial.state is TrialState.PRUNED]
    if pruned:
        saved = sum(trial.epochs_left for trial in pruned)
        lines.append(
            f"pruned: {counted(len(pruned), 'trial')}, which saved {counted(saved, 'epoch')}"
        )
    lines += _audit_lines(study)
    lines += failure_lines(study, storage)
    lines.append(f"next: sweep report {shlex.quote(study.name)}{places}")
    return "\n".join(lines)


def nothing_to_do(study: StudyRecord, places: str, *, names_model: bool) -> str:
    """What `resume` prints for a study that was finished before; `places` may name its model."""
    if study.finished_by in FINAL:
        change = f"another budget.{study.finished_by} in the search space, and `sweep run`, go on"
        return f"{headline(study)}: there is nothing to do; {change}"
    model = "" if names_model else f" {stored_space(study).model_option}".rstrip()
    more = f"sweep resume {shlex.quote(study.name)}{places}{model} --trials {2 * len(study.trials)}"
    return f"{headline(study)}: there is nothing to do; more trials with `{more}`"


def trial_text(study: StudyRecord, trial: TrialRecord, *, has_weights: bool) -> str:
    """One trial: configuration, outcome and history."""
    metric = study.objective.metric
    value = percent_or_number(metric, study.value(trial))
    state = study.state_of(trial)
    lines = [f"trial {trial.number} of study {study.name}: {state}, {metric} {value}"]
    if state is not trial.state:
        lines.append(f"interrupted after epoch {trial.epochs_run}: it continues with its study")
    if trial.reason:
        is_pruned = trial.state is TrialState.PRUNED
        by = f" by the {stored_space(study).pruner.type} pruner" if is_pruned else ""
        lines.append(trial.reason + by)
    if trial.retry_of is not None:
        lines.append(f"it repeats trial {trial.retry_of}, which failed")
    origin = study.origin(trial)
    if origin is not None:
        lines.append(f"it starts from {origin}")
    if trial.audited is not None:
        lines.append(f"audited: the pruner would have ended it after epoch {trial.audited}")
    lines += [f"tried again: {failure.reason}" for failure in trial.lost]
    lines += columns([[f"  {name}", number_words(v)] for name, v in trial.params.items()])
    outcome = trial.outcome
    if outcome is None or trial.copy_of is not None:
        return "\n".join(lines)
    lines.append(
        f"{counted(outcome.epochs_run, 'epoch')} in {duration(outcome.seconds)}, "
        f"{outcome.num_parameters:,} parameters, {outcome.precision or 'unknown precision'} "
        f"on {outcome.device or 'an unknown device'}"
    )
    if outcome.history:
        lines += ["", *columns(_history(outcome))]
    if any(metrics.epoch == outcome.best_epoch for metrics in outcome.history):
        lines.append(f"* best epoch{', whose weights were kept' if has_weights else ''}")
    if outcome.failure and outcome.failure.traceback:
        lines += ["", outcome.failure.traceback.rstrip()]
    return "\n".join(lines)


def _history(outcome: TrialOutcome) -> list[list[str]]:
    """A heading, and a row for each epoch."""
    names = dict.fromkeys(name for metrics in outcome.history for name in metrics.values)
    rows = [["epoch", *(name.replace("_", " ") for name in names), "seconds"]]
    for metrics in outcome.history:
        star = " *" if metrics.epoch == outcome.best_epoch else ""
        values = [percent_or_number(name, metrics.values.get(name)) for name in names]
        rows.append([f"{metrics.epoch}{star}", *values, f"{metrics.seconds:.2f}"])
    return rows


def study_rows(studies: list[StudyRecord]) -> str:
    """Several studies, one line each."""
    if not studies:
        return "no studies"
    rows = [["study", "data set", "state", "trials", "best", "metric"]]
    for study in studies:
        metric = study.objective.metric
        best = percent_or_number(metric, study.value(study.best)) if study.best else "–"
        done = study.count(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        trials = f"{done}" if study.num_trials is None else f"{done} of {study.num_trials}"
        paused = study.count(TrialState.PAUSED)
        trials += f", {paused} paused" if paused else ""
        rows.append([study.name, dataset_name(study), state_words(study), trials, best, metric])
    return "\n".join(columns(rows))


def headline(study: StudyRecord) -> str:
    """A study's state and number of trials, in one line."""
    numbers = {str(state).lower(): study.count(state) for state in TrialState}
    del numbers["waiting"]
    numbers["complete"] -= study.num_copies
    counts = [f"{count} {state}" for state, count in numbers.items() if count]
    counts += [copies_words(study.num_copies)] if study.num_copies else []
    counts += [f"{study.num_to_finish} to finish"] if study.num_to_finish else []
    done = study.count(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    of = "" if study.num_trials is None else f"{done:,} of "
    trials = counted(done if study.num_trials is None else study.num_trials, "trial")
    shown = ", ".join(counts) or "none"
    return f"study {study.name}: {state_words(study)}, {of}{trials} ({shown})"


def training_line(study: StudyRecord) -> list[str]:
    """How the study is trained, in one line; none before its first run."""
    choices, every = study.workers, study.objective.every
    if choices is None:
        return []
    rarely = f"; validated every {every:,} epochs and after the last" if every > 1 else ""
    return [f"trained by {training_words(choices)}{rarely}"]


def training_words(choices: WorkerChoices) -> str:
    """`engine stacked, precision bfloat16, 2 workers (auto), 1 thread each (auto), …`."""
    said = {
        "workers": counted(choices.workers, "worker"),
        "threads": counted(choices.threads, "thread") + " each",
        "lanes": counted(choices.lanes, "lane"),
    }
    numbers = ", ".join(
        f"{words} (auto)" if name in choices.automatic else words for name, words in said.items()
    )
    return f"engine {choices.engine}, precision {choices.precision}, {numbers}"


def _best_lines(study: StudyRecord) -> list[str]:
    best = study.best
    if best is None or best.outcome is None:
        return ["no trial is complete"]
    metric = study.objective.metric
    value = percent_or_number(metric, study.value(best))
    epoch = f"epoch {best.outcome.best_epoch} of {best.params['epochs']}"
    lines = [f"best trial {best.number}: {metric} {value} ({epoch})"]
    names = notable_parameters(stored_space(study), best.params)
    lines += columns([[f"  {name}", number_words(best.params[name])] for name in names])
    if study.num_best > 1:
        lines.append(equal_words(study.num_best, metric))
    return lines


def _audit_lines(study: StudyRecord) -> list[str]:
    """How often the pruner would have ended a trial that beats the best of the others."""
    if all(trial.audited is None for trial in study.trials):
        return []
    from sweep.reporting.pruning import pruning  # its libraries take a second

    audit = pruning(study).audit
    assert audit is not None  # noqa: S101 - there are audited trials
    line = f"{counted(len(audit.trials), 'trial')} audited: "
    if not audit.num_complete or audit.best_of_others is None:
        return [f"{line}none of them can be compared yet"]
    best = percent_or_number(study.objective.metric, audit.best_of_others)
    return [
        f"{line}{audit.num_better_than_best} of {audit.num_complete} would have beaten the best of "
        f"the others, {best}"
    ]


def failure_lines(study: StudyRecord, storage: str) -> list[str]:
    """How many trials failed and why, except those that were run again, and what to do."""
    failed = study.failed
    if not failed:
        return []
    counts = ", ".join(f"{count} {kind}" for kind, count in failure_kinds(study).items())
    again = " and not run again" if len(failed) < study.count(TrialState.FAIL) else ""
    lines = [f"failed{again}: {counted(len(failed), 'trial')}: {counts}"]
    shown = failed[:_SHOWN_FAILURES]
    lines += columns([[f"  trial {trial.number}", trial.reason or ""] for trial in shown])
    if len(failed) > len(shown):
        more = len(failed) - len(shown)
        command = command_words("show", study.name, storage)
        lines.append(f"  and {more} more (`{command} --json`)")
    if study.confirms is None:
        space = stored_space(study)
        lines += advice_lines(study, space)
        command = command_words("resume", study.name, storage)
        again = f"{command} --retry-failed {space.model_option}".rstrip()
        lines.append(f"  run them again with `{again}`")
    return lines


def failure_kinds(study: StudyRecord) -> dict[str, int]:
    """Numbers of failed trials that were not run again, by the kind of failure."""
    failures = [trial.outcome.failure if trial.outcome else None for trial in study.failed]
    return dict(Counter(str(f.kind) if f else "not recorded" for f in failures).most_common())


def deletion_text(deletion: Deletion) -> str:
    """The studies and files of a deletion."""
    said = [
        f"study {name!r} ({'unreadable' if num is None else counted(num, 'trial')})"
        for name, num in deletion.studies.items()
    ]
    unread = any(num is None for num in deletion.studies.values())
    rest = "; what may confirm it stays" if unread else ""
    if deletion.left:
        left = " and ".join(repr(str(folder)) for folder in deletion.left)
        rest += f"; {left} stays, which may be from before the store was renamed"
    return f"{', '.join(said)} and {counted(len(deletion.files), 'file')}{rest}"


def dataset_name(study: StudyRecord) -> str:
    """Name of the data set, even where the search space is not valid."""
    dataset = study.space.get("dataset")
    if not isinstance(dataset, dict):
        return str(dataset or "unknown")
    name = next((str(dataset[form]) for form in DATASET_FORMS if form in dataset), "unknown")
    return "arrays from Python" if name.startswith(KEPT) else name
