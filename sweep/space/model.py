"""The search space as a validated value: what the YAML file may say, in pydantic models.

The models check shape, type and bounds; rules that tie several places of a file together
(conditions, enqueued configurations, grids) are in `sweep.space.rules`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Generic, Literal, TypeVar, cast, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    Tag,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from sweep.space.parameters import (
    PARAMETERS,
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Parameter,
)

__all__ = [
    "Budget",
    "Choices",
    "Dataset",
    "Domain",
    "ObjectiveSpec",
    "ParametersModel",
    "PrunerSpec",
    "Range",
    "SamplerSpec",
    "Scalar",
    "domain_kind",
    "named",
]

Scalar = int | float | str
WholeNumber = Annotated[int, Strict()]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Text = Annotated[str, Strict()]
Flag = Annotated[bool, Strict()]
ConditionValue = WholeNumber | Number | Text
Condition = dict[str, ConditionValue | list[ConditionValue]]

T = TypeVar("T")
S = TypeVar("S")


class _Strict(BaseModel):
    """Settings of every model: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# ---------------------------------------------------------------- parameters


class Range(_Strict, Generic[T, S]):
    """All values from `low` to `high`, both included."""

    low: T = Field(description="The smallest value.")
    high: T = Field(description="The largest value.")
    step: S | None = Field(None, description="Distance of neighbouring values.")
    log: Flag = Field(False, description="Sample evenly in the logarithm.")
    when: Condition | None = Field(
        None, description="Other parameters and the values under which this one is sampled."
    )

    @model_validator(mode="after")
    def _check(self) -> Range[T, S]:
        low, high, step = (cast("float | None", v) for v in (self.low, self.high, self.step))
        assert low is not None  # noqa: S101 - for the type checker: low is required
        assert high is not None  # noqa: S101
        if low > high:
            raise PydanticCustomError(
                "range", "low must not be above high; found low {low} and high {high}",
                {"low": low, "high": high},
            )  # fmt: skip
        if self.log and low <= 0:
            raise PydanticCustomError(
                "range", "a log range must stay above 0; found low {low}", {"low": low}
            )
        if self.log and step is not None:
            raise PydanticCustomError("range", "log and step cannot be used together")
        if step is not None:
            steps = (high - low) / step
            if abs(steps - round(steps)) > 1e-9 * max(1.0, steps):
                raise PydanticCustomError(
                    "range",
                    "high - low must be a multiple of step; found low {low}, high {high}, "
                    "step {step}",
                    {"low": low, "high": high, "step": step},
                )
        return self


class Choices(_Strict, Generic[T]):
    """One of a list of values."""

    choices: list[T] = Field(min_length=1, description="The values to choose from.")
    when: Condition | None = Field(
        None, description="Other parameters and the values under which this one is sampled."
    )

    @model_validator(mode="after")
    def _check(self) -> Choices[T]:
        for index, value in enumerate(self.choices):
            if value in self.choices[:index]:
                raise PydanticCustomError(
                    "choices", "choices must differ; found {value} twice", {"value": repr(value)}
                )
        return self


Domain = Scalar | Range[Any, Any] | Choices[Any]
"""What a parameter may be: a fixed value, a range or choices."""


def domain_kind(value: Any) -> str:
    """Tell which form of domain was written, so that errors speak of that form only."""
    if isinstance(value, Range):
        return "range"
    if isinstance(value, Choices):
        return "choices"
    if isinstance(value, Mapping):
        return "choices" if "choices" in value else "range"
    return "fixed"


def _choices_only(value: Any) -> str:
    return "choices" if isinstance(value, Mapping | Choices) else "fixed"


def _domain_type(parameter: Parameter) -> Any:
    """The pydantic type of one parameter's domain, bounds and description included."""
    name = "".join(word.capitalize() for word in parameter.name.split("_"))
    value: Any
    step: Any
    match parameter:
        case IntParameter():
            value = Annotated[WholeNumber, Field(ge=parameter.minimum, le=parameter.maximum)]
            step = Annotated[WholeNumber, Field(gt=0)]
        case FloatParameter():
            value = Annotated[Number, Field(ge=parameter.minimum, le=parameter.maximum)]
            step = Annotated[Number, Field(gt=0)]
        case CategoricalParameter():
            value = Literal[parameter.choices]
    choices = create_model(
        f"{name}Choices", __base__=Choices[value], __doc__="One of a list of values."
    )
    forms = [Annotated[value, Tag("fixed")], Annotated[choices, Tag("choices")]]
    kind = _choices_only
    if not isinstance(parameter, CategoricalParameter):
        spread = create_model(
            f"{name}Range", __base__=Range[value, step], __doc__="All values from low to high."
        )
        forms.append(Annotated[spread, Tag("range")])
        kind = domain_kind
    union: Any = forms[0]
    for form in forms[1:]:
        union = union | form
    return Annotated[union, Discriminator(kind)]


def _parameters_model() -> type[BaseModel]:
    fields: dict[str, Any] = {
        parameter.name: (
            _domain_type(parameter),
            Field(default=parameter.default, description=parameter.meaning),
        )
        for parameter in PARAMETERS.values()
    }
    return create_model(
        "Parameters",
        __base__=_Strict,
        __doc__="The hyperparameters; one that is not named has its default.",
        **fields,
    )


ParametersModel = _parameters_model()


# ---------------------------------------------------------------- everything else


def named(key: str, form: Any) -> BeforeValidator:
    """Accept a bare name where a mapping with only that key is meant.

    Args:
        key: The key that the name stands for.
        form: The type of the mapping, or a union of types.
    """
    models = get_args(form) if get_origin(form) is UnionType else (form,)
    names = tuple(name for model in models for name in get_args(model.model_fields[key].annotation))
    return BeforeValidator(
        lambda value: {key: value} if isinstance(value, str) else value,
        json_schema_input_type=form | Literal[names],
    )


class Dataset(_Strict):
    """The data set and how its training pool is split."""

    name: Literal["mnist", "fashion-mnist", "kmnist", "emnist-balanced", "digits"] = Field(
        description="mnist, fashion-mnist, kmnist and emnist-balanced are read from the data "
        "directory or downloaded; digits comes with scikit-learn."
    )
    validation: Annotated[WholeNumber, Field(ge=1)] | None = Field(
        None, description="Images held out for validation; a sixth of the training pool if unset."
    )
    split_seed: Annotated[WholeNumber, Field(ge=0, lt=2**63)] = Field(
        0, description="Seed of the split into training and validation images."
    )


_GOALS = {"validation_accuracy": "maximize", "validation_loss": "minimize"}


class ObjectiveSpec(_Strict):
    """The validation metric that ranks the trials."""

    metric: Literal["validation_accuracy", "validation_loss"] = Field(
        "validation_accuracy", description="What is measured after every epoch."
    )
    goal: Literal["maximize", "minimize"] = Field(
        "maximize", description="Accuracy is maximized, loss is minimized."
    )

    @model_validator(mode="before")
    @classmethod
    def _default_goal(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and "goal" not in value and value.get("metric") in _GOALS:
            return {**value, "goal": _GOALS[value["metric"]]}
        return value

    @model_validator(mode="after")
    def _check(self) -> ObjectiveSpec:
        if _GOALS[self.metric] != self.goal:
            raise PydanticCustomError(
                "objective", "{metric} must be {right}d; found goal {goal}",
                {"metric": self.metric, "right": _GOALS[self.metric], "goal": self.goal},
            )  # fmt: skip
        return self


Seed = Annotated[WholeNumber, Field(ge=0, lt=2**32)]
Count = Annotated[WholeNumber, Field(ge=0, le=1_000_000)]
Positive = Annotated[WholeNumber, Field(ge=1, le=1_000_000)]
_SEED = Field(0, description="Seed of the whole study: sampling, initial weights, data order.")


class TpeSampler(_Strict):
    """Tree-structured Parzen estimator (`optuna.samplers.TPESampler`)."""

    type: Literal["tpe"]
    seed: Seed = _SEED
    n_startup_trials: Count = Field(10, description="Random trials at the start.")
    n_ei_candidates: Positive = Field(24, description="Candidates compared for each trial.")
    multivariate: Flag = Field(True, description="Model the parameters jointly.")
    constant_liar: Flag = Field(True, description="Keep away from trials still running.")


class RandomSampler(_Strict):
    """Independent random draws (`optuna.samplers.RandomSampler`)."""

    type: Literal["random"]
    seed: Seed = _SEED


class GridSampler(_Strict):
    """Every configuration of a finite space once, in an order shuffled by the seed."""

    type: Literal["grid"]
    seed: Seed = _SEED


class GpSampler(_Strict):
    """Gaussian process (`optuna.samplers.GPSampler`)."""

    type: Literal["gp"]
    seed: Seed = _SEED
    n_startup_trials: Count = Field(10, description="Random trials at the start.")
    deterministic_objective: Flag = Field(False, description="Treat values as free of noise.")


class QmcSampler(_Strict):
    """Quasi-Monte Carlo sequence (`optuna.samplers.QMCSampler`)."""

    type: Literal["qmc"]
    seed: Seed = _SEED
    qmc_type: Literal["sobol", "halton"] = Field("sobol", description="The sequence.")
    scramble: Flag = Field(True, description="Randomise the sequence with the seed.")


SamplerSpec = TpeSampler | RandomSampler | GridSampler | GpSampler | QmcSampler


class NoPruner(_Strict):
    """Every trial runs to its end."""

    type: Literal["none"]


class HyperbandPruner(_Strict):
    """Hyperband (`optuna.pruners.HyperbandPruner`); its largest resource is the most epochs."""

    type: Literal["hyperband"]
    min_resource: Positive = Field(1, description="Epochs before the first pruning.")
    reduction_factor: Annotated[WholeNumber, Field(ge=2, le=100)] = Field(
        3, description="One in so many trials is kept at each rung."
    )
    bootstrap_count: Count = Field(0, description="Trials a rung waits for before it prunes.")


class SuccessiveHalvingPruner(_Strict):
    """Asynchronous successive halving (`optuna.pruners.SuccessiveHalvingPruner`)."""

    type: Literal["successive_halving"]
    min_resource: Positive = Field(1, description="Epochs before the first pruning.")
    reduction_factor: Annotated[WholeNumber, Field(ge=2, le=100)] = Field(
        4, description="One in so many trials is kept at each rung."
    )
    min_early_stopping_rate: Annotated[WholeNumber, Field(ge=0, le=30)] = Field(
        0, description="Rungs left out at the start."
    )
    bootstrap_count: Count = Field(0, description="Trials a rung waits for before it prunes.")


class MedianPruner(_Strict):
    """Prune below the median of completed trials (`optuna.pruners.MedianPruner`)."""

    type: Literal["median"]
    n_startup_trials: Count = Field(5, description="Completed trials before pruning starts.")
    n_warmup_steps: Count = Field(0, description="Epochs of each trial without pruning.")
    interval_steps: Positive = Field(1, description="Epochs between two checks.")
    n_min_trials: Positive = Field(1, description="Trials that must have reached the epoch.")


class PercentilePruner(_Strict):
    """Keep the best percentile of completed trials (`optuna.pruners.PercentilePruner`)."""

    type: Literal["percentile"]
    percentile: Annotated[Number, Field(ge=0, le=100)] = Field(
        25.0, description="The share that is kept, in per cent."
    )
    n_startup_trials: Count = Field(5, description="Completed trials before pruning starts.")
    n_warmup_steps: Count = Field(0, description="Epochs of each trial without pruning.")
    interval_steps: Positive = Field(1, description="Epochs between two checks.")
    n_min_trials: Positive = Field(1, description="Trials that must have reached the epoch.")


class ThresholdPruner(_Strict):
    """Prune outside fixed bounds (`optuna.pruners.ThresholdPruner`)."""

    type: Literal["threshold"]
    lower: Number | None = Field(None, description="Prune below this value.")
    upper: Number | None = Field(None, description="Prune above this value.")
    n_warmup_steps: Count = Field(0, description="Epochs of each trial without pruning.")
    interval_steps: Positive = Field(1, description="Epochs between two checks.")

    @model_validator(mode="after")
    def _check(self) -> ThresholdPruner:
        if self.lower is None and self.upper is None:
            raise PydanticCustomError("threshold", "lower or upper is needed; found neither")
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise PydanticCustomError(
                "threshold", "lower must not be above upper; found {lower} and {upper}",
                {"lower": self.lower, "upper": self.upper},
            )  # fmt: skip
        return self


PlainPruner = (
    HyperbandPruner
    | SuccessiveHalvingPruner
    | MedianPruner
    | PercentilePruner
    | ThresholdPruner
    | NoPruner
)


class PatientPruner(_Strict):
    """Ask another pruner only when a trial stopped improving (`optuna.pruners.PatientPruner`)."""

    type: Literal["patient"]
    pruner: Annotated[PlainPruner, Discriminator("type"), named("type", PlainPruner)] = Field(
        NoPruner(type="none"),
        description="The pruner that is asked then; none prunes every trial that is out of "
        "patience.",
    )
    patience: Count = Field(3, description="Epochs without improvement that are tolerated.")
    min_delta: Annotated[Number, Field(ge=0)] = Field(
        0.0, description="The smallest difference that counts as improvement."
    )


PrunerSpec = PlainPruner | PatientPruner

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


def parse_duration(value: Any) -> Any:
    """Turn `1h30m`, `45s` or a number into seconds; leave the rest for the type check.

    Raises:
        PydanticCustomError: text that is not a duration.
    """
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.replace(" ", ""))
    if match is None or not any(match.groups()):
        raise PydanticCustomError(
            "duration", "must be a duration such as 90s, 30m or 1h30m; found {value}",
            {"value": repr(value)},
        )  # fmt: skip
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


class Budget(_Strict):
    """When a study is finished."""

    trials: Annotated[WholeNumber, Field(ge=1, le=1_000_000)] | None = Field(
        None,
        description="The study's total, over all resumes. Without trials and timeout: 50, or "
        "every configuration of a grid.",
    )
    timeout: Annotated[
        Number, Field(gt=0, le=366 * 86400), BeforeValidator(parse_duration, json_schema_input_type=float | str)
    ] | None = Field(
        None,
        description="Wall time of one command (90s, 30m, 1h30m), after which no new trial "
        "starts; those under way are finished.",
    )  # fmt: skip
