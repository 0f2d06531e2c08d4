"""What a part of a load test counted; parts of several processes are added up."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field

from tasktree_rt.load.histogram import Histogram

CONNECT: Final = "connect"
DELIVERY: Final = "delivery"
CAUGHT_UP: Final = "caught_up"
SLOW: Final = "slow"
ACK: Final = "ack"
LATENCIES: Final = {
    CONNECT: "from the moment a connection was due until its subscription was in effect",
    ACK: "from the moment a publish was due until the server acknowledged it",
    DELIVERY: "from the moment an event was due until a watcher that reads at full speed had it",
    CAUGHT_UP: "the same, of events published before the watcher (re)connected",
    SLOW: "the same, for slow readers",
}
"""The histograms of a run, and what each measures."""
MOST_EXAMPLES: Final = 20


def now_us() -> int:
    """Return the monotonic clock in µs; all processes of a machine share it."""
    return time.monotonic_ns() // 1_000


@define
class Tally:
    """Counts and latencies.

    Attributes:
        faults: by `account.FAULTS`.
        counts: deliveries, merged messages, connections, …
        errors: connections that failed or ended, by kind.
        examples: the first faults, in words.
    """

    faults: Counter[str] = field(factory=Counter)
    counts: Counter[str] = field(factory=Counter)
    errors: Counter[str] = field(factory=Counter)
    latencies: dict[str, Histogram] = field(factory=lambda: {name: Histogram() for name in LATENCIES})
    examples: list[str] = field(factory=list)

    def example(self, text: str) -> None:
        """Keep a fault in words, if there are not too many yet."""
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(text)

    def add(self, other: Tally) -> None:
        """Add everything of `other`."""
        self.faults.update(other.faults)
        self.counts.update(other.counts)
        self.errors.update(other.errors)
        for name, histogram in other.latencies.items():
            self.latencies[name].add(histogram)
        self.examples = (self.examples + other.examples)[:MOST_EXAMPLES]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON; `read` reverses this."""
        return {
            "faults": dict(self.faults),
            "counts": dict(self.counts),
            "errors": dict(self.errors),
            "latencies": {name: one.to_json() for name, one in self.latencies.items()},
            "examples": self.examples,
        }

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Tally:
        """Make one of what `to_json` returned.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        latencies = {name: Histogram.read(one) for name, one in data["latencies"].items()}
        return cls(
            Counter(data["faults"]),
            Counter(data["counts"]),
            Counter(data["errors"]),
            {name: latencies.get(name, Histogram()) for name in LATENCIES},
            list(data["examples"]),
        )
