"""Checks of the network to use: against what needs no search, and against its own training data."""

from __future__ import annotations

import math

from sweep.records import EpochMetrics
from sweep.reporting.answer import Answer
from sweep.reporting.diagnostics.diagnosis import Diagnosis, Verdict
from sweep.reporting.reported import Reported
from sweep.reporting.statistics import wilson_interval
from sweep.space import effective_parameters
from sweep.words import percent

__all__ = ["beats_baselines", "fits_the_data"]

_NOISE = ("dropout", "input_dropout", "input_noise", "augmentation", "flip")
_OVERFIT = 0.5  # of the validation error that training does not have
_UNDERFIT = 0.25
_WORSE = 0.05  # of the validation loss


def beats_baselines(study: Reported, found: Answer | None) -> Diagnosis:
    """Whether the answer is better than what needs no search."""
    name = "Does it beat what needs no search?"
    if found is None:
        return Diagnosis.not_applicable(name, "No trial is complete.")
    said: list[tuple[bool | None, str]] = []
    lowest = found.baseline
    if lowest is not None:
        is_above = found.is_above_baseline
        if is_above is None:
            is_above = _validated_above(found)
        said.append((is_above, f"always saying {lowest.class_name!r}"))
    confirmation = study.confirmation
    baselines = confirmation.baselines if confirmation is not None and study.is_confirmed else ()
    said += [(each.beaten, each.name) for each in baselines]
    worse = [each.name for each in baselines if each.beaten is False and not each.tied]
    unsure = [words for beaten, words in said if beaten is False and words not in worse]
    beaten = [words for beaten, words in said if beaten]
    if worse or unsure:
        findings = [f"It is worse than {_listed(worse)}."] if worse else []
        findings += [f"It is not shown to be better than {_listed(unsure)}."] if unsure else []
        return Diagnosis(
            name,
            Verdict.WARNING,
            " ".join(findings),
            f"It beats {_listed(beaten)}." if beaten else "",
            "search longer or wider, or use the simpler one",
        )
    if not beaten:
        return Diagnosis.not_applicable(name, "Nothing to compare it with is known.")
    more = "" if baselines else "`sweep confirm` trains the default configuration to compare with."
    return Diagnosis(name, Verdict.FINE, f"It beats {_listed(beaten)}.", more)


def _validated_above(found: Answer) -> bool | None:
    """By the validation split, while the test split is sealed."""
    value, lowest = found.network.metrics.get("validation_accuracy"), found.baseline
    count = found.num_validation_images
    if value is None or lowest is None or not count:
        return None
    return wilson_interval(round(value * count), count).low > lowest.validation_accuracy


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def fits_the_data(study: Reported, found: Answer | None) -> Diagnosis:
    """Over- and underfitting, by the network's errors in training and validation."""
    name = "Does it over- or underfit?"
    epochs = _best_and_last(study)
    count = found.num_validation_images if found else None
    if epochs is None or not count:
        return Diagnosis.not_applicable(name, "Its errors are not recorded.")
    best, last = epochs
    trained, validated = (1 - best.values[f"{split}_accuracy"] for split in ("train", "validation"))
    noise = 2 * math.sqrt(max(validated * (1 - validated), 0.25 / count) / count)
    noises = _training_noise(study)
    evidence = (
        f"At its best epoch it gets {percent(trained)} of the training examples wrong"
        f"{f', with {noises} at work,' if noises else ''} and {percent(validated)} of the "
        "validation examples."
    )
    gap = validated - trained
    more = " or augmentation" if study.record.data.spec.kind == "image" else ""
    regularise = f"search dropout, weight_decay, label_smoothing, input_noise{more}"
    if gap > max(noise, _OVERFIT * validated):
        return Diagnosis(
            name,
            Verdict.WARNING,
            "It overfits: most of its mistakes on new examples it does not make in training.",
            evidence,
            f"{regularise}, or give it more data",
        )
    if turn := _turn(best, last):
        return Diagnosis(
            name,
            Verdict.WARNING,
            f"It soon overfits: it is best after epoch {best.epoch} of {last.epoch}.",
            turn,
            f"{regularise}, or a lower learning_rate",
        )
    if gap < _UNDERFIT * validated and not noises and validated > noise:
        return Diagnosis(
            name,
            Verdict.WARNING,
            "It may underfit: it makes about as many mistakes in training as on new examples.",
            evidence,
            "search larger networks, more epochs, a higher learning_rate or less weight_decay",
        )
    return Diagnosis(name, Verdict.FINE, "Neither stands out.", evidence)


def _best_and_last(study: Reported) -> tuple[EpochMetrics, EpochMetrics] | None:
    """The epoch whose weights were kept, and the last one; None if the errors are not known."""
    outcome = study.network.trial.outcome if study.network else None
    best = outcome.best if outcome else None
    if outcome is None or best is None:
        return None
    errors = (best.values[f"{split}_accuracy"] for split in ("train", "validation"))
    return (best, outcome.history[-1]) if all(map(math.isfinite, errors)) else None


def _turn(best: EpochMetrics, last: EpochMetrics) -> str:
    """How validation got worse from an early epoch on while training went on; empty if not."""
    trained, validated = (
        (best.values[loss], last.values[loss]) for loss in ("train_loss", "validation_loss")
    )
    got_worse = trained[1] < trained[0] and validated[1] > (1 + _WORSE) * validated[0]
    if last.epoch < 2 * best.epoch or not got_worse:
        return ""
    return (
        f"From there on the training loss fell from {trained[0]:.4f} to {trained[1]:.4f}, and the "
        f"validation loss rose from {validated[0]:.4f} to {validated[1]:.4f}."
    )


def _training_noise(study: Reported) -> str:
    """What makes training harder than validation: its errors are then no measure of the fit."""
    assert study.network is not None  # noqa: S101 - for the type checker
    params = dict(effective_parameters(study.space, study.network.trial.params))
    return " and ".join(name for name in _NOISE if params.get(name) not in (None, 0, 0.0, "none"))
