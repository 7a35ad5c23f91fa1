"""What `sweep doctor` prints: as text for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sweep.store import Examination

__all__ = ["examination_json", "examination_text"]


def examination_json(found: Examination) -> dict[str, Any]:
    """An examination for programs."""
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
            }
            for study in found.studies
        ],
        "findings": [asdict(finding) for finding in found.findings],
    }


def examination_text(found: Examination) -> str:
    """An examination for people: what was looked at, what was found, what to do."""
    schema = f", schema {found.schema}" if found.schema else ""
    lines = [f"store {found.path}{schema}"]
    lines.append(f"integrity check: {'ok' if not found.integrity else 'FAILED'}")
    lines += [f"  {problem}" for problem in found.integrity]
    for study in found.studies:
        if not study.is_ours:
            words = "not made by sweep"
        elif study.state is None:
            words = "CANNOT BE READ"
        else:
            words = f"{study.state}, {study.num_trials} trial{'' if study.num_trials == 1 else 's'}"
        lines.append(f"study {_shown(study.name)}: {words}")
    for finding in found.findings:
        kind = "DAMAGED" if finding.is_damage else "note"
        where = "" if finding.study is None else f"study {_shown(finding.study)}: "
        lines += ["", f"{kind}: {where}{finding.what}", f"  what to do: {finding.advice}"]
    if not found.is_damaged:
        lines += ["", "nothing is damaged"]
    return "\n".join(lines)


def _shown(name: str) -> str:
    """A name from what may be a stranger's store, without commands to the terminal."""
    return name if name.isprintable() else repr(name)
