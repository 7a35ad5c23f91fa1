"""Samplers and pruners. Those of Optuna have its option names and defaults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, model_validator

from sweep.space.base import Flag, Number, StrictModel, WholeNumber, named

__all__ = [
    "AshaPruner",
    "GpSampler",
    "HyperbandPruner",
    "NoPruner",
    "PatientPruner",
    "PrunerSpec",
    "SamplerSpec",
    "TpeSampler",
]

Seed = Annotated[WholeNumber, Field(
    ge=0, lt=2**32, description="Seed of the whole study: sampling, initial weights, data order."
)]  # fmt: skip
Count = Annotated[WholeNumber, Field(ge=0, le=1_000_000)]
Positive = Annotated[WholeNumber, Field(ge=1, le=1_000_000)]
MinResource = Annotated[Positive, Field(description="Epochs before the first pruning.")]
Bootstrap = Annotated[Count, Field(description="Trials a rung waits for before it prunes.")]
StartupTrials = Annotated[Count, Field(description="Completed trials before pruning starts.")]
WarmupSteps = Annotated[Count, Field(description="Epochs of each trial without pruning.")]
Interval = Annotated[Positive, Field(description="Epochs between two checks.")]
MinTrials = Annotated[Positive, Field(description="Trials that must have reached the epoch.")]
Portfolio = Annotated[Flag, Field(
    description="Try configurations first that were good on other data, where the space has them."
)]  # fmt: skip
ReductionFactor = Annotated[
    WholeNumber, Field(ge=2, le=100, description="One in so many trials is kept at each rung.")
]


class TpeSampler(StrictModel):
    """Tree-structured Parzen estimator (`optuna.samplers.TPESampler`)."""

    type: Literal["tpe"]
    seed: Seed = 0
    n_startup_trials: Count = Field(10, description="Evenly spread trials at the start.")
    n_ei_candidates: Positive = Field(24, description="Candidates compared for each trial.")
    multivariate: Flag = Field(True, description="Model the parameters jointly.")
    constant_liar: Flag = Field(True, description="Keep away from trials still running.")
    portfolio: Portfolio = True


class RandomSampler(StrictModel):
    """Independent random draws (`optuna.samplers.RandomSampler`)."""

    type: Literal["random"]
    seed: Seed = 0


class GridSampler(StrictModel):
    """Every configuration of a finite space once, in an order shuffled by the seed."""

    type: Literal["grid"]
    seed: Seed = 0


class GpSampler(StrictModel):
    """Gaussian process that knows how far each trial was (`sweep.study.thompson`)."""

    type: Literal["gp"]
    seed: Seed = 0
    n_startup_trials: Count = Field(6, description="Evenly spread trials at the start.")
    deterministic_objective: Flag = Field(False, description="Treat values as free of noise.")
    portfolio: Portfolio = True


class QmcSampler(StrictModel):
    """Quasi-Monte Carlo sequence (`optuna.samplers.QMCSampler`)."""

    type: Literal["qmc"]
    seed: Seed = 0
    qmc_type: Literal["sobol", "halton"] = Field("sobol", description="The sequence.")
    scramble: Flag = Field(True, description="Randomise the sequence with the seed.")


SamplerSpec = TpeSampler | RandomSampler | GridSampler | GpSampler | QmcSampler


class NoPruner(StrictModel):
    """Every trial runs to its end."""

    type: Literal["none"]


class AshaPruner(StrictModel):
    """Pause every trial at rungs and promote the best (asynchronous successive halving)."""

    type: Literal["asha"]
    rungs: Annotated[
        list[Annotated[Number, Field(gt=0, lt=1)]], Field(min_length=1, max_length=20)
    ] = Field([0.05, 0.17], description="Shares of a trial's epochs, ascending.")
    reduction_factors: Annotated[list[ReductionFactor], Field(min_length=1, max_length=20)] = Field(
        [4, 4], description="One in so many trials is promoted at each of the rungs."
    )

    @model_validator(mode="after")
    def _check(self) -> AshaPruner:
        if sorted(set(self.rungs)) != self.rungs:
            raise ValueError(f"rungs must ascend; found {self.rungs}")
        if len(self.rungs) != len(self.reduction_factors):
            raise ValueError(
                "each rung needs a reduction factor; found "
                f"{len(self.rungs)} rungs and {len(self.reduction_factors)} reduction_factors"
            )
        return self


class HyperbandPruner(StrictModel):
    """Hyperband (`optuna.pruners.HyperbandPruner`); its largest resource is the most epochs."""

    type: Literal["hyperband"]
    min_resource: MinResource = 1
    reduction_factor: ReductionFactor = 3
    bootstrap_count: Bootstrap = 0


class SuccessiveHalvingPruner(StrictModel):
    """Asynchronous successive halving (`optuna.pruners.SuccessiveHalvingPruner`)."""

    type: Literal["successive_halving"]
    min_resource: MinResource = 1
    reduction_factor: ReductionFactor = 4
    min_early_stopping_rate: Annotated[WholeNumber, Field(ge=0, le=30)] = Field(
        0, description="Rungs left out at the start."
    )
    bootstrap_count: Bootstrap = 0


class MedianPruner(StrictModel):
    """Prune below the median of completed trials (`optuna.pruners.MedianPruner`)."""

    type: Literal["median"]
    n_startup_trials: StartupTrials = 5
    n_warmup_steps: WarmupSteps = 0
    interval_steps: Interval = 1
    n_min_trials: MinTrials = 1


class PercentilePruner(StrictModel):
    """Keep the best percentile of completed trials (`optuna.pruners.PercentilePruner`)."""

    type: Literal["percentile"]
    percentile: Annotated[Number, Field(ge=0, le=100)] = Field(
        25.0, description="The share that is kept, in per cent."
    )
    n_startup_trials: StartupTrials = 5
    n_warmup_steps: WarmupSteps = 0
    interval_steps: Interval = 1
    n_min_trials: MinTrials = 1


class ThresholdPruner(StrictModel):
    """Prune outside fixed bounds (`optuna.pruners.ThresholdPruner`)."""

    type: Literal["threshold"]
    lower: Number | None = Field(None, description="Prune below this value.")
    upper: Number | None = Field(None, description="Prune above this value.")
    n_warmup_steps: WarmupSteps = 0
    interval_steps: Interval = 1

    @model_validator(mode="after")
    def _check(self) -> ThresholdPruner:
        if self.lower is None and self.upper is None:
            raise ValueError("lower or upper is needed; found neither")
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise ValueError(f"lower must not be above upper; found {self.lower} and {self.upper}")
        return self


PlainPruner = (
    HyperbandPruner
    | SuccessiveHalvingPruner
    | MedianPruner
    | PercentilePruner
    | ThresholdPruner
    | NoPruner
)


class PatientPruner(StrictModel):
    """Ask another pruner only when a trial stopped improving (`optuna.pruners.PatientPruner`)."""

    type: Literal["patient"]
    pruner: Annotated[PlainPruner, Discriminator("type"), named("type", PlainPruner)] = Field(
        NoPruner(type="none"),
        description="The pruner that is asked then; none prunes every trial that is out of "
        "patience.",
    )
    patience: Count = Field(
        3, description="Validated epochs without improvement that are tolerated."
    )
    min_delta: Annotated[Number, Field(ge=0)] = Field(
        0.0, description="The smallest difference that counts as improvement."
    )


PrunerSpec = PlainPruner | AshaPruner | PatientPruner
