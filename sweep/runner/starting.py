"""The configurations that a new study tries first, after those that its space enqueues."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.definitions import Params
from sweep.errors import InputError, StoreError
from sweep.records import StartingPoint
from sweep.space import (
    MOST_TRIED,
    SearchSpace,
    WarmStart,
    allowed_configurations,
    can_be_completed,
    fitted,
    portfolio,
)
from sweep.store import Store

__all__ = ["starting_points"]


def starting_points(space: SearchSpace, store: Store) -> list[StartingPoint]:
    """What a new study of this space in this store starts from.

    The space knows the form of its data (see `SearchSpace.on_data`).

    Raises:
        InputError: the study of a warm start is not there, or has nothing to offer.
    """
    points = [] if space.warm_start is None else _warm(space, space.warm_start, store)
    if space.prior:
        points.append(StartingPoint(space.prior, "the priors"))
    return [*points, *_portfolio(space, [*space.enqueue, *(point.params for point in points)])]


def _portfolio(space: SearchSpace, given: Sequence[Params]) -> list[StartingPoint]:
    """The portfolio, as far as the space has it and it is not given already.

    With what is given, it takes half of the trials at the most: the others search.
    """
    if not space.uses_portfolio:
        return []
    found = allowed_configurations(space, portfolio(space.model))
    new = [params for params in found if params not in given][:MOST_TRIED]
    points = [StartingPoint(params, "the portfolio") for params in new]
    trials = space.expected_trials
    return points if trials is None else points[: max(0, trials // 2 - len(given))]


def _warm(space: SearchSpace, spec: WarmStart, store: Store) -> list[StartingPoint]:
    """The best configurations of another study, brought into the space, each once."""
    other = store if spec.storage is None else Store(spec.storage, to_write=False)
    try:
        ranked = other.read_study(spec.study).ranked()
    except StoreError as error:
        raise StoreError(f"warm_start: {error}") from None
    where = f"warm_start: study {spec.study!r}"
    if not ranked:
        raise InputError(f"{where} has no complete trial yet: finish it first")
    points: dict[tuple[tuple[str, object], ...], StartingPoint] = {}
    for trial in ranked:
        params = fitted(space, trial.params)
        origin = f"trial {trial.number} of study {spec.study!r}"
        points.setdefault(tuple(params.items()), StartingPoint(params, origin))
    found = [point for point in points.values() if point.params]
    if not found:
        raise InputError(f"{where} has no hyperparameter in common with what is searched here")
    fitting = [point for point in found if can_be_completed(space, point.params)]
    if not fitting:
        raise InputError(f"{where} has no configuration that meets the constraints")
    return fitting[: spec.trials]
