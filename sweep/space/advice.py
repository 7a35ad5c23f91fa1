"""What to change in a search space whose trials all fail."""

from __future__ import annotations

from collections import Counter

from sweep.records import FailureKind, StudyRecord, TrialState
from sweep.space.domains import domain_words
from sweep.space.search_space import SearchSpace
from sweep.words import counted, duration

__all__ = ["advice", "advice_lines"]

_LESS = {
    FailureKind.NAN: ("lower", ("learning_rate",)),
    FailureKind.OUT_OF_MEMORY: ("smaller", ("batch_size", "layer_size", "channels")),
    FailureKind.KILLED: ("fewer --workers or smaller", ("batch_size", "layer_size", "channels")),
    FailureKind.TIME_LIMIT: ("fewer", ("epochs",)),
}


def advice_lines(study: StudyRecord, space: SearchSpace) -> list[str]:
    """Why none of a study's trials got through, and what to change; empty if one did."""
    failures = [t.outcome.failure for t in study.failed if t.outcome and t.outcome.failure]
    if not failures or study.count(TrialState.COMPLETE, TrialState.PRUNED):
        return []
    kinds = Counter(failure.kind for failure in failures)
    all_ = "the only trial" if len(failures) == 1 else f"all {counted(len(failures), 'trial')}"
    who = {
        kind: all_ if len(kinds) == 1 else counted(number, "trial")
        for kind, number in kinds.most_common()
    }
    return [f"{who[kind]} ended with {kind}{_after_colon(advice(kind, space))}" for kind in who]


def advice(kind: FailureKind, space: SearchSpace) -> str:
    """What to change if trials end with such a failure; empty if the space cannot help."""
    if kind not in _LESS:
        return ""
    how, names = _LESS[kind]
    there = {name: space.domains[name] for name in names if name in space.domains}
    words = " or ".join(f"{name}, now {domain_words(domain)}" for name, domain in there.items())
    if kind is FailureKind.TIME_LIMIT:
        limit = space.budget.trial_time_limit
        now = "" if limit is None else f", now {duration(limit)},"
        how = f"a larger --trial-time-limit{now} or {how}"
    return f"{how} {words}"


def _after_colon(words: str) -> str:
    return f": {words}" if words else ""
