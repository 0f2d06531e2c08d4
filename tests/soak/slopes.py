"""Whether a figure grows: its slope by Theil and Sen, with Sen's confidence interval."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import median
from typing import Final

from attrs import frozen

CONFIDENCE: Final = 1.96
"""Standard deviations of an interval that has the true slope in 95 of 100 cases."""


@frozen
class Slope:
    """Per second: the estimate, and the bounds of its 95 % interval."""

    estimate: float
    low: float
    high: float


def slope(points: Sequence[tuple[float, float]]) -> Slope:
    """The median of the slopes of all pairs: single outliers move it little. Needs three points."""
    pairs = sorted(
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for at, earlier in enumerate(points)
        for later in points[at + 1 :]
        if later[0] != earlier[0]
    )
    count = len(points)
    spread = CONFIDENCE * sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(0, int((len(pairs) - spread) / 2))
    high = min(len(pairs) - 1, int((len(pairs) + spread) / 2) + 1)
    return Slope(median(pairs), pairs[low], pairs[high])


@frozen
class Verdict:
    """What became of one figure. `growth`: with confidence at least that much over the window."""

    name: str
    unit: str
    middle: float
    slope: Slope
    growth: float
    allowed: float

    @property
    def flat(self) -> bool:
        return self.growth <= self.allowed

    def __str__(self) -> str:
        an_hour = [one * 3600 for one in (self.slope.estimate, self.slope.low, self.slope.high)]
        shown = "{:+,.2f} ({:+,.2f} … {:+,.2f})".format(*an_hour)
        verdict = "flat" if self.flat else "GROWS"
        return f"{self.name:12} {self.middle:10,.1f} {self.unit:6} {shown} an hour: {verdict}"


def judge(name: str, unit: str, points: Sequence[tuple[float, float]], least: float) -> Verdict:
    """Judge a figure: flat if it grew by no more than a tenth or `least`, as far as the interval says."""
    found, middle = slope(points), median(value for _, value in points)
    window = points[-1][0] - points[0][0]
    return Verdict(name, unit, middle, found, max(0.0, found.low) * window, max(middle / 10, least))
