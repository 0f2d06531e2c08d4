"""The run second by second: for live progress and for the plots."""

from __future__ import annotations

from typing import Any

from attrs import asdict, define, field, frozen

from tasktree_rt.load.histogram import Histogram
from tasktree_rt.load.readers import Progress
from tasktree_rt.load.tally import ACK, DELIVERY, Tally


@frozen
class Sample:
    """One second. Rates are per second, latencies in ms, `busy` is the generator's share of a core."""

    seconds: float
    live: int
    published: float
    delivered: float
    p50: float
    p99: float
    ack_p99: float
    errors: int
    faults: int
    busy: float


@define
class Series:
    """All samples, and what the last one saw."""

    samples: list[Sample] = field(factory=list)
    _seconds: float = 0.0
    _published: int = 0
    _delivered: int = 0
    _delivery: dict[int, int] = field(factory=dict)
    _ack: dict[int, int] = field(factory=dict)

    def add(self, seconds: float, progress: Progress, published: int, own: Tally, busy: float) -> Sample:
        """Make the sample of the time since the last one. `own`: the counts of the publishing side."""
        passed = max(seconds - self._seconds, 1e-6)
        tally = progress.tally
        delivered = tally.counts["delivered"]
        delivery, self._delivery = _since(self._delivery, tally.latencies[DELIVERY])
        ack, self._ack = _since(self._ack, own.latencies[ACK])
        sample = Sample(
            round(seconds, 3),
            progress.live,
            round((published - self._published) / passed, 1),
            round((delivered - self._delivered) / passed, 1),
            delivery.percentile(50) / 1000,
            delivery.percentile(99) / 1000,
            ack.percentile(99) / 1000,
            tally.errors.total() + own.errors.total(),
            tally.faults.total(),
            busy,
        )
        self._seconds, self._published, self._delivered = seconds, published, delivered
        self.samples.append(sample)
        return sample

    def to_json(self) -> list[dict[str, Any]]:
        """Return all samples as JSON."""
        return [asdict(one) for one in self.samples]


def _since(before: dict[int, int], histogram: Histogram) -> tuple[Histogram, dict[int, int]]:
    """Return what a histogram counted since `before`, and its present counts."""
    present, found = dict(histogram.counts), Histogram()
    found.max = histogram.max
    for at, times in present.items():
        if (more := times - before.get(at, 0)) > 0:
            found.counts[at] = more
            found.count += more
    return found, present
