"""Samplers by name, and the search space as Optuna's distributions.

A sampler that lives as long as its process draws other configurations after a restart
(optuna#3255). Here each trial has its own, seeded by the study's seed and the trial's number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, repeat
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from sweep.definitions import Params, Scalar
from sweep.errors import SweepFailedError
from sweep.quiet import without_warnings
from sweep.space import Choices, SearchSpace, draw_fitting, is_stepped, nearest_step
from sweep.space.strategies import GpSampler, TpeSampler
from sweep.study.forecast import Forecast, is_observed
from sweep.study.priors import Guide
from sweep.study.quasi_random import QuasiRandom
from sweep.words import params_words

__all__ = ["build_sampler", "derive_seed", "distributions"]

# How often a trial is drawn for constraints: by its sampler, then at random.
_MOST_DRAWS = 100
_MOST_RANDOM_DRAWS = 100_000

_TPE_LEARNS_FROM = (TrialState.COMPLETE, TrialState.PRUNED)

# Of a model's trials, so many are spread evenly: a model of noise leaves good regions for good.
_SHARES_OF_SPREAD = {"tpe": 1 / 2, "gp": 1 / 4}


def derive_seed(study_seed: int, trial: int, stream: str) -> int:
    """A seed from 0 to 2**32 - 1 for one purpose of one trial, independent of all others.

    NumPy's `SeedSequence` gives unrelated outputs for neighbouring inputs.
    """
    entropy = (study_seed, trial, *stream.encode())
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


def distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each sampled parameter."""
    found: dict[str, BaseDistribution] = {}
    for name, domain in space.sampled.items():
        if isinstance(domain, Choices):
            found[name] = CategoricalDistribution(domain.choices)
        elif isinstance(domain.low, int):
            found[name] = IntDistribution(
                domain.low, domain.high, log=domain.log, step=domain.step or 1
            )
        else:
            found[name] = FloatDistribution(
                domain.low, domain.high, log=domain.log, step=domain.step
            )
    return found


def build_sampler(
    space: SearchSpace, trials: Iterable[FrozenTrial], forecast: Forecast
) -> BaseSampler:
    """The sampler that a search space names, for a study that has these trials."""
    if space.sampler.type == "grid":
        return _GridSampler(space, trials)
    return _TrialSampler(space, forecast)


def _options(space: SearchSpace) -> dict[str, Any]:
    return space.sampler.model_dump(exclude={"type", "seed", "portfolio"})


def _is_conditional(space: SearchSpace) -> bool:
    return any(domain.when for domain in space.sampled.values())


def _build(space: SearchSpace, seed: int) -> BaseSampler:
    """Optuna's TPE or, where configurations are drawn here, what draws single values at random."""
    if space.sampler.type != "tpe":
        return RandomSampler(seed=seed)
    options = _options(space)
    # Without group, a joint model silently samples conditional parameters independently.
    group = options["multivariate"] and _is_conditional(space)
    return TPESampler(seed=seed, group=group, **options)


def _none_found_words(trial: int, given: Params, refused: Counter[str]) -> str:
    [(text, _)] = refused.most_common(1)
    like = f" with {params_words(given)}" if given else ""
    return (
        f"trial {trial}: no configuration{like} was found that meets all constraints; {text!r} "
        "refuses most of what is drawn: run the search under another name (--study) with looser "
        "constraints, or with ranges in which more configurations meet them"
    )


@dataclass(frozen=True, slots=True)
class _Suggesting:
    """A `sweep.space.Suggester` that draws by name."""

    draw: Callable[[str], Any]

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        return int(self.draw(name))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float:
        return float(self.draw(name))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self.draw(name)


class _TrialSampler(BaseSampler):
    """Draws each trial's configuration whole, with a sampler of the trial's own.

    Optuna would draw a parameter when it is asked for, and keep it: only a whole configuration can
    be looked at, and drawn again if it does not meet the constraints.

    Which parameters TPE models together does not depend on the seed: the first sampler lives on to
    find that out, because it compares the distributions of new trials only. With conditions the
    answer is part of a sampler's state, so that each finds out for itself.
    """

    def __init__(self, space: SearchSpace, forecast: Forecast) -> None:
        self._space = space
        self._forecast = forecast
        self._sampled = space.sampled
        self._limits = space.limits
        self._has_priors = bool(space.prior)
        self._distributions = distributions(space)
        self._first = self._current = self._make(space.seed)
        self._first_infers = space.sampler.type == "tpe" and not _is_conditional(space)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        seed = derive_seed(self._space.seed, trial.number, "sampler")
        self._current = self._make(seed)
        self._current.before_trial(study, trial)

    def _make(self, seed: int) -> BaseSampler:
        # The user chose the sampler by name; that it is experimental need not be said.
        with without_warnings(ExperimentalWarning):
            return _build(self._space, seed)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A configuration that meets the constraints.

        Raises:
            SweepFailedError: none was found.
        """
        given = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        is_starting = self._is_starting(study)
        guide = self._guide(trial, is_starting=is_starting) if self._has_priors else None
        drawn = self._drawn(study, trial, is_starting=is_starting)
        refused: Counter[str] = Counter()
        for together in islice(drawn, _MOST_DRAWS):
            params = self._draw(study, trial, together, given, guide)
            broken = self._limits.broken(params)
            if not broken:
                return params
            refused.update(broken)
        seed = derive_seed(self._space.seed, trial.number, "random")
        fitting = draw_fitting(self._space, seed, given, _MOST_RANDOM_DRAWS, refused)
        if fitting is None:
            raise SweepFailedError(_none_found_words(trial.number, given, refused))
        return fitting

    def _drawn(
        self, study: Study, trial: FrozenTrial, *, is_starting: bool
    ) -> Iterator[Mapping[str, Any]]:
        """Values that are drawn together, again and again; a model's best proposal comes first."""
        if not self._sampled:
            return repeat({})
        if self._is_spread(trial, is_starting=is_starting):
            return repeat(self._points.point(trial.number))
        if isinstance(self._space.sampler, GpSampler):
            from sweep.study.thompson import propose  # a third of a second

            return propose(
                self._sampled,
                self._forecast.observations(study.get_trials(deepcopy=False)),
                derive_seed(self._space.seed, trial.number, "sampler"),
                is_noisy=not self._space.sampler.deterministic_objective,
            )
        inferring = self._first if self._first_infers else self._current
        modelled = inferring.infer_relative_search_space(study, trial)
        return iter(lambda: self._current.sample_relative(study, trial, modelled), None)

    @cached_property
    def _points(self) -> QuasiRandom:
        limits, suggest = self._limits, self._space.suggesting()
        is_qmc = self._space.sampler.type == "qmc"
        return QuasiRandom(
            self._sampled,
            lambda point: not limits.broken(suggest(_Suggesting(point.__getitem__))),
            seed=self._space.seed,
            **(_options(self._space) if is_qmc else {}),
        )

    def _is_starting(self, study: Study) -> bool:
        """Whether there are too few trials for a model."""
        sampler = self._space.sampler
        trials = study.get_trials(deepcopy=False)
        if isinstance(sampler, GpSampler):
            known = [trial for trial in trials if is_observed(trial)]
        elif isinstance(sampler, TpeSampler):
            known = [trial for trial in trials if trial.state in _TPE_LEARNS_FROM]
        else:
            return False
        return len(known) < sampler.n_startup_trials or not known

    def _is_spread(self, trial: FrozenTrial, *, is_starting: bool) -> bool:
        """Whether a configuration is a point of the sequence, in the place of a model's."""
        if self._space.sampler.type == "qmc" or is_starting:
            return True
        seed = derive_seed(self._space.seed, trial.number, "spread")
        return seed < _SHARES_OF_SPREAD.get(self._space.sampler.type, 0) * 2**32

    def _guide(self, trial: FrozenTrial, *, is_starting: bool) -> Guide | None:
        """What draws around priors in this trial; None if its sampler draws alone."""
        guide = Guide(derive_seed(self._space.seed, trial.number, "prior"))
        return guide if guide.is_due or is_starting else None

    def _draw(
        self,
        study: Study,
        trial: FrozenTrial,
        together: Mapping[str, Any],
        given: Mapping[str, Any],
        guide: Guide | None,
    ) -> dict[str, Scalar]:
        """A whole configuration.

        A value is given, or drawn around its prior, or one of those drawn together, or drawn alone.
        """

        def draw(name: str) -> Any:
            if name in given:
                return given[name]
            distribution, domain = self._distributions[name], self._sampled[name]
            if distribution.single():
                return domain.choices[0] if isinstance(domain, Choices) else domain.low
            if guide is not None and guide.takes(domain):
                return guide.draw(domain)
            if name in together:
                value = together[name]
            else:
                value = self._current.sample_independent(study, trial, name, distribution)
            # Optuna adds up floats: for 0.3 it samples 0.30000000000000004, which equals no choice.
            return nearest_step(domain, value) if is_stepped(domain) else value

        return self._space.suggest(_Suggesting(draw))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        return self._current.sample_independent(study, trial, param_name, param_distribution)


class _GridSampler(BaseSampler):
    """Gives each trial the next configuration that no earlier trial has.

    Optuna's `GridSampler` takes the product of all choices, which repeats configurations where
    there are conditional parameters. It also asks the study which of them were tried, and with
    Hyperband the study shows a sampler the trials of one bracket only.
    """

    def __init__(self, space: SearchSpace, trials: Iterable[FrozenTrial]) -> None:
        self._distributions = distributions(space)
        self._order = space.grid_order()
        self._configuration: dict[str, Any] = {}
        for trial in trials:
            if trial.params:
                self._order.add(trial.params)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        if not trial.params:  # otherwise it has its configuration and goes on
            self._configuration = self._order.take(trial.system_attrs.get("fixed_params", {}))

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._configuration

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        # Only a configuration that another program enqueued, and that is in no grid, gets here.
        return RandomSampler(seed=trial.number).sample_independent(
            study, trial, param_name, param_distribution
        )
