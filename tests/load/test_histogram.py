"""Latencies as an HDR histogram."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.load.histogram import LONGEST, Histogram

VALUES = st.lists(st.integers(0, LONGEST), min_size=1, max_size=60)


def of(values: list[int]) -> Histogram:
    found = Histogram()
    for value in values:
        found.record(value)
    return found


@given(VALUES, st.floats(0.1, 100))
def test_a_percentile_is_the_exact_one_to_within_a_thousandth(values: list[int], share: float) -> None:
    exact = sorted(values)[max(1, math.ceil(len(values) * share / 100)) - 1]
    found = of(values).percentile(share)
    assert exact <= found <= max(exact * 1.001, exact)


@given(VALUES, VALUES)
def test_two_histograms_add_up_to_that_of_all_values(first: list[int], second: list[int]) -> None:
    both = of(first)
    both.add(of(second))
    assert both.to_json() == of(first + second).to_json()


@given(VALUES)
def test_a_histogram_survives_json(values: list[int]) -> None:
    written = of(values).to_json()
    assert Histogram.read(written).to_json() == written


def test_an_empty_histogram_has_zeros() -> None:
    empty = Histogram()
    assert (empty.percentile(99), empty.mean, empty.max, empty.count) == (0, 0.0, 0, 0)


def test_a_value_before_its_time_counts_as_none() -> None:
    assert of([-5]).percentile(50) == 0


def test_json_that_is_no_histogram_is_refused() -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Histogram.read({"buckets": [["x", 1]], "total_us": 0, "max_us": 0})
