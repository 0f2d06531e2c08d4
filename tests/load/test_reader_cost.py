"""The price of reconciling every delivery."""

from __future__ import annotations

from tests.load.reader_cost import measure


def test_a_delivery_costs_at_most_half_more_than_a_bare_read() -> None:
    _, _, ratio = measure(300, 60)
    assert ratio <= 1.5
