"""Latencies as an HDR histogram: every value kept to within 0.1 %, in a few hundred counters.

The package `hdrhistogram` on PyPI is a C extension; three functions of integer arithmetic do not warrant a
compiler on the machine of the user. The layout is the usual one (Gil Tene's HdrHistogram): values below 2,048
exactly, above that 1,024 steps for each power of two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

_EXACT: Final = 2_048
_STEPS: Final = 1_024
_BITS: Final = 11
LONGEST: Final = 1 << 42
"""Largest value in microseconds, some 50 days; a larger one counts as this."""


class Histogram:
    """Counts of values in microseconds."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.count = 0
        self.total = 0
        self.max = 0

    def record(self, value: int, times: int = 1) -> None:
        """Count `value` (µs) `times` times; a negative one counts as 0."""
        value = min(max(value, 0), LONGEST)
        if value < _EXACT:
            at = value
        else:
            shift = value.bit_length() - _BITS
            at = shift * _STEPS + (value >> shift)
        counts = self.counts
        counts[at] = counts.get(at, 0) + times
        self.count += times
        self.total += value * times
        self.max = max(self.max, value)

    @property
    def mean(self) -> float:
        """The mean in µs; 0 if there is no value."""
        return self.total / self.count if self.count else 0.0

    def percentile(self, share: float) -> int:
        """Return the least value (µs) that `share` percent of all do not exceed; 0 if there is none."""
        wanted = max(1, -(-self.count * share // 100))
        seen = 0
        for at in sorted(self.counts):
            seen += self.counts[at]
            if seen >= wanted:
                return min(_highest(at), self.max)
        return self.max

    def add(self, other: Histogram) -> None:
        """Count all values of `other` here too."""
        for at, times in other.counts.items():
            self.counts[at] = self.counts.get(at, 0) + times
        self.count += other.count
        self.total += other.total
        self.max = max(self.max, other.max)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON; `read` reverses this. ``buckets``: [highest value of the step in µs, count]."""
        return {
            "count": self.count,
            "total_us": self.total,
            "max_us": self.max,
            "buckets": [[_highest(at), self.counts[at]] for at in sorted(self.counts)],
        }

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Histogram:
        """Make one of what `to_json` returned.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        found = cls()
        buckets: Iterable[tuple[int, int]] = data["buckets"]
        for value, times in buckets:
            found.record(int(value), int(times))
        found.total, found.max = int(data["total_us"]), int(data["max_us"])
        return found


def _highest(at: int) -> int:
    """Return the highest value of a step."""
    if at < _EXACT:
        return at
    shift = at // _STEPS - 1
    return ((at - shift * _STEPS + 1) << shift) - 1
