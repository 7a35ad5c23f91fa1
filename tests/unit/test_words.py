"""Times, numbers and stores, as the terminal and the page name them."""

from __future__ import annotations

import pytest

from sweep.words import (
    DEFAULT_STORAGE,
    difference_words,
    duration,
    number_words,
    storage_words,
    tie_words,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0.0 s"), (4.21, "4.2 s"), (12.4, "12 s"), (59.4, "59 s"), (59.6, "1 min 0 s"),
        (185, "3 min 5 s"), (3599.7, "1 h 0 min"), (7860, "2 h 11 min"),
    ],
)  # fmt: skip
def test_times(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.00123456, "0.001235"),
        (1e-06, "1e-06"),
        (0.5, "0.5"),
        (123456, "123456"),
        ("relu",) * 2,
        (0.99999, "0.99999"),
        (0.999951234, "0.99995"),
        (1.0, "1"),
        (1.00001, "1.00001"),
    ],
)
def test_values(value: float | str, words: str) -> None:
    assert number_words(value) == words


def test_a_difference_of_nothing_has_no_minus():
    assert difference_words("validation_loss", -1e-5) == "+0.0000"
    assert difference_words("validation_accuracy", -1e-5) == "+0.00 points"
    assert difference_words("validation_accuracy", -1e-3) == "−0.10 points"


def test_a_store_is_named_where_a_command_would_not_find_it() -> None:
    assert storage_words(DEFAULT_STORAGE) == ""
    assert storage_words("sqlite:///a b.db") == " --storage 'sqlite:///a b.db'"


@pytest.mark.parametrize(
    ("tied", "others", "words"),
    [
        (4, 4, "none of the other 4 trials can"),
        (3, 4, "3 of the other 4 trials cannot"),
        (0, 4, "each of the other 4 trials can"),
        (1, 1, "the other trial cannot"),
        (0, 1, "the other trial can"),
    ],
)
def test_ties_among_others(tied: int, others: int, words: str) -> None:
    assert tie_words(tied, others, "trial") == words
