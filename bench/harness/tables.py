"""From raw times to rates, ratios and text. Pure functions: nothing is started or read here."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.racing import Result

USUAL = ("usual-loop",)
LIBRARIES = ("scikit-learn", "keras")
PRODUCTS = ("matrix-products",)

_HEADER = (
    "contestant",
    "precision",
    "P x T x K",
    "median",
    "min to max",
    "x usual loop",
    "x sklearn/Keras",
    "of products",
)


@dataclass(frozen=True, slots=True)
class Rate:
    """Trial-epochs per second over the repeats."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Row:
    """One contestant's line.

    Attributes:
        rate: None if it could not be measured.
        times_usual: Median rate over that of the faster usual loop.
        times_libraries: The same over the fastest of scikit-learn and Keras.
        share_of_products: The same over the fastest bare products of its precision.
    """

    result: Result
    rate: Rate | None
    times_usual: float | None
    times_libraries: float | None
    share_of_products: float | None


def rate(result: Result) -> Rate | None:
    """The rate of a contestant, or None if it failed or never ran."""
    if result.error is not None or not result.measurements:
        return None
    rates = [measured.trial_epochs / measured.seconds for measured in result.measurements]
    return Rate(statistics.median(rates), min(rates), max(rates))


def rows(results: Sequence[Result]) -> list[Row]:
    """One line for each contestant of one width."""
    found = []
    for result in results:
        own = rate(result)
        precision = result.contestant.settings.precision

        def ratio(kinds: Sequence[str], precision: str | None = None, own: Rate | None = own):
            best = fastest(results, kinds, precision)
            return None if own is None or best is None else own.median / best

        found.append(Row(result, own, ratio(USUAL), ratio(LIBRARIES), ratio(PRODUCTS, precision)))
    return found


def fastest(
    results: Sequence[Result], kinds: Sequence[str], precision: str | None = None
) -> float | None:
    """The highest median rate among these kinds of contestants, or None if there is none.

    Args:
        results: Of one width.
        kinds: Kinds that count.
        precision: The precision that counts; any if None.
    """
    medians = [
        known.median
        for result in results
        if result.contestant.kind in kinds
        and precision in (None, result.contestant.settings.precision)
        and (known := rate(result)) is not None
    ]
    return max(medians, default=None)


def text(table: Sequence[Row]) -> str:
    """The table of one width, for a terminal."""
    cells = [_HEADER, *(_cells(row) for row in table)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADER))]
    lines = []
    for line in cells:
        first = line[0].ljust(widths[0])
        rest = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
        lines.append("  ".join([first, *rest]).rstrip())
    return "\n".join([*lines, *_notes(table)])


def to_json(table: Sequence[Row]) -> list[dict[str, Any]]:
    """Everything that is known of one width, raw times included."""
    return [
        {
            "kind": row.result.contestant.kind,
            "name": row.result.contestant.name,
            "module": row.result.contestant.module,
            "processes": row.result.contestant.processes,
            "threads": row.result.contestant.settings.threads,
            "lanes": row.result.contestant.settings.lanes,
            "precision": row.result.contestant.settings.precision,
            "engine": row.result.contestant.settings.engine,
            "loader_processes": row.result.contestant.settings.loader_processes,
            "note": row.result.note,
            "error": row.result.error,
            "trial_epochs_per_second": asdict(row.rate) if row.rate else None,
            "times_usual_loop": row.times_usual,
            "times_scikit_learn_or_keras": row.times_libraries,
            "share_of_matrix_products": row.share_of_products,
            "measurements": [asdict(measured) for measured in row.result.measurements],
        }
        for row in table
    ]


def _cells(row: Row) -> tuple[str, ...]:
    contestant = row.result.contestant
    known = row.rate
    rates = ("–", "–") if known is None else (_short(known.median), _span(known))
    return (
        contestant.name,
        contestant.settings.precision,
        contestant.layout,
        *rates,
        _optional(row.times_usual, lambda ratio: f"{ratio:.2f}"),
        _optional(row.times_libraries, lambda ratio: f"{ratio:.2f}"),
        _optional(row.share_of_products, lambda share: f"{share:.1%}"),
    )


def _optional(value: float | None, show: Callable[[float], str]) -> str:
    return "–" if value is None else show(value)


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _span(known: Rate) -> str:
    return f"{_short(known.low)} to {_short(known.high)}"


def _notes(table: Sequence[Row]) -> list[str]:
    """Each error and each note once, after the names that it is about."""
    names: dict[str, list[str]] = {}
    for row in table:
        for note in (row.result.error, row.result.note):
            if note:
                names.setdefault(note, []).append(row.result.contestant.name)
    return [f"{'; '.join(dict.fromkeys(who))}: {note}" for note, who in names.items()]
