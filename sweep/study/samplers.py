"""Samplers by name, and the search space as Optuna's distributions.

A sampler that lives as long as its process draws other configurations after a restart
(optuna#3255). Here each trial has its own, seeded by the study's seed and the trial's number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, QMCSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from sweep.quiet import without_warnings
from sweep.space import Choices, SearchSpace, is_stepped, nearest_step

__all__ = ["build_sampler", "derive_seed", "distributions"]

_Build = Callable[[SearchSpace, int], BaseSampler]


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


def build_sampler(space: SearchSpace, trials: Iterable[FrozenTrial]) -> BaseSampler:
    """The sampler that a search space names, for a study that has these trials."""
    if space.sampler.type == "grid":
        return _GridSampler(space, trials)
    return _TrialSampler(space, _BUILDERS[space.sampler.type])


def _options(space: SearchSpace) -> dict[str, Any]:
    return space.sampler.model_dump(exclude={"type", "seed"})


def _is_conditional(space: SearchSpace) -> bool:
    return any(domain.when for domain in space.sampled.values())


def _build_tpe(space: SearchSpace, seed: int) -> BaseSampler:
    options = _options(space)
    # Without group, a joint model silently samples conditional parameters independently.
    group = options["multivariate"] and _is_conditional(space)
    return TPESampler(seed=seed, group=group, **options)


_BUILDERS: dict[str, _Build] = {
    "tpe": _build_tpe,
    "random": lambda _, seed: RandomSampler(seed=seed),
    "gp": lambda space, seed: GPSampler(
        seed=seed, warn_independent_sampling=False, **_options(space)
    ),
    # The whole study has one sequence, and therefore one seed.
    "qmc": lambda space, _: QMCSampler(
        seed=space.seed, warn_independent_sampling=False, **_options(space)
    ),
}


class _TrialSampler(BaseSampler):
    """Hands each trial to its own sampler.

    Which parameters TPE models together does not depend on the seed: the first sampler lives on to
    find that out, because it compares the distributions of new trials only. With conditions the
    answer is part of a sampler's state, so that each finds out for itself.
    """

    def __init__(self, space: SearchSpace, build: _Build) -> None:
        self._space = space
        self._build = build
        self._first = self._current = self._make(space.seed)
        self._first_infers = space.sampler.type == "tpe" and not _is_conditional(space)
        self._stepped = {n: domain for n, domain in space.sampled.items() if is_stepped(domain)}

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        seed = derive_seed(self._space.seed, trial.number, "sampler")
        self._current = self._make(seed)
        self._current.before_trial(study, trial)

    def _make(self, seed: int) -> BaseSampler:
        # The user chose the sampler by name; that it is experimental need not be said.
        with without_warnings(ExperimentalWarning):
            return self._build(self._space, seed)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        sampler = self._first if self._first_infers else self._current
        return sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        values = self._current.sample_relative(study, trial, search_space)
        return {name: self._on_step(name, value) for name, value in values.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        value = self._current.sample_independent(study, trial, param_name, param_distribution)
        return self._on_step(param_name, value)

    def _on_step(self, name: str, value: Any) -> Any:
        """Optuna adds up floats: for 0.3 it samples 0.30000000000000004, which equals no choice."""
        return nearest_step(self._stepped[name], value) if name in self._stepped else value


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
