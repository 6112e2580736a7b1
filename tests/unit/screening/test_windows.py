"""How a long text counts by the best of its windows."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screening.classifier.linear import required, settled, window_count, windows

COUNTS = st.integers(1, 5_000)
LOGITS = st.floats(-30, 30)


@given(LOGITS, COUNTS)
def test_what_a_window_needs_is_what_its_text_then_comes_to(needed: float, count: int) -> None:
    assert settled(required(needed, count), count) == pytest.approx(needed, abs=1e-9)


@given(LOGITS, LOGITS, COUNTS)
def test_a_likelier_window_never_makes_a_text_less_likely(one: float, other: float, count: int) -> None:
    low, high = sorted((one, other))
    assert settled(low, count) <= settled(high, count)


@given(LOGITS, COUNTS)
def test_more_text_around_it_never_makes_a_window_count_for_more(best: float, count: int) -> None:
    assert settled(best, count + 1) <= settled(best, count) <= best


def test_a_short_text_counts_as_it_is_and_nothing_is_asked_of_none() -> None:
    assert settled(0.3, 1) == required(0.3, 1) == 0.3
    assert required(-math.inf, 40) == -math.inf


@pytest.mark.parametrize("length", [0, 1, 250, 1250, 1251, 1499, 1500, 1501, 100_000])
def test_the_windows_of_a_text_leave_nothing_out(length: int) -> None:
    places = windows("x" * length)
    assert places[0][0] == 0
    assert places[-1][1] == length
    assert all(start < end_before for (_, end_before), (start, _) in pairwise(places))
    assert len(places) == (1 if length <= 1250 else window_count(length))
