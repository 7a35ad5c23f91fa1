"""The sections `objective` and `budget`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from sweep.definitions import OBJECTIVES
from sweep.space.base import Number, StrictModel, Text, WholeNumber, one_of
from sweep.words import parse_duration

__all__ = ["Budget", "ObjectiveSpec", "WarmStart"]


class ObjectiveSpec(StrictModel):
    """The validation metric that ranks the trials."""

    metric: one_of(OBJECTIVES) = Field(  # type: ignore[valid-type]
        "validation_accuracy", description="What is measured on the validation examples."
    )
    goal: Literal["maximize", "minimize"] = Field(
        "maximize", description="The loss is minimized, every other metric is maximized."
    )

    every: Annotated[WholeNumber, Field(ge=1, le=1_000_000)] = Field(
        1,
        description="Validate after every so many epochs, and after a trial's last one. Only then "
        "can an epoch be the best one, or the pruner end the trial.",
    )

    @model_validator(mode="before")
    @classmethod
    def _default_goal(cls, value: Any) -> Any:
        metric = value.get("metric") if isinstance(value, Mapping) else None
        if isinstance(metric, str) and metric in OBJECTIVES:  # anything else may be unhashable
            return {"goal": OBJECTIVES[metric].goal, **value}
        return value

    @model_validator(mode="after")
    def _check(self) -> ObjectiveSpec:
        right = OBJECTIVES[self.metric].goal
        if right != self.goal:
            raise ValueError(f"{self.metric} must be {right}d; found goal {self.goal}")
        return self


Duration = Annotated[
    Number,
    Field(gt=0, le=366 * 86400),
    BeforeValidator(parse_duration, json_schema_input_type=float | str),
]


class WarmStart(StrictModel):
    """Another study whose best configurations are tried first."""

    study: Text = Field(min_length=1, description="Its name; it may be of other data.")
    storage: Text | None = Field(
        None, min_length=1, description="The store that it is in; the new study's own if unset."
    )
    trials: Annotated[WholeNumber, Field(ge=1, le=100)] = Field(
        5, description="How many of its configurations."
    )


class Budget(StrictModel):
    """When a study is finished."""

    trials: Annotated[WholeNumber, Field(ge=1, le=1_000_000)] | None = Field(
        None,
        description="The study's total, over all resumes. Without trials, timeout, epochs and "
        "plateau: 50, or every configuration of a grid.",
    )
    timeout: Duration | None = Field(
        None,
        description="Wall time of one command (90s, 30m, 1h30m; a number counts seconds), after "
        "which no new trial starts; those under way are finished.",
    )
    epochs: Annotated[WholeNumber, Field(ge=1, le=1_000_000_000)] | None = Field(
        None,
        description="Epochs of all trials together, over all resumes, after which no new trial "
        "starts and no paused one continues; those under way are finished.",
    )
    target: Number | None = Field(
        None,
        description="A value of the objective. Once a complete trial reaches it, no new trial "
        "starts and no paused one continues; those under way are finished.",
    )
    plateau: Annotated[WholeNumber, Field(ge=1, le=1_000_000_000)] | None = Field(
        None,
        description="Epochs of ended and paused trials, over all resumes, in which the best "
        "value has not improved by more than its standard error; after them the study ends as "
        "after `epochs`.",
    )
    trial_time_limit: Duration | None = Field(
        None,
        description="Wall time of one trial, after which it fails and its worker is ended, even "
        "one that hangs.",
    )
    max_failures: Annotated[WholeNumber, Field(ge=0, le=1_000_000)] | None = Field(
        None, description="Failed trials that the study may have; one more stops the sweep."
    )
    audit: Annotated[WholeNumber, Field(ge=0, le=1_000_000)] = Field(
        0,
        description="Trials that run to their end although the pruner would have ended them, so "
        "that the report can say what pruning misses.",
    )

    @property
    def ends(self) -> bool:
        """Whether it ends a study without a number of trials. A target may never be reached."""
        return any(limit is not None for limit in (self.timeout, self.epochs, self.plateau))
