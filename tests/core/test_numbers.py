"""Numbers beyond a double: found wherever they are, and nothing else is."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core.numbers import DIGITS, MAX_PLACE, beyond, may_be_beyond, told

LARGEST = 2**1024 - 2**970 - 1
"""The largest integer that a double is near."""
values: st.SearchStrategy[Any] = st.recursive(
    st.integers(-(10**320), 10**320) | st.text(max_size=3) | st.just("1" * 400) | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_what_is_beyond_is_what_a_browser_reads_as_infinity(value: Any) -> None:
    read = json.loads(json.dumps(value), parse_int=float)
    infinite = "Infinity" in json.dumps(read)
    assert (beyond(value) is not None) == infinite
    assert may_be_beyond(json.dumps(value)) or not infinite
    assert may_be_beyond(json.dumps(value).encode()) or not infinite


@given(st.integers(0, 1_000), st.integers(DIGITS, 700), st.integers(0, 1_000))
def test_a_long_row_of_digits_is_noticed_wherever_it_is(before: int, digits: int, after: int) -> None:
    assert may_be_beyond("x" * before + "7" * digits + "x" * after)


def test_ordinary_text_is_not_suspected() -> None:
    assert not may_be_beyond(json.dumps([list(range(1_000)), "x" * 1_000, 1.5, 2**64, LARGEST // 10**200]))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_range_ends_where_that_of_a_double_does(sign: int) -> None:
    assert beyond([sign * LARGEST]) is None
    assert beyond([sign * (LARGEST + 1)]) == "[0]"
    assert beyond({"a": [1.5, {"b c": math.inf}]}) == "a[1].…"
    assert beyond({"events": [{}, {"data": {"n": 10**400}}]}) == "events[1].data.n"


def test_a_place_is_told_in_short() -> None:
    assert told("a.b") == "a.b"
    assert len(told("a" * 1_000)) <= MAX_PLACE
