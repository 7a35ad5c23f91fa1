"""Checks of the data."""

from __future__ import annotations

from sweep.reporting.answer import Answer
from sweep.reporting.diagnostics.diagnosis import Diagnosis, Verdict
from sweep.reporting.reported import Reported
from sweep.reporting.statistics import baseline
from sweep.words import counted, percent

__all__ = ["leaks_between_splits", "unbalanced_classes"]

_ALIKE = ("validation_balanced_accuracy", "validation_f1_macro")


def unbalanced_classes(study: Reported, _: Answer | None) -> Diagnosis:
    """Whether accuracy says little of the rare classes."""
    name = "Are the classes balanced?"
    found = baseline(study.record, None)
    if found is None:
        return Diagnosis.not_applicable(name, "The labels are not recorded.")
    evidence = (
        f"{counted(found.num_commonest, 'validation example')} of {found.class_name!r}, "
        f"{found.num_rarest:,} of {found.rarest!r}."
    )
    if not found.is_unbalanced:
        return Diagnosis(name, Verdict.FINE, "They are about equally frequent.", evidence)
    if study.record.objective.metric in _ALIKE:
        said = "They are not, and the objective counts all of them alike."
        return Diagnosis(name, Verdict.FINE, said, evidence)
    return Diagnosis(
        name,
        Verdict.WARNING,
        "They are unbalanced, and the objective hardly notices the rare ones.",
        evidence,
        "objective: validation_balanced_accuracy or validation_f1_macro; search class_weights, too",
    )


def leaks_between_splits(study: Reported, _: Answer | None) -> Diagnosis:
    """Whether test examples also stand in the training pool."""
    name, reading = "Is the test split unseen?", study.reading
    if reading is None or not reading.num_images:
        return Diagnosis.not_applicable(name, "The test split was not read.")
    if reading.num_in_training is None:
        return Diagnosis.not_applicable(name, "What it shares with training was not counted.")
    shared, total = reading.num_in_training, reading.num_images
    evidence = f"{shared:,} of {total:,} test examples also stand in the training pool."
    if not shared:
        return Diagnosis(name, Verdict.FINE, "No test example stands in the training pool.")
    return Diagnosis(
        name,
        Verdict.WARNING,
        f"The test result may be too good: {percent(shared / total, 1)} of its examples were seen.",
        evidence,
        "remove duplicates from the data, or keep what belongs together in one split",
    )
