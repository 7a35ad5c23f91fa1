"""The only room that imports Optuna for searching: open, ask, report, decide, tell, recover."""

from sweep.study.mirror import RECORD, left_out
from sweep.study.samplers import derive_seed, distributions
from sweep.study.schedules import Schedule
from sweep.study.session import PRUNED, StudySession

__all__ = [
    "PRUNED",
    "RECORD",
    "Schedule",
    "StudySession",
    "derive_seed",
    "distributions",
    "left_out",
]
