"""Checks of the search: its ranges, its pruner, its trials."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import median

from sweep.definitions import CategoricalParameter, Parameter, Scalar
from sweep.records import FailureKind, StudyRecord, TrialRecord, TrialState
from sweep.reporting.answer import Answer
from sweep.reporting.diagnostics.diagnosis import Diagnosis, Verdict
from sweep.reporting.reported import Reported
from sweep.reporting.statistics import SIGNIFICANCE, holm, rank_correlation
from sweep.space import Choices, Range, SearchSpace, used_parameters
from sweep.words import counted, number_words, percent

__all__ = [
    "alike_failures",
    "best_at_the_end_of_a_range",
    "early_values_predict",
    "enough_trials",
    "short_trials_favoured",
]

_NUM_BEST = 5
_OUTER = 0.05  # of a range: a value there lies at its end
_NEAR = 0.2  # of a range: where the other good trials must lie
_MIN_COMPLETE = 10
_MIN_EPOCHS = 4
_EARLY = 0.1  # of a trial's epochs, where the pruner has no rungs
_TRIALS_PER_PARAMETER = 5
_MIN_GROUP = 5
_MIN_FAILED = 3
_MANY_FAILED = 0.25

_REMEDIES = {
    FailureKind.NAN: "lower the upper end of learning_rate, or add gradient_clip",
    FailureKind.OUT_OF_MEMORY: "lower batch_size or the largest network, or use fewer lanes",
    FailureKind.TIME_LIMIT: "raise trial_time_limit, or lower epochs or the largest network",
    FailureKind.EXCEPTION: "the traceback of each is in the store: sweep show, with its number",
    FailureKind.KILLED: "look for a lack of memory on the machine; fewer workers need less",
}


# ---------------------------------------------------------------- ranges


def best_at_the_end_of_a_range(study: Reported, _: Answer | None) -> Diagnosis:
    """Whether a wider range might have a better value."""
    name = "Is the best inside the ranges?"
    if study.chosen is None:
        return Diagnosis.not_applicable(name, "No trial is complete.")
    ranges = {name: domain for name, domain in study.space.sampled.items() if _is_ordered(domain)}
    if not ranges:
        return Diagnosis.not_applicable(name, "No range of numbers was searched.")
    best = study.record.ranked()[:_NUM_BEST]
    at_end = [
        (parameter, end)
        for parameter, domain in ranges.items()
        if (end := _end(study.space, parameter, domain, study.chosen, best))
    ]
    if not at_end:
        return Diagnosis(name, Verdict.FINE, "No value of the best trial calls for a wider range.")
    said = [
        f"{parameter} {number_words(study.chosen.params[parameter])} ({end} end of "
        f"{_domain_words(ranges[parameter])})"
        for parameter, end in at_end
    ]
    names = ", ".join(parameter for parameter, _ in at_end)
    finding = (
        f"The best value of {names} lies at the end of its range: beyond it may be a better one."
        if len(at_end) == 1
        else f"The best values of {names} lie at the ends of their ranges: beyond may be better."
    )
    return Diagnosis(
        name,
        Verdict.WARNING,
        finding,
        f"{'; '.join(said)}; most of the best {len(best)} trials lie there, too.",
        "widen the range in the search space, and run it under another name",
    )


def _is_ordered(domain: Range | Choices) -> bool:
    if isinstance(domain, Range):
        return bool(domain.high > domain.low)
    return len(domain.choices) > 2 and all(
        isinstance(choice, int | float) and not isinstance(choice, bool)
        for choice in domain.choices
    )


def _end(
    space: SearchSpace,
    parameter: str,
    domain: Range | Choices,
    chosen: TrialRecord,
    best: Sequence[TrialRecord],
) -> str:
    """`upper` or `lower` if the chosen value lies there and values beyond it exist."""
    if parameter not in used_parameters(space, chosen.params):
        return ""
    place = _place(domain, chosen.params[parameter])
    others = [
        _place(domain, trial.params[parameter])
        for trial in best
        if parameter in used_parameters(space, trial.params)
    ]
    definition = space.definitions[parameter]
    if place >= 1 - _OUTER and _may_exceed(definition, _ends(domain)[1], 1):
        return "upper" if 2 * sum(other >= 1 - _NEAR for other in others) > len(others) else ""
    if place <= _OUTER and _may_exceed(definition, _ends(domain)[0], -1):
        return "lower" if 2 * sum(other <= _NEAR for other in others) > len(others) else ""
    return ""


def _ends(domain: Range | Choices) -> tuple[float, float]:
    if isinstance(domain, Range):
        return float(domain.low), float(domain.high)
    return float(min(domain.choices)), float(max(domain.choices))


def _place(domain: Range | Choices, value: Scalar) -> float:
    """Where in its domain a value lies, from 0 to 1."""
    if isinstance(domain, Choices):
        ordered = sorted(domain.choices)
        return float(sum(choice < value for choice in ordered) / (len(ordered) - 1))
    low, high, at = float(domain.low), float(domain.high), float(value)
    if domain.log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return float((at - low) / (high - low))


def _may_exceed(definition: Parameter, end: float, sign: int) -> bool:
    """Whether the parameter can have values beyond this end."""
    if isinstance(definition, CategoricalParameter):
        return False
    return end < definition.maximum if sign > 0 else end > definition.minimum


def _domain_words(domain: Range | Choices) -> str:
    low, high = _ends(domain)
    return f"{number_words(low)} to {number_words(high)}"


# ---------------------------------------------------------------- the pruner


def early_values_predict(study: Reported, _: Answer | None) -> Diagnosis:
    """Whether the pruner may trust what it sees."""
    name, record = "Do early epochs predict the end?", study.record
    share = study.space.rungs[0] if study.space.rungs else _EARLY
    pairs = []
    for trial in record.trials:
        history = trial.outcome.history if trial.outcome else ()
        if trial.state is TrialState.COMPLETE and trial.copy_of is None:
            early = [m for m in history if m.epoch <= max(1, math.ceil(share * trial.epochs_run))]
            end = record.value(trial)
            if early and end is not None and trial.epochs_run >= _MIN_EPOCHS:
                pairs.append((record.objective.value(early[-1]), end))
    if len(pairs) < _MIN_COMPLETE:
        why = f"{_MIN_COMPLETE} complete trials of at least {_MIN_EPOCHS} epochs are needed; "
        return Diagnosis.not_applicable(name, f"{why}there are {len(pairs)}.")
    found = rank_correlation(pairs)
    if found is None:
        return Diagnosis.not_applicable(name, "The values of the trials do not differ.")
    evidence = (
        f"Rank correlation of {len(pairs)} complete trials after {percent(share, 0)} of their "
        f"epochs and at their end: {found.value:.2f}, 95% interval {found.interval.low:.2f} to "
        f"{found.interval.high:.2f}. Pruned trials, whose end nobody knows, are left out."
    )
    if found.interval.low > 0:
        said = "Trials that are ahead early tend to be ahead in the end."
        return Diagnosis(name, Verdict.FINE, said, evidence)
    return Diagnosis(
        name,
        Verdict.WARNING,
        "Values after early epochs are not shown to predict the end here: the pruner may end the "
        "wrong trials.",
        evidence,
        "let trials run longer before they are judged (pruner: {type: asha, rungs: [0.2, 0.5]}), "
        "or prune none",
    )


def short_trials_favoured(study: Reported, _: Answer | None) -> Diagnosis:
    """Whether trials of few epochs survived because they were short."""
    name, space = "Did pruning favour short trials?", study.space
    groups = _planned_epochs(study.record)
    if space.pruner.type == "none":
        return Diagnosis.not_applicable(name, "Nothing is pruned.")
    if "epochs" not in space.sampled:
        return Diagnosis.not_applicable(name, "All trials have the same number of epochs.")
    complete, pruned = groups
    if min(len(complete), len(pruned)) < _MIN_GROUP:
        return Diagnosis.not_applicable(
            name, f"Fewer than {_MIN_GROUP} trials are complete, or pruned: too few to compare."
        )
    from scipy.stats import mannwhitneyu

    test = mannwhitneyu(complete, pruned, alternative="less")
    evidence = (
        f"Median of the epochs of complete trials {median(complete):g}, of pruned ones "
        f"{median(pruned):g} (Mann-Whitney test, one-sided, p {test.pvalue:.2g})."
    )
    if test.pvalue >= SIGNIFICANCE:
        return Diagnosis(name, Verdict.FINE, "Pruned trials were not the longer ones.", evidence)
    return Diagnosis(
        name,
        Verdict.WARNING,
        "Pruning favoured short trials: those that were to be long were ended more often.",
        evidence,
        f"fix epochs at the most (epochs: {space.max_epochs}), or take pruner asha, which compares "
        "equal shares of the epochs",
    )


def _planned_epochs(record: StudyRecord) -> tuple[list[int], list[int]]:
    """Of COMPLETE and of pruned trials."""
    planned: dict[TrialState, list[int]] = {TrialState.COMPLETE: [], TrialState.PRUNED: []}
    for trial in record.trials:
        if trial.state in planned and trial.copy_of is None:
            planned[trial.state].append(trial.epochs_run + trial.epochs_left)
    return planned[TrialState.COMPLETE], planned[TrialState.PRUNED]


# ---------------------------------------------------------------- the trials


def enough_trials(study: Reported, _: Answer | None) -> Diagnosis:
    """Whether the search had a chance to find something."""
    name, searched = "Are there enough trials?", len(study.space.sampled)
    if not searched:
        return Diagnosis.not_applicable(name, "Nothing was searched.")
    valued = study.record.count(TrialState.COMPLETE, TrialState.PRUNED) - study.record.num_copies
    needed = max(_MIN_COMPLETE, _TRIALS_PER_PARAMETER * searched)
    evidence = f"{counted(valued, 'trial')} with a value for {counted(searched, 'hyperparameter')}."
    if valued >= needed:
        return Diagnosis(
            name, Verdict.FINE, "The search is not a mere handful of trials.", evidence
        )
    return Diagnosis(
        name,
        Verdict.WARNING,
        "Too few trials to say much: a better configuration may easily have been missed.",
        evidence,
        f"sweep resume with --trials {needed}, {_TRIALS_PER_PARAMETER} for each hyperparameter",
    )


def alike_failures(study: Reported, _: Answer | None) -> Diagnosis:
    """Whether failed trials have a cause in common."""
    name, record = "Do failures have one cause?", study.record
    failed = [trial for trial in record.trials if trial.state is TrialState.FAIL]
    others = [
        trial
        for trial in record.trials
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and trial.copy_of is None
    ]
    if not failed:
        return Diagnosis(name, Verdict.FINE, "No trial failed.")
    ended = len(failed) + len(others)
    kinds = Counter(
        trial.outcome.failure.kind for trial in failed if trial.outcome and trial.outcome.failure
    )
    evidence = f"{len(failed)} of {counted(ended, 'ended trial')} failed."
    if len(failed) < _MIN_FAILED or not kinds:
        few = "Too few trials failed to look for a cause in common."
        return Diagnosis(name, Verdict.FINE, few, evidence)
    kind, num_alike = kinds.most_common(1)[0]
    words = str(kind).replace("_", " ")
    evidence += f" {num_alike} of them with {words}."
    if num_alike < len(failed) or len(failed) < _MANY_FAILED * ended:
        said = "Failures differ, or are few." if num_alike < len(failed) else "Failures are few."
        return Diagnosis(name, Verdict.FINE, said, evidence)
    cause = _cause(study.space, failed, others)
    who = "All trials" if not others else f"All {len(failed)} failed trials"
    return Diagnosis(
        name,
        Verdict.WARNING,
        f"{who} failed alike ({words}){f', and {cause[0]} sets them apart' if cause else ''}.",
        f"{evidence}{f' {cause[1]}' if cause else ''}",
        _REMEDIES[kind],
    )


def _cause(
    space: SearchSpace, failed: Sequence[TrialRecord], others: Sequence[TrialRecord]
) -> tuple[str, str] | None:
    """The number in which failed trials differ most from the others, and how; None if none does."""
    if len(others) < _MIN_FAILED:
        return None
    from scipy.stats import mannwhitneyu

    values = {
        name: [[float(trial.params[name]) for trial in group] for group in (failed, others)]
        for name, domain in space.sampled.items()
        if _is_ordered(domain) and all(name in trial.params for trial in (*failed, *others))
    }
    p_values = [float(mannwhitneyu(*groups).pvalue) for groups in values.values()]
    if not p_values or min(holm(p_values)) >= SIGNIFICANCE:
        return None
    name = min(zip(p_values, values, strict=True))[1]
    first, second = (number_words(median(group)) for group in values[name])
    return name, f"Median of {name} in failed trials {first}, in the others {second}."
