"""The front: how much value smaller networks cost, by the trials that were run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sweep.records import pareto_front, size_front
from sweep.reporting.candidates import Candidate
from sweep.reporting.reported import Reported
from sweep.reporting.series import Costs, FrontCurves, front_curves, trial_costs
from sweep.reporting.statistics import (
    Comparison,
    Interval,
    Mean,
    PairedTest,
    validation_intervals,
)
from sweep.reporting.tables import TrialRow, trial_row

__all__ = ["Front", "FrontRow", "front"]


@dataclass(frozen=True, slots=True)
class FrontRow:
    """A trial that no other beats or equals in value with no more parameters.

    Attributes:
        interval: Of its value, 95% (see `validation_intervals`).
        flops: Floating-point operations of the matrix products of one training example, forward and
            backward; None where they are not known, as for an own network.
        tied_with_best: Whether the paired tests of the leaderboard cannot tell it from the search's
            best; None for that trial, and where the predictions are not recorded.
        candidate: What the confirmation found, if the trial is in it.
    """

    trial: TrialRow
    interval: Interval | None
    flops: float | None
    tied_with_best: bool | None
    candidate: Candidate | None

    @property
    def fresh_seeds(self) -> Mean | None:
        """The mean of its runs on fresh seeds."""
        return self.candidate.mean if self.candidate else None


@dataclass(frozen=True, slots=True)
class Front:
    """The front against the number of parameters, best first, and what it says.

    Attributes:
        best: What smaller trials are weighed against: the winner on fresh seeds if the front was
            confirmed (`on_fresh_seeds`), otherwise the search's best.
        tied: The smallest trial of the front that has fewer parameters than `best` and that the
            data cannot tell from it.
        num_smaller: How many trials of the front have fewer parameters than `best`; on fresh seeds,
            of those that were trained again.
        num_worse: How many of these the data can tell from `best`.
        curves: All trials by each cost; None if there is nothing to draw.
    """

    rows: tuple[FrontRow, ...]
    best: TrialRow
    on_fresh_seeds: bool
    tied: FrontRow | None
    num_smaller: int
    num_worse: int
    curves: FrontCurves | None


def front(study: Reported, comparisons: Mapping[int, Comparison[PairedTest]]) -> Front | None:
    """The front of a study, whose trials were compared with its best (see `compare_with_best`).

    None while no trial is COMPLETE with a value.

    Raises:
        ContradictionError: the records contradict each other.
    """
    record, space, confirmation = study.record, study.space, study.confirmation
    if record.best is None or study.chosen is None or not size_front(record):
        return None
    costs = trial_costs(record, space)
    fronts = [size_front(record), *(pareto_front(record, own) for own in costs.values())]
    on_any = {trial.number: trial for found in fronts for trial in found}
    intervals = validation_intervals(record, [*on_any.values()])
    rows = _rows(study, comparisons, costs, intervals)
    on_fresh_seeds = confirmation is not None and confirmation.front and study.is_confirmed
    best = trial_row(record, space, study.chosen if on_fresh_seeds else record.best)
    smaller = [row for row in rows if (row.trial.num_parameters or 0) < (best.num_parameters or 0)]
    if on_fresh_seeds:
        verdicts = [(row, row.candidate.tied) for row in smaller if row.candidate]
    else:
        verdicts = [(row, row.tied_with_best) for row in smaller]
    return Front(
        rows=rows,
        best=best,
        on_fresh_seeds=on_fresh_seeds,
        tied=next((row for row, tied in reversed(verdicts) if tied), None),
        num_smaller=len(verdicts),
        num_worse=sum(tied is False for _, tied in verdicts),
        curves=front_curves(record, costs, intervals, study.chosen.number),
    )


def _rows(
    study: Reported,
    comparisons: Mapping[int, Comparison[PairedTest]],
    costs: Costs,
    intervals: Mapping[int, Interval],
) -> tuple[FrontRow, ...]:
    candidates = study.confirmation.candidates if study.confirmation else ()
    confirmed = {candidate.trial: candidate for candidate in candidates}
    rows = []
    for trial in size_front(study.record):
        number, compared = trial.number, comparisons.get(trial.number)
        rows.append(
            FrontRow(
                trial=trial_row(study.record, study.space, trial),
                interval=intervals.get(number),
                flops=costs["flops"].get(number),
                tied_with_best=compared.tied if compared else None,
                candidate=confirmed.get(number),
            )
        )
    return tuple(rows)
