"""`sweep run --workers 2` on one device: both train, and every trial completes."""

from __future__ import annotations

import time
from collections import Counter

from gpu_proof import studies
from gpu_proof.findings import Found, Setting, verdict_of
from sweep.records import StudyRecord


def prove(setting: Setting) -> Found:
    """Run a sweep and read its store."""
    trials = 6 if setting.small else 24
    space = studies.write_space(setting, studies.space(trials, epochs=4 if setting.small else 40))
    started = time.perf_counter()
    wrong = studies.run(setting, space, "--workers", 2, "--lanes", 2 if setting.small else 4)
    seconds = time.perf_counter() - started
    return verdict_of(
        wrong or judge(studies.read(setting), trials),
        f"both trained, {trials} trials complete in {seconds:.1f} s",
        seconds=seconds,
    )


def judge(study: StudyRecord, trials: int) -> list[str]:
    """What is wrong with the study."""
    shares = Counter(studies.workers_of(study))
    wrong = studies.incomplete(study, trials)
    if not {0, 1} <= shares.keys():
        wrong.append(f"two workers were to train; trials by worker: {dict(shares)}")
    return wrong
