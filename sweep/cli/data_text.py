"""What `check` says of the data, as text for people."""

from __future__ import annotations

from sweep.data import DataOverview
from sweep.words import counted, data_words, percent

__all__ = ["data_lines"]

_ALL = 12  # classes: the shares of more are not all shown
_SOME = 3
_WORST = 5


def data_lines(data: DataOverview) -> list[str]:
    """Form and size of the data, their classes, and what may be wrong with them."""
    spec = data.spec
    lines = [
        f"data: {data_words(spec, data.num_columns)}; {data.num_train:,} for training, "
        f"{data.num_validation:,} for validation, {spec.num_test:,} sealed for the test"
    ]
    if not data.is_here:
        lines += [
            f"classes: {spec.num_classes:,}",
            f"note: it is not in {data.settings.path!r} yet: `sweep run` downloads it",
        ]
        return lines
    lines += [*_class_lines(data), *_missing_lines(data)]
    lines += [f"warning: {warning}" for warning in _warnings(data)]
    return lines + [f"note: {note}" for note in data.notes]


def _class_lines(data: DataOverview) -> list[str]:
    """The classes with their shares of the training pool, or the extremes of many."""
    names, counts = data.spec.class_names, data.class_counts
    order = sorted(range(len(names)), key=lambda label: -counts[label])
    total = sum(counts)

    def shares(labels: list[int]) -> str:
        return ", ".join(
            f"{_name(names[each])} {percent(counts[each] / total, 1)}" for each in labels
        )

    if len(names) <= _ALL:
        found = shares(order)
    else:
        found = f"most: {shares(order[:_SOME])}; least: {shares(order[-_SOME:])}"
    return [
        f"classes: {len(names):,}; {found}",
        f"baseline: always saying {_name(names[order[0]])} gets "
        f"{percent(counts[order[0]] / total, 1)} of the training pool right",
    ]


def _missing_lines(data: DataOverview) -> list[str]:
    if not data.missing:
        return [] if data.num_columns is None else ["missing values: none"]
    total = sum(data.class_counts)
    worst = ", ".join(
        f"{_name(each.column)} {_share(each.count, total)}" for each in data.missing[:_WORST]
    )
    more = len(data.missing) - _WORST
    rest = f", and {counted(more, 'other column')}" if more > 0 else ""
    return [f"missing values: {worst}{rest}"]


def _share(count: int, total: int) -> str:
    return percent(count / total, 1) if count / total >= 0.0005 else "< 0.1%"


def _warnings(data: DataOverview) -> list[str]:
    identifiers = [column for column in data.identifiers if column not in data.unused]
    warnings = [
        f"every row has its own value of {_name(column)}, or nearly every one: if it identifies "
        "rows, leave it out, for it tells nothing about new ones"
        for column in identifiers[:_WORST]
    ]
    more = len(identifiers) - _WORST
    if more > 0:
        warnings.append(f"so it is with {counted(more, 'other column')}")
    if data.num_in_training:
        share = _share(data.num_in_training, data.spec.num_test)
        of = f"{data.num_in_training:,} of {data.spec.num_test:,} test examples ({share})"
        verb = "stands" if data.num_in_training == 1 else "stand"
        warnings.append(
            f"{of} also {verb} in the training pool: a test result may be too good by what a "
            "network remembers of them"
        )
    return warnings


def _name(text: str) -> str:
    """A class or a column in one line."""
    return repr(text if len(text) <= 40 else f"{text[:39]}…")
