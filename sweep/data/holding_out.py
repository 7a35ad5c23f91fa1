"""Which examples are held out: all classes in proportion, and groups kept whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sweep.errors import DataError
from sweep.records import DataSettings
from sweep.words import counted

__all__ = ["hold_out", "hold_out_test", "size_note", "size_of"]


def size_of(amount: int | float | None, total: int, *, default: int, what: str) -> int:
    """How many of `total` examples to hold out: a number, a share below 1, or the default.

    Raises `DataError` if that takes none or leaves none; `what` is the key of the search space.
    """
    size = default if amount is None else int(amount) if amount >= 1 else round(amount * total)
    if size >= total:
        raise DataError(
            f"dataset.{what} must be below {total:,}, the number of examples; found {size:,}"
        )
    if size < 1 and amount is None:
        raise DataError(f"{total:,} examples are too few to hold some out for {what}; add some")
    if size < 1:
        raise DataError(f"dataset.{what} takes none of {total:,} examples; ask for more")
    return size


def hold_out_test(
    settings: DataSettings,
    labels: NDArray[np.int64],
    class_names: Sequence[str],
    groups: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Choose the test part of own data that come without one: a fifth, unless they say otherwise.

    Returns:
        Whether each example is in it, shape (N,), and what is to be said about its size.

    Raises:
        DataError: a class would have no example on one side.
    """
    total = len(labels)
    size = size_of(settings.test, total, default=total // 5, what="test")
    chosen = hold_out(
        labels, size, settings.split_seed, class_names=class_names, what="test", groups=groups
    )
    return chosen, size_note(settings.test, size, chosen, what="test", groups=groups)


def size_note(
    amount: float | None,
    size: int,
    chosen: NDArray[np.bool_],
    *,
    what: str,
    groups: NDArray[np.int64] | None,
) -> tuple[str, ...]:
    """A sentence if an amount was asked for and another size came of it; else nothing."""
    found = int(chosen.sum())
    if amount is None or found == size:
        return ()
    reason = "each class needs one" + ("" if groups is None else ", and groups stay whole")
    return (f"The {what} split has {counted(found, 'example')} in place of {size:,}: {reason}.",)


def hold_out(
    labels: NDArray[np.int64],
    size: int,
    seed: int,
    *,
    class_names: Sequence[str],
    what: str,
    groups: NDArray[np.int64] | None = None,
) -> NDArray[np.bool_]:
    """Choose about `size` of N examples at random, each class in proportion.

    Without groups the number is exact, unless a class has too few examples for its share: at least
    one of each class is held out, and one is left.

    Args:
        labels: Shape (N,), from 0 to the number of classes - 1.
        size: How many to hold out.
        seed: Equal seeds choose equally.
        class_names: In the order of the labels.
        what: The split that is held out, for messages.
        groups: Shape (N,); examples of one number stay together.

    Returns:
        Whether each example is held out, shape (N,).

    Raises:
        DataError: a class would have no example on one side.
    """
    generator = np.random.default_rng(seed)
    counts = np.bincount(labels, minlength=len(class_names))
    for name, count in zip(class_names, counts.tolist(), strict=True):
        if count < 2:
            raise DataError(
                f"class {name!r} has {count} example{'' if count == 1 else 's'} for training and "
                f"the {what} split together, and each split needs one of every class; add examples "
                "or leave the class out"
            )
    targets = _in_proportion(counts, size)
    if groups is None:
        chosen = _first_of_each_class(labels, counts, targets, generator)
    else:
        chosen = _whole_groups(labels, groups, targets, generator)
        held = np.bincount(labels[chosen], minlength=len(counts))
        for name, inside, count in zip(class_names, held.tolist(), counts.tolist(), strict=True):
            if inside in (0, count):
                where = f"outside the {what} split" if inside else f"in the {what} split"
                raise DataError(
                    f"no example of class {name!r} would be {where}: its groups cannot be divided; "
                    "choose another split_seed, another size, or leave the class out"
                )
    return chosen


def _in_proportion(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """How many of each class: the largest remainders are rounded up."""
    exact = counts * (size / counts.sum())
    targets = np.floor(exact).astype(np.int64)
    by_remainder = np.argsort(targets - exact, kind="stable")
    targets[by_remainder[: size - int(targets.sum())]] += 1
    clipped: NDArray[np.int64] = np.clip(targets, 1, counts - 1)
    return clipped


def _first_of_each_class(
    labels: NDArray[np.int64],
    counts: NDArray[np.int64],
    targets: NDArray[np.int64],
    generator: np.random.Generator,
) -> NDArray[np.bool_]:
    order = generator.permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    starts = np.cumsum(counts) - counts
    rank = np.arange(len(labels)) - starts[labels[by_class]]
    chosen = np.zeros(len(labels), bool)
    chosen[by_class[rank < targets[labels[by_class]]]] = True
    return chosen


def _whole_groups(
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    targets: NDArray[np.int64],
    generator: np.random.Generator,
) -> NDArray[np.bool_]:
    """Groups in random order, the largest first, each taken if that comes closer to the targets."""
    num_groups = int(groups.max()) + 1
    sizes = np.bincount(groups, minlength=num_groups)
    shuffled = generator.permutation(num_groups)
    order = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    members = np.argsort(groups, kind="stable")
    starts = np.cumsum(sizes) - sizes
    missing = targets.astype(np.float64)
    chosen = np.zeros(len(labels), bool)
    for group in order:
        rows = members[starts[group] : starts[group] + sizes[group]]
        found = np.bincount(labels[rows], minlength=len(targets))
        if ((missing - found) ** 2).sum() < (missing**2).sum():
            missing -= found
            chosen[rows] = True
    return chosen
