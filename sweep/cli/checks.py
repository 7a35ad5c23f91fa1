"""What `doctor` and `reproduce` print: as text for people and as JSON for programs."""

from __future__ import annotations

from typing import Any

from sweep.cli.layout import laid_out
from sweep.data.cache import CacheState, bytes_words
from sweep.records import Failure, TrialState
from sweep.runner.reproduction import Reproduction
from sweep.store import Examination
from sweep.words import calibration_words, counted

__all__ = ["examination_json", "examination_text", "reproduction_json", "reproduction_text"]


def examination_text(found: Examination, width: int | None = None) -> str:
    """What was examined, what was found, what to do."""
    schema = f", schema {found.schema}" if found.schema else ""
    lines = [f"store {found.path}{schema}"]
    lines.append(f"integrity check: {'ok' if not found.integrity else 'FAILED'}")
    lines += [f"  {problem}" for problem in found.integrity]
    for study in found.studies:
        if not study.is_ours:
            words = "left out, see below"
        elif study.state is None:
            words = "CANNOT BE READ"
        else:
            words = f"{study.state}, {counted(study.num_trials or 0, 'trial')}"
        lines.append(f"study {_shown(study.name)}: {words}")
        if study.workers is not None and study.workers.calibration is not None:
            lines.append(f"  calibration: {calibration_words(study.workers.calibration)}")
    for kept in found.kept_data:
        users = ", ".join(map(_shown, kept.studies)) or "no study"
        size = f"{kept.num_bytes / 1e6:,.1f} MB"
        lines.append(f"arrays from Python {kept.sha256[:12]} ({size}): used by {users}")
    lines.append(_cache_words(found.cache))
    for finding in found.findings:
        kind = "DAMAGED" if finding.is_damage else "note"
        where = "" if finding.study is None else f"study {_shown(finding.study)}: "
        lines += ["", f"{kind}: {where}{finding.what}", f"  what to do: {finding.advice}"]
    if not found.is_damaged:
        lines += ["", "nothing is damaged"]
    return laid_out(lines, width)


def _cache_words(cache: CacheState) -> str:
    held = f"{counted(cache.num_entries, 'set')} of decoded images, {bytes_words(cache.num_bytes)}"
    bound = f"at most {bytes_words(cache.max_bytes)}"
    problem = f"; it is not used: {cache.problem}" if cache.problem else ""
    return f"cache {cache.folder}: {held} ({bound}){problem}"


def _shown(name: str) -> str:
    """A name from a store that may be untrusted, without commands to the terminal."""
    return name if name.isprintable() else repr(name)


def examination_json(found: Examination) -> dict[str, Any]:
    """The examination as JSON."""
    return {
        "store": str(found.path),
        "damaged": found.is_damaged,
        "integrity": list(found.integrity),
        "schema": found.schema,
        "studies": [
            {
                "study": study.name,
                "state": None if study.state is None else str(study.state),
                "num_trials": study.num_trials,
                "made_by_sweep": study.is_ours,
                "calibration": None if study.workers is None else study.workers.calibration,
            }
            for study in found.studies
        ],
        "kept_data": found.kept_data,
        "findings": found.findings,
        "cache": found.cache,
    }


def reproduction_text(found: Reproduction, width: int | None = None) -> str:
    """Whether a trial is reproduced, by how much it differs, and under what other conditions."""
    num_epochs = found.recorded.epochs_run
    where = f"trial {found.recorded.trial} of study {found.study}"
    if found.is_identical and not num_epochs:
        lines = [f"{where}: identical: it ended before its first epoch was done, as it did then"]
    elif found.is_identical:
        weights = "best weights are the same, too" if found.weights else "weights are not kept"
        epochs = f"{num_epochs} of {num_epochs} epochs to the last bit"
        lines = [f"{where}: identical: {epochs}, and its {weights}"]
    elif found.first_difference is None:
        others = [] if found.has_same_best else ["its best epoch and predictions"]
        others += ["its best weights"] if found.weights is False else []
        rest = " and ".join(others) or "how it ended"
        lines = [f"{where}: not identical: its {num_epochs} epochs are the same, {rest} not"]
    else:
        lines = [f"{where}: not identical: it differs from epoch {found.first_difference} on"]
        lines += [
            f"  largest difference of {name.replace('_', ' ')}: {difference:.3g}"
            for name, difference in found.largest.items()
        ]
        if found.repeated.epochs_run != num_epochs:
            lines.append(f"  epochs: {num_epochs} then, {found.repeated.epochs_run} now")
    lines += _end_lines(found)
    if found.conditions:
        lines += ["what was different:", *(f"  {line}" for line in found.conditions)]
    return laid_out(lines, width)


def _end_lines(found: Reproduction) -> list[str]:
    """How the trial ended, unless it completed, and how its repetition did."""
    then, now = found.recorded.failure, found.repeated.failure
    if now is not None and _failure_words(now) == _failure_words(then):
        again = "so does the repetition"
    elif now is not None:
        again = f"the repetition failed: {_failure_words(now)}"
    elif found.was_cut:
        again = "the repetition was ended after as many epochs"
    else:
        again = "the repetition did not fail"
    match found.recorded.state:
        case TrialState.COMPLETE:
            return [] if now is None else [again]
        case TrialState.PRUNED:
            how = f"was pruned after epoch {found.recorded.epochs_run}"
        case _:
            how = f"failed: {_failure_words(then)}"
    return [f"trial {found.recorded.trial} itself {how}; {again}"]


def _failure_words(failure: Failure | None) -> str:
    return "the reason was not recorded" if failure is None else f"{failure.kind}: {failure.reason}"


def reproduction_json(found: Reproduction) -> dict[str, Any]:
    """The comparison as JSON."""
    then, now = found.recorded.failure, found.repeated.failure
    return {
        "study": found.study,
        "trial": found.recorded.trial,
        "identical": found.is_identical,
        "first_difference": found.first_difference,
        "largest_differences": found.largest,
        "same_weights": found.weights,
        "epochs": {"then": found.recorded.epochs_run, "now": found.repeated.epochs_run},
        "state_then": str(found.recorded.state),
        "failure_then": None if then is None else _failure_words(then),
        "failure": None if now is None else _failure_words(now),
        "conditions": list(found.conditions),
    }
