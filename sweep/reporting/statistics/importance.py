"""How much each hyperparameter decided whether a trial was among the best. Draws nothing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial

from sweep.records import StudyRecord, TrialRecord
from sweep.reporting.parameters import used_parameters
from sweep.reporting.statistics.intervals import Interval
from sweep.space import SearchSpace
from sweep.study.distributions import distributions

__all__ = ["Importances", "importances"]

_MIN_TRIALS = 10
_MIN_TOP_TRIALS = 5  # PED-ANOVA's documentation: fewer make it unstable
_TOP_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Importances:
    """How much each hyperparameter decided whether a trial was among the best.

    Attributes:
        shares: Share of each hyperparameter, largest first, adding up to 1; None if the trials
            do not say.
        note: How the shares were found, or why there are none.
        intervals: 95 % bootstrap interval over trials of each share, or None if there are none.
    """

    shares: dict[str, float] | None
    note: str
    intervals: dict[str, Interval] | None = None


def importances(record: StudyRecord, space: SearchSpace) -> Importances:
    """Importance of each sampled hyperparameter by PED-ANOVA (Watanabe et al., IJCAI 2023).

    Where Optuna cannot tell, it returns equal shares; here that is said instead.
    """
    scored = [
        (trial, value) for trial in record.ranked() if (value := record.value(trial)) is not None
    ]
    values = [value for _, value in scored]
    varied = _varied(space, [trial for trial, _ in scored])
    if not space.sampled:
        return Importances(None, "Nothing was searched: every hyperparameter is fixed.")
    if len(scored) < _MIN_TRIALS:
        return Importances(
            None,
            f"Too few trials to say: {len(scored)} COMPLETE, at least {_MIN_TRIALS} are needed.",
        )
    if len(varied) < 2:
        return Importances(None, "Fewer than two hyperparameters took different values.")
    top_share = max(_TOP_SHARE, _MIN_TOP_TRIALS / len(scored))
    # `values` are best first, so ties with the last of the top trials are easy to count.
    last = values[int(np.ceil(top_share * len(values))) - 1]
    num_top = max(index for index, value in enumerate(values) if value == last) + 1
    if num_top == len(values):
        return Importances(None, "The trials do not differ enough in their values to say.")
    shares = _ped_anova(record, space, scored, varied, top_share)
    if shares is None:
        return Importances(None, "No hyperparameter sets the best trials apart from the others.")
    return Importances(
        shares,
        f"PED-ANOVA: how differently the best {num_top} of {len(scored)} COMPLETE trials chose "
        "each hyperparameter, as shares of 100 %. A description of these trials, not a law: the "
        "sampler prefers some values, and few trials make the shares unsteady.",
    )


def _varied(space: SearchSpace, trials: Sequence[TrialRecord]) -> list[str]:
    """Sampled parameters of which the trials tried at least two values."""
    tried: dict[str, set[int | float | str]] = {name: set() for name in space.sampled}
    for trial in trials:
        for name in used_parameters(space, trial.params) & tried.keys():
            tried[name].add(trial.params[name])
    return [name for name, values in tried.items() if len(values) > 1]


def _ped_anova(
    record: StudyRecord,
    space: SearchSpace,
    scored: Sequence[tuple[TrialRecord, float]],
    varied: Sequence[str],
    top_share: float,
) -> dict[str, float] | None:
    domains = distributions(space)

    def frozen(trial: TrialRecord, value: float) -> FrozenTrial:
        params: Mapping[str, int | float | str] = {
            name: trial.params[name]
            for name in used_parameters(space, trial.params)
            if name in domains
        }
        return optuna.create_trial(
            value=value,
            params=dict(params),
            distributions={name: domains[name] for name in params},
        )

    with _quiet_optuna():
        study = optuna.create_study(
            direction="maximize" if record.objective.goal == "maximize" else "minimize"
        )
        study.add_trials([frozen(trial, value) for trial, value in scored])
        shares = get_param_importances(
            study,
            evaluator=PedAnovaImportanceEvaluator(target_quantile=top_share),
            params=list(varied),
        )
    if max(shares.values()) - min(shares.values()) < 1e-12:
        return None  # equal shares are Optuna's way of saying that it does not know
    return {name: float(share) for name, share in shares.items()}


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Keep Optuna from logging and warning, and leave its settings as they were."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
