"""The generator watches itself: how late its own event loop is, and how much of a core it uses."""

from __future__ import annotations

import time
from typing import Any, Final

import trio
from attrs import define, field

from tasktree_rt.load.histogram import Histogram
from tasktree_rt.load.tally import now_us

INTERVAL: Final = 0.02
LATE: Final = 20_000
"""µs that the loop (at the 99th percentile) may be late before its figures are in doubt."""
BUSY: Final = 0.9
"""Share of a core above which the generator is the bottleneck."""
BUSY_SECONDS: Final = 0.25
"""Share of the seconds of a run that may be busier than that."""


@define
class SelfWatch:
    """Run `run` in a task of its own while the test goes on.

    Attributes:
        lag: how late the event loop woke this task (µs).
        lateness: how late events were sent (µs).
        busy: CPU used in each second, as a share of a core.
    """

    lag: Histogram = field(factory=Histogram)
    lateness: Histogram = field(factory=Histogram)
    busy: list[float] = field(factory=list)

    async def run(self) -> None:
        """Measure, for ever."""
        wall, cpu = time.monotonic(), time.process_time()
        while True:
            due = now_us() + round(INTERVAL * 1e6)
            await trio.sleep(INTERVAL)
            self.lag.record(now_us() - due)
            if (passed := time.monotonic() - wall) >= 1:
                used = time.process_time()
                self.busy.append(round((used - cpu) / passed, 3))
                wall, cpu = wall + passed, used

    def join(self, other: SelfWatch) -> None:
        """Add what another process of the generator measured; of the busy ones the busiest counts."""
        self.lag.add(other.lag)
        longest = max(len(self.busy), len(other.busy))
        pairs = zip(*(one + [0.0] * (longest - len(one)) for one in (self.busy, other.busy)), strict=True)
        self.busy = [max(pair) for pair in pairs]

    def sentence(self) -> str:
        """Say whether the generator was the bottleneck; "" if it was not."""
        busy = sum(one > BUSY for one in self.busy)
        if self.busy and busy / len(self.busy) > BUSY_SECONDS:
            return (
                f"the generator used more than {BUSY:.0%} of its core in {busy} of {len(self.busy)} seconds: "
                "these figures are its own, not the server's; use --processes, or fewer watchers"
            )
        if (lag := self.lag.percentile(99)) > LATE:
            return (
                f"the generator's event loop was {lag / 1000:.0f} ms late (p99): the latencies hold that "
                "much of its own; use --processes, another machine, or fewer watchers"
            )
        return ""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "loop_lag": self.lag.to_json(),
            "lateness": self.lateness.to_json(),
            "busy": self.busy,
            "bottleneck": self.sentence(),
        }
