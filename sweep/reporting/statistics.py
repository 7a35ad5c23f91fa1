"""What the data can and cannot support: intervals, ties and importances. Draws nothing.

Every function either returns numbers that may be shown as a finding, or says in words why there
are none.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from sweep.records import StudyRecord, TrialRecord
from sweep.reporting.parameters import used_parameters
from sweep.space import SearchSpace
from sweep.study.distributions import distributions

__all__ = [
    "SIGNIFICANCE",
    "Comparison",
    "Importances",
    "Interval",
    "compare_with_best",
    "holm",
    "importances",
    "mcnemar",
    "wilson_interval",
]

SIGNIFICANCE = 0.05
"""Below this Holm-corrected p-value two trials count as different."""

_MIN_TRIALS = 10
_MIN_TOP_TRIALS = 5  # PED-ANOVA's documentation: fewer make it unstable
_TOP_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval that covers the true share in 95 of 100 studies.

    Attributes:
        low: Lower end, 0 to 1.
        high: Upper end, 0 to 1.
    """

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One trial against the best, on the same validation images.

    Attributes:
        only_best: Images that only the best trial classified rightly.
        only_other: Images that only the other trial classified rightly.
        p_value: Exact McNemar test, two-sided.
        p_value_holm: The same, corrected for all comparisons of the study.
        tied: Whether the data cannot tell the two apart.
    """

    only_best: int
    only_other: int
    p_value: float
    p_value_holm: float
    tied: bool


@dataclass(frozen=True, slots=True)
class Importances:
    """How much each hyperparameter decided whether a trial was among the best.

    Attributes:
        shares: Share of each hyperparameter, largest first, adding up to 1; None if the trials
            do not say.
        note: How the shares were found, or why there are none.
    """

    shares: dict[str, float] | None
    note: str


def wilson_interval(num_correct: int, num_images: int) -> Interval:
    """Wilson's 95 % score interval of an accuracy (Wilson 1927).

    Args:
        num_correct: Images that were classified rightly.
        num_images: All images, at least 1.
    """
    low, high = proportion_confint(num_correct, num_images, alpha=0.05, method="wilson")
    return Interval(float(low), float(high))


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided McNemar test (McNemar 1947): do two classifiers err equally often?

    Args:
        only_first: Images that only the first classified rightly.
        only_second: Images that only the second classified rightly.

    Returns:
        The p-value; 1 if the two never differ.
    """
    num_differing = only_first + only_second
    if num_differing == 0:
        return 1.0
    return float(binomtest(only_first, num_differing, 0.5).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction for several tests at once (Holm 1979)."""
    if not p_values:
        return []
    return [float(p) for p in multipletests(p_values, method="holm")[1]]


def compare_with_best(record: StudyRecord) -> dict[int, Comparison]:
    """Test every COMPLETE trial against the best, corrected for the number of tests.

    Returns:
        A comparison by trial number; without the best itself, and without trials whose
        predictions are not recorded.
    """
    best = record.best
    labels = np.frombuffer(record.data.validation_labels, np.uint8)
    right_of_best = _right_answers(best, labels) if best else None
    if best is None or right_of_best is None:
        return {}
    counts: dict[int, tuple[int, int]] = {}
    for trial in record.ranked():
        right = _right_answers(trial, labels)
        if trial.number != best.number and right is not None:
            counts[trial.number] = (
                int((right_of_best & ~right).sum()),
                int((right & ~right_of_best).sum()),
            )
    p_values = [mcnemar(*pair) for pair in counts.values()]
    return {
        number: Comparison(*pair, p_value, corrected, corrected >= SIGNIFICANCE)
        for (number, pair), p_value, corrected in zip(
            counts.items(), p_values, holm(p_values), strict=True
        )
    }


def _right_answers(trial: TrialRecord, labels: np.ndarray) -> np.ndarray | None:
    predictions = trial.outcome.validation_predictions if trial.outcome else None
    if not len(labels) or predictions is None or len(predictions) != len(labels):
        return None
    right: np.ndarray = np.frombuffer(predictions, np.uint8) == labels
    return right


# ---------------------------------------------------------------- importances


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
