"""The only room that imports Optuna for searching: open, ask, report, decide, tell, recover."""

from sweep.study.distributions import distributions
from sweep.study.samplers import derive_seed
from sweep.study.schedules import Schedule
from sweep.study.session import PRUNED, StudySession

__all__ = ["PRUNED", "Schedule", "StudySession", "derive_seed", "distributions"]
