"""Studies, trials and search spaces as text for people."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

from sweep.cli.layout import Block, Entries, Table, laid_out
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
    study: StudyRecord,
    seconds: float,
    storage: str = DEFAULT_STORAGE,
    places: str = "",
    width: int | None = None,
) -> str:
    """What `run` and `resume` print at the end; `places` are options for the next command."""
    lines: list[Block] = [f"{headline(study)} in {duration(seconds)}", *_best_lines(study)]
    pruned = [trial for trial in study.trials if trial.state is TrialState.PRUNED]
    if pruned:
        saved = sum(trial.epochs_left for trial in pruned)
        lines.append(
            f"pruned: {counted(len(pruned), 'trial')}, which saved {counted(saved, 'epoch')}"
        )
    lines += _audit_lines(study)
    lines += failure_lines(study, storage)
    lines.append(f"next: sweep report {shlex.quote(study.name)}{places}")
    return laid_out(lines, width)


def nothing_to_do(study: StudyRecord, places: str, *, names_model: bool) -> str:
    """What `resume` prints for a study that was finished before; `places` may name its model."""
    if study.finished_by in FINAL:
        change = f"another budget.{study.finished_by} in the search space, and `sweep run`, go on"
        return f"{headline(study)}: there is nothing to do; {change}"
    model = "" if names_model else f" {stored_space(study).model_option}".rstrip()
    more = f"sweep resume {shlex.quote(study.name)}{places}{model} --trials {2 * len(study.trials)}"
    return f"{headline(study)}: there is nothing to do; more trials with `{more}`"


def trial_text(
    study: StudyRecord, trial: TrialRecord, *, has_weights: bool, width: int | None = None
) -> str:
    """One trial: configuration, outcome and history."""
    lines: list[Block] = [*_trial_lines(study, trial)]
    lines.append(Entries([(f"  {name}", number_words(v)) for name, v in trial.params.items()]))
    if trial.outcome is not None and trial.copy_of is None:
        lines += _outcome(trial.outcome, study.objective.metric, has_weights=has_weights)
    return laid_out(lines, width)


def _trial_lines(study: StudyRecord, trial: TrialRecord) -> list[str]:
    """What became of a trial, and where it comes from."""
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
        verb = "starts from" if study.confirms is None else "repeats"
        lines.append(f"it {verb} {origin}")
    if trial.audited is not None:
        lines.append(f"audited: the pruner would have ended it after epoch {trial.audited}")
    return lines + [f"tried again: {failure.reason}" for failure in trial.lost]


def _outcome(outcome: TrialOutcome, metric: str, *, has_weights: bool) -> list[Block]:
    """What a trial cost, and its epochs."""
    lines: list[Block] = [
        f"{counted(outcome.epochs_run, 'epoch')} in {duration(outcome.seconds)}, "
        f"{outcome.num_parameters:,} parameters, {outcome.precision or 'unknown precision'} "
        f"on {outcome.device or 'an unknown device'}"
    ]
    if outcome.history:
        lines += ["", _history(outcome, metric)]
    if any(metrics.epoch == outcome.best_epoch for metrics in outcome.history):
        lines.append(f"* best epoch{', whose weights were kept' if has_weights else ''}")
    if outcome.failure and outcome.failure.traceback:
        lines += ["", outcome.failure.traceback.rstrip()]
    return lines


def _history(outcome: TrialOutcome, metric: str) -> Table:
    """A row for each epoch."""
    names = dict.fromkeys(name for metrics in outcome.history for name in metrics.values)
    rows = []
    for metrics in outcome.history:
        star = " *" if metrics.epoch == outcome.best_epoch else ""
        values = [percent_or_number(name, metrics.values.get(name)) for name in names]
        rows.append([f"{metrics.epoch}{star}", *values, f"{metrics.seconds:.2f}"])
    heading = ["epoch", *(name.replace("_", " ") for name in names), "seconds"]
    return Table(heading, rows, worth=["epoch", metric.replace("_", " ")])


def study_rows(studies: list[StudyRecord], width: int | None = None) -> str:
    """Several studies, one line each."""
    if not studies:
        return "no studies"
    rows = []
    for study in studies:
        metric = study.objective.metric
        best = percent_or_number(metric, study.value(study.best)) if study.best else "–"
        done = study.num_ended
        trials = f"{done}" if study.num_trials is None else f"{done} of {study.num_trials}"
        paused = study.count(TrialState.PAUSED)
        trials += f", {paused} paused" if paused else ""
        rows.append([study.name, dataset_name(study), state_words(study), trials, best, metric])
    heading = ["study", "data set", "state", "trials", "best", "metric"]
    worth = ["study", "best", "state", "trials", "metric"]
    return laid_out([Table(heading, rows, worth)], width)


def headline(study: StudyRecord) -> str:
    """A study's state and number of trials, in one line."""
    numbers = {str(state).lower(): study.count(state) for state in TrialState}
    del numbers["waiting"]
    numbers["complete"] -= study.num_copies
    counts = [f"{count} {state}" for state, count in numbers.items() if count]
    counts += [copies_words(study.num_copies)] if study.num_copies else []
    counts += [f"{study.num_to_finish} to finish"] if study.num_to_finish else []
    done = study.num_ended
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


def _best_lines(study: StudyRecord) -> list[Block]:
    best = study.best
    if best is None or best.outcome is None:
        return ["no trial is complete"]
    metric = study.objective.metric
    value = percent_or_number(metric, study.value(best))
    epoch = f"epoch {best.outcome.best_epoch} of {best.params['epochs']}"
    lines: list[Block] = [f"best trial {best.number}: {metric} {value} ({epoch})"]
    names = notable_parameters(stored_space(study), best.params)
    lines.append(Entries([(f"  {name}", number_words(best.params[name])) for name in names]))
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


def failure_lines(study: StudyRecord, storage: str) -> list[Block]:
    """How many trials failed and why, except those that were run again, and what to do."""
    failed = study.failed
    if not failed:
        return []
    counts = ", ".join(f"{count} {kind}" for kind, count in failure_kinds(study).items())
    again = " and not run again" if len(failed) < study.count(TrialState.FAIL) else ""
    lines: list[Block] = [f"failed{again}: {counted(len(failed), 'trial')}: {counts}"]
    shown = failed[:_SHOWN_FAILURES]
    lines.append(Entries([(f"  trial {trial.number}", trial.reason or "") for trial in shown]))
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
