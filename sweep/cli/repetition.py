"""A reproduction as text for people and as JSON for programs."""

from __future__ import annotations

from typing import Any

from sweep.runner.reproduction import Reproduction

__all__ = ["reproduction_json", "reproduction_text"]


def reproduction_text(found: Reproduction) -> str:
    """Whether a trial is reproduced, how far it is off, and what was different."""
    number, num_epochs = found.recorded.trial, len(found.recorded.history)
    where = f"trial {number} of study {found.study}"
    if found.is_identical:
        weights = {None: "its weights are not kept", True: "its best weights are the same, too"}
        lines = [
            f"{where}: identical: {num_epochs} of {num_epochs} epochs to the last bit, and "
            f"{weights[found.weights or None]}"
        ]
    elif found.first_difference is None:
        others = []
        if not found.has_same_best:
            others.append("its best epoch and predictions")
        if found.weights is False:
            others.append("its best weights")
        rest = " and ".join(others) or "how it ended"
        lines = [f"{where}: not identical: its {num_epochs} epochs are the same, {rest} not"]
    else:
        lines = [f"{where}: not identical: it differs from epoch {found.first_difference} on"]
        lines += [
            f"  largest difference of {name.replace('_', ' ')}: {difference:.3g}"
            for name, difference in found.largest.items()
        ]
        if len(found.repeated.history) != num_epochs:
            lines.append(f"  epochs: {num_epochs} then, {len(found.repeated.history)} now")
    failure = found.repeated.failure
    if failure is not None:
        lines.append(f"the repetition failed: {failure.kind}: {failure.reason}")
    if found.conditions:
        lines += ["what was different:", *(f"  {line}" for line in found.conditions)]
    return "\n".join(lines)


def reproduction_json(found: Reproduction) -> dict[str, Any]:
    """A reproduction for programs."""
    failure = found.repeated.failure
    return {
        "study": found.study,
        "trial": found.recorded.trial,
        "identical": found.is_identical,
        "first_difference": found.first_difference,
        "largest_differences": found.largest,
        "same_weights": found.weights,
        "epochs": {"then": len(found.recorded.history), "now": len(found.repeated.history)},
        "failure": None if failure is None else f"{failure.kind}: {failure.reason}",
        "conditions": list(found.conditions),
    }
