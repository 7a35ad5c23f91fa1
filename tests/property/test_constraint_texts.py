"""Any text is a constraint or is refused in one line; a constraint means what it does in Python."""

from __future__ import annotations

import math
import re

from effort import examples
from hypothesis import given
from hypothesis import strategies as st

from sweep.space.constraints import MAX_LENGTH, read_constraint

NAMES = {"a": 3, "b": 0.25, "num_layers": 7, "großes_ä": 1e6}
_WORDS = [*NAMES, "(", ")", "+", "-", "*", "/", "**", "<", "<=", "==", "!=", ">", "=", " ", "\n"]
_WORDS += ["1", "2.5", "1e6", ".5", "9e999", "'x'", '"', "and", "x.y", "1_0", "0x1", "\x00", "٣"]
TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(_WORDS), max_size=40).map("".join),
    st.builds(lambda word, count: word * count, st.sampled_from(_WORDS), st.integers(0, 20_000)),
)


@examples(200)
@given(TEXTS)
def test_any_text_is_read_or_refused(text):
    found, problem = None, ""
    try:
        found = read_constraint(text)
    except ValueError as error:
        problem = str(error)
    assert "\n" not in problem
    assert len(problem) < 300
    if found is not None:
        assert len(text) <= MAX_LENGTH
        assert found.is_met(dict.fromkeys(found.names, 3)) in (True, False)


NUMBERS = st.sampled_from(["0", "1", "2.5", "1e3", ".5", "3.", "1e300"])
SUMS = st.recursive(
    st.one_of(NUMBERS, st.sampled_from(list(NAMES))),
    lambda inner: st.one_of(
        st.builds("{} {} {}".format, inner, st.sampled_from("+-*/"), inner),
        inner.map("({})".format),
        inner.map("-{}".format),
    ),
    max_leaves=8,
)
COMPARISONS = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])


@examples(200)
@given(st.lists(st.tuples(COMPARISONS, SUMS), min_size=1, max_size=3), SUMS)
def test_a_constraint_means_what_python_means(rest, first):
    sides = [first, *(side for _, side in rest)]
    text = first + "".join(f" {sign} {side}" for sign, side in rest)
    # 3. is followed by an operator in a constraint, and 3.<4 is Python, too.
    assert re.fullmatch(r"[\w\s.+\-*/()<>=!]+", text)
    try:
        values = [eval(side, {}, dict(NAMES)) for side in sides]  # noqa: S307 - made up here
        expected = all(map(math.isfinite, values)) and eval(text, {}, dict(NAMES))  # noqa: S307
    except ArithmeticError:
        expected = False
    found = read_constraint(text).is_met(NAMES)
    # An overflow inside breaks a constraint though its result may be finite: 1 / (1e300 * 1e300).
    assert found == expected or ("1e300" in text and not found)
