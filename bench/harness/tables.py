"""Rates, ratios and text from raw times. Pure functions: nothing is started or read here."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.racing import Result

USUAL = ("usual-loop",)
LIBRARIES = ("scikit-learn", "keras")
PRODUCTS = ("matrix-products",)
TRAFFIC = ("optimizer-bytes",)
BY_HAND = ("this-project",)

_HEADER = (
    "contestant",
    "precision",
    "P x T x K",
    "median",
    "min to max",
    "x usual loop",
    "x sklearn/Keras",
    "of ceiling",
    "of by hand",
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
        result: What was measured.
        rate: None if it could not be measured.
        times_usual: Its median rate divided by that of the faster usual loop.
        times_libraries: The same for the faster of scikit-learn and Keras in one process.
        share_of_ceiling: The same for what products and memory allow, see `ceiling`.
        share_of_best: The same for the fastest precision and number of lanes set by hand.
    """

    result: Result
    rate: Rate | None
    times_usual: float | None
    times_libraries: float | None
    share_of_ceiling: float | None
    share_of_best: float | None


def rate(result: Result) -> Rate | None:
    """A contestant's rate, or None if it failed or never ran."""
    if result.error is not None or not result.measurements:
        return None
    rates = [measured.trial_epochs / measured.seconds for measured in result.measurements]
    return Rate(statistics.median(rates), min(rates), max(rates))


def rows(results: Sequence[Result]) -> list[Row]:
    """One line for each contestant of one width."""
    alone = [result for result in results if result.contestant.processes == 1]
    standards = (
        fastest(results, USUAL),
        fastest(alone, LIBRARIES),
        ceiling(results),
        fastest(results, BY_HAND),
    )
    found = []
    for result in results:
        own = rate(result)
        ratios = [
            None if own is None or standard is None else own.median / standard
            for standard in standards
        ]
        found.append(Row(result, own, *ratios))
    return found


def ceiling(results: Sequence[Result]) -> float | None:
    """Trial-epochs per second if a step were its bare products, then the optimiser's bytes.

    The products are those of the fastest precision and number of lanes; the bytes move as fast as
    memory, not a cache, delivers them.
    """
    products, traffic = fastest(results, PRODUCTS), fastest(results, TRAFFIC)
    return None if products is None or traffic is None else 1 / (1 / products + 1 / traffic)


def fastest(results: Sequence[Result], kinds: Sequence[str]) -> float | None:
    """The highest median rate of these kinds; None without one."""
    medians = [
        known.median
        for result in results
        if result.contestant.kind in kinds and (known := rate(result)) is not None
    ]
    return max(medians, default=None)


def text(table: Sequence[Row]) -> str:
    """The table of one width, for a terminal."""
    cells = [_HEADER, *map(_cells, table)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADER))]
    lines = []
    for line in cells:
        first = line[0].ljust(widths[0])
        rest = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
        lines.append("  ".join([first, *rest]).rstrip())
    return "\n".join([*lines, *_notes(table)])


def to_json(table: Sequence[Row]) -> list[dict[str, Any]]:
    """Everything known about one width, raw times included."""
    return [asdict(row) for row in table]


def _cells(row: Row) -> tuple[str, ...]:
    contestant = row.result.contestant
    known = row.rate
    return (
        contestant.name,
        contestant.settings.precision,
        contestant.layout,
        _short(known.median) if known else "–",
        f"{_short(known.low)} to {_short(known.high)}" if known else "–",
        "–" if row.times_usual is None else f"{row.times_usual:.2f}",
        "–" if row.times_libraries is None else f"{row.times_libraries:.2f}",
        "–" if row.share_of_ceiling is None else f"{row.share_of_ceiling:.1%}",
        "–" if row.share_of_best is None else f"{row.share_of_best:.1%}",
    )


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _notes(table: Sequence[Row]) -> list[str]:
    """Each error and note once, after the names of its contestants."""
    names: dict[str, list[str]] = {}
    for row in table:
        for note in (row.result.error, row.result.note):
            if note:
                names.setdefault(note, []).append(row.result.contestant.name)
    return [f"{'; '.join(dict.fromkeys(who))}: {note}" for note, who in names.items()]
