"""`SearchSpace`: the validated file, its fingerprint, and how values are suggested."""

from __future__ import annotations

import hashlib
import json
import math
import shlex
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any, Protocol

from pydantic import BeforeValidator, Discriminator, Field, PrivateAttr, create_model

from sweep.definitions import (
    DATASETS,
    FAMILIES,
    OBJECTIVES,
    DefaultBy,
    Parameter,
    Params,
    Scalar,
    definition_of,
    idle_parameters,
    parameters_of,
    with_defaults,
)
from sweep.records import DataSpec, Model, Objective, OwnNetwork
from sweep.space.base import StrictModel, Text, at_most, named, one_of
from sweep.space.conditions import (
    condition,
    is_active,
    prior_configuration,
    resolve_defaults,
    sampling_order,
)
from sweep.space.constraints import Constraints
from sweep.space.datasets import BuiltIn, Dataset
from sweep.space.domains import (
    Choices,
    ConditionValue,
    Domain,
    Range,
    max_epochs,
    min_epochs,
    own_value,
    parameters_model,
    plain_domain,
    size,
    title,
)
from sweep.space.grid import Configurations, GridOrder, count
from sweep.space.sections import Budget, ObjectiveSpec, WarmStart
from sweep.space.strategies import (
    AshaPruner,
    GpSampler,
    PrunerSpec,
    SamplerSpec,
    TpeSampler,
)

__all__ = [
    "SearchSpace",
    "Suggester",
    "effective_parameters",
    "notable_parameters",
    "space_type",
    "used_parameters",
]

STUDY_NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$"
_DEFAULT_TRIALS = 50
_MAX_ENQUEUED = 10_000
_MAX_CONSTRAINTS = 100
_OFF = (0, "none")
_BARE_STUDY = BeforeValidator(
    lambda value: {"study": value} if isinstance(value, str) else value,
    json_schema_input_type=WarmStart | str,
)


class Suggester(Protocol):
    """Suggests values, as `optuna.Trial` does."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        """A whole number."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None, log: bool
    ) -> float:
        """A number."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""


class SearchSpace(StrictModel):
    """A search space: data set, model, parameters, sampler, pruner and budget.

    The type of `parameters` depends on the model.
    """

    name: Annotated[str, Field(pattern=STUDY_NAME_PATTERN)] = Field(
        description="Name of the study, unless the command line gives another."
    )
    dataset: Dataset = Field(
        description="The data set: the name of a built-in one, or own data, and how to split it."
    )
    model: one_of(FAMILIES, OwnNetwork) = Field(  # type: ignore[valid-type]
        "mlp", description="The kind of network."
    )
    objective: Annotated[ObjectiveSpec, named("metric", ObjectiveSpec, OBJECTIVES)] = Field(
        ObjectiveSpec(metric="validation_accuracy", goal="maximize"),
        description="The validation metric that ranks the trials.",
    )
    parameters: StrictModel
    sampler: Annotated[SamplerSpec, Discriminator("type"), named("type", SamplerSpec)] = Field(
        GpSampler(type="gp"), description="How configurations are chosen."
    )
    pruner: Annotated[PrunerSpec, Discriminator("type"), named("type", PrunerSpec)] = Field(
        AshaPruner(type="asha"), description="How poor trials are ended early."
    )
    budget: Budget = Field(Budget(), description="When the study is finished.")
    enqueue: Annotated[list[dict[str, ConditionValue]], at_most(_MAX_ENQUEUED)] = Field(
        [], max_length=_MAX_ENQUEUED, description="Configurations that are tried first."
    )
    warm_start: Annotated[WarmStart, _BARE_STUDY] | None = Field(
        None, description="A study whose best configurations are tried next, or its name."
    )
    constraints: Annotated[list[Text], at_most(_MAX_CONSTRAINTS)] = Field(
        [],
        max_length=_MAX_CONSTRAINTS,
        description="What every configuration meets: sums, products and comparisons of parameters, "
        "num_parameters and flops.",
    )
    _data: DataSpec | None = PrivateAttr(None)  # see `on_data`

    @property
    def definitions(self) -> dict[str, Parameter]:
        """The definition of every parameter: the model's, then the recipe's."""
        return parameters_of(self.model)

    @property
    def domains(self) -> dict[str, Domain]:
        """The domain of every parameter, with defaults."""
        return resolve_defaults({name: getattr(self.parameters, name) for name in self.definitions})

    @property
    def sampled(self) -> dict[str, Range | Choices]:
        """The domains that are not fixed, in sampling order."""
        domains = self.domains
        return {
            name: domain
            for name in sampling_order(domains)
            if isinstance(domain := domains[name], Range | Choices)
        }

    @property
    def prior(self) -> dict[str, Scalar]:
        """The configuration of the priors; empty without any."""
        return prior_configuration(self.domains)

    @property
    def _fixed(self) -> dict[str, Scalar]:
        return {n: d for n, d in self.domains.items() if isinstance(d, int | float | str)}

    @property
    def model_option(self) -> str:
        """What a command needs to build the networks: `--model net.py:build`, or nothing."""
        own = isinstance(self.model, OwnNetwork)
        return f"--model {shlex.quote(self.model.source.words)}" if own else ""

    @property
    def seed(self) -> int:
        """The study's seed."""
        return self.sampler.seed

    @property
    def uses_portfolio(self) -> bool:
        """Whether a new study tries the portfolio first (see `sweep.space.portfolio`)."""
        return isinstance(self.sampler, TpeSampler | GpSampler) and self.sampler.portfolio

    @property
    def trial_objective(self) -> Objective:
        """The objective as a record."""
        return Objective(**self.objective.model_dump())

    @property
    def max_epochs(self) -> int:
        """The most epochs of one trial."""
        return max_epochs(self.domains["epochs"])

    @property
    def min_epochs(self) -> int:
        """The fewest epochs of one trial."""
        return min_epochs(self.domains["epochs"])

    @property
    def rungs(self) -> tuple[float, ...]:
        """The shares of a trial's epochs after which it pauses; empty unless `asha` prunes."""
        return tuple(self.pruner.rungs) if isinstance(self.pruner, AshaPruner) else ()

    @property
    def prunes_unequal_trials(self) -> bool:
        """Whether a pruner compares trials that were to have different numbers of epochs.

        `asha` compares them at equal shares of their epochs.
        """
        epochs = self.domains["epochs"]
        is_sampled = isinstance(epochs, Range | Choices) and (size(epochs) != 1 or epochs.when)
        return self.pruner.type not in ("none", "asha") and bool(is_sampled)

    @property
    def num_trials(self) -> int | None:
        """The total number of trials, or None if other parts of the budget limit the study."""
        if self.sampler.type == "grid":
            # What is enqueued once more is run on top of the grid.
            order = self.grid_order()
            for configuration in self.enqueue:
                order.take(configuration)
            total = order.count + len(self.enqueue) - order.num_taken
            return min(total, self.budget.trials or total)
        if self.budget.trials is None and not self.budget.ends:
            return max(_DEFAULT_TRIALS, len(self.enqueue))
        return self.budget.trials

    @property
    def expected_trials(self) -> int | None:
        """About how many trials the budget pays for if none is pruned; None if nobody can tell."""
        trials, epochs = self.num_trials, self.budget.epochs
        if epochs is None:
            return trials
        paid = math.ceil(2 * epochs / (self.min_epochs + self.max_epochs))
        return paid if trials is None else min(trials, paid)

    @property
    def num_configurations(self) -> int | None:
        """The number of distinct configurations, or None if they are uncountable."""
        return count(self.domains)

    def configurations(self) -> Configurations:
        """All configurations of a finite space: its active sampled parameters."""
        return Configurations(self.domains)

    def grid_order(self) -> GridOrder:
        """The order in which a grid runs those that meet the constraints."""
        limits, completed = self.limits, self.completing()

        def fits(active: Params) -> bool:
            return not limits.broken(completed(active))

        return GridOrder(self.domains, self.seed, fits if self.constraints else None)

    @property
    def limits(self) -> Constraints:
        """The constraints. Those on costs depend on the form of the data: see `on_data`."""
        spec = self._data
        if spec is None and isinstance(self.dataset, BuiltIn):
            spec = DATASETS[self.dataset.name]
        return Constraints(self.constraints, definition_of(self.model), spec)

    def on_data(self, spec: DataSpec) -> SearchSpace:
        """The space, which knows that its data have this form."""
        space = self.model_copy()
        space._data = spec
        return space

    def completing(self) -> Callable[[Params], dict[str, Scalar]]:
        """Makes active sampled parameters, which are all there are, a whole configuration."""
        fixed, definitions = self._fixed, self.definitions
        return lambda active: with_defaults(definitions, {**fixed, **active})

    def with_own_values(self, *, from_python: bool = False) -> SearchSpace:
        """The space in which conditions, priors and what is enqueued name the domains' own values.

        They may be written otherwise: 0.30000000000000004 for the step 0.3, or, from Python, as
        text. What is in no domain stays as it is.
        """
        domains = self.domains

        def own(name: str, value: Scalar) -> Scalar:
            found = None
            if name in domains:
                found = own_value(domains[name], value, from_python=from_python)
            return value if found is None else found

        changed: dict[str, Any] = {}
        for name, domain in domains.items():
            if not isinstance(domain, Range | Choices):
                continue
            named: dict[str, Any] = {}
            if domain.prior is not None:
                named["prior"] = own(name, domain.prior)
            if domain.when:
                named["when"] = {
                    parent: list(dict.fromkeys(own(parent, value) for value in wanted))
                    if isinstance(wanted, list)
                    else own(parent, wanted)
                    for parent, wanted in domain.when.items()
                }
            if named:
                changed[name] = domain.model_copy(update=named)
        enqueue = [{name: own(name, v) for name, v in each.items()} for each in self.enqueue]
        update: dict[str, Any] = {}
        if changed:
            update["parameters"] = self.parameters.model_copy(update=changed)
        if self.enqueue:
            update["enqueue"] = enqueue
        return self.model_copy(update=update)

    def suggest(self, trial: Suggester) -> dict[str, Scalar]:
        """A value for every parameter; inactive ones are not asked for and take their default."""
        return self.suggesting()(trial)

    def suggesting(self) -> Callable[[Suggester], dict[str, Scalar]]:
        """`suggest`, for many configurations."""
        fixed, sampled, definitions = self._fixed, self.sampled, self.definitions

        def suggest(trial: Suggester) -> dict[str, Scalar]:
            active = dict(fixed)
            for name, domain in sampled.items():
                if is_active(domain, active):
                    active[name] = _ask(trial, name, domain)
            return with_defaults(definitions, active)

        return suggest

    def to_json(self) -> dict[str, Any]:
        """The space as plain data with defaults; `load_space` reads it."""
        # A default that depends on a sampled parameter has no one value and is left out.
        parameters = {
            name: plain_domain(domain)
            for name, domain in self.domains.items()
            if not isinstance(domain, DefaultBy)
        }
        left_out: dict[str, Any] = {"parameters": True}
        if not self.constraints:
            left_out["constraints"] = True
        if self.uses_portfolio:
            left_out["sampler"] = {"portfolio"}
        return {**self.model_dump(mode="json", exclude=left_out), "parameters": parameters}

    def beyond_defaults(self) -> dict[str, Any]:
        """The space as plain data without defaults, and without the folder it was read from."""
        plain = self.model_dump(
            mode="json",
            exclude={"parameters": True, "dataset": {"relative_to": True}},
            exclude_defaults=True,
        )
        if isinstance(self.model, OwnNetwork):
            plain["model"] = self.model.source.words
        parameters = self._parameters_beyond_defaults()
        return {**plain, "parameters": parameters} if parameters else plain

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that decides which trials are run and how.

        Parameters at their default, `every: 1`, no warm start, no prior, the portfolio and an empty
        list of constraints are left out: adding them changed no fingerprint.
        """
        identity = {**self._identity(), "parameters": self._parameters_beyond_defaults()}
        if self.objective.every == 1:
            del identity["objective"]["every"]
        if self.warm_start is None:
            del identity["warm_start"]
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    def _parameters_beyond_defaults(self) -> dict[str, Any]:
        parameters = self.to_json()["parameters"]
        return {name: value for name, value in parameters.items() if not self.is_at_default(name)}

    def is_at_default(self, name: str) -> bool:
        """Whether a parameter is fixed at its default value."""
        default = self.definitions[name].default
        return resolve_defaults({**self.domains, name: default})[name] == self.domains[name]

    def differences(self, other: SearchSpace) -> list[str]:
        """A line `path: a → b` for each difference that makes `other` another search."""
        mine, theirs = _flatten(self._identity()), _flatten(other._identity())
        return [
            f"{path}: {mine.get(path, 'unset')} → {theirs.get(path, 'unset')}"
            for path in sorted(mine.keys() | theirs.keys())
            if mine.get(path) != theirs.get(path)
        ]

    def _identity(self) -> dict[str, Any]:
        """Everything that may not change over a study's life: all but name, budget and place."""
        whole = self.to_json()
        whole["dataset"].pop("relative_to", None)
        if isinstance(self.model, OwnNetwork):
            source = self.model.source
            whole["model"] = f"{source.function}, SHA-256 {source.sha256[:12]}"
        return {k: v for k, v in whole.items() if k not in ("name", "budget")}


@cache
def space_type(model: Model) -> type[SearchSpace]:
    """The type of a model's search spaces."""
    parameters = parameters_model(model)
    section = Field(
        default_factory=parameters,
        description="The hyperparameters; one that is not named has its default.",
    )
    return create_model(
        f"{title(model)}SearchSpace",
        __base__=SearchSpace,
        __doc__=SearchSpace.__doc__,
        parameters=(parameters, section),
    )


def _ask(trial: Suggester, name: str, domain: Range | Choices) -> Scalar:
    if isinstance(domain, Choices):
        value: Scalar = trial.suggest_categorical(name, domain.choices)
        return value
    low, high, step, log = domain.low, domain.high, domain.step, domain.log
    if isinstance(low, int):
        return trial.suggest_int(name, low, high, step=step or 1, log=log)
    return trial.suggest_float(name, low, high, step=step, log=log)


def _flatten(value: Any, path: str = "") -> dict[str, str]:
    if isinstance(value, dict):
        flat: dict[str, str] = {}
        for key, inner in value.items():
            if inner is not None:
                flat |= _flatten(inner, f"{path}.{key}" if path else key)
        return flat
    return {path: json.dumps(value)}


def used_parameters(space: SearchSpace, params: Params) -> set[str]:
    """Names of the parameters that were active in a trial, fixed ones included."""
    domains = space.domains
    if not any(map(condition, domains.values())):  # the order, which takes long, does not matter
        return params.keys() & domains.keys()
    used: dict[str, Scalar] = {}
    for name in sampling_order(domains):
        if name in params and is_active(domains[name], used):
            used[name] = params[name]
    return set(used)


def effective_parameters(space: SearchSpace, params: Params) -> frozenset[tuple[str, Scalar]]:
    """Names and values of the parameters that were active and had an effect in a trial."""
    idle = idle_parameters(space.model, params)
    return frozenset((name, params[name]) for name in used_parameters(space, params) - idle)


def notable_parameters(space: SearchSpace, params: Params) -> list[str]:
    """Names of the parameters that a reader of a trial needs to know.

    They had an effect in it, and were searched or are not merely switched off, as by default.
    """
    effective = {name for name, _ in effective_parameters(space, params)}
    return [
        name
        for name in space.definitions
        if name in effective and not (params[name] in _OFF and space.is_at_default(name))
    ]
