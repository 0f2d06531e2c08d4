"""Two reports beside each other: what became better, what became worse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from tasktree_rt.errors import ClientError
from tasktree_rt.load.report import FORMAT
from tasktree_rt.load.tally import LATENCIES
from tasktree_rt.load.thresholds import Report, measured

SAME: Final = 0.1
"""Share by which a figure may differ and still count as the same."""
SAME_MS: Final = 1.0
"""The same for latencies, in ms: below that it is the noise of a machine."""
_STATISTICS: Final = ("p50", "p90", "p99", "p99.9", "max")
_MORE_IS_BETTER: Final = ("delivered_per_second",)
_NUMBERS: Final = ("lost", "doubled", "out_of_order", "wrong", "trees_differ", "errors", "gaps")


@frozen
class Row:
    """One metric of both. `verdict`: ``better``, ``worse`` or ``same``."""

    metric: str
    unit: str
    before: float
    after: float
    verdict: str

    def __str__(self) -> str:
        ratio = f"×{self.after / self.before:.2f}" if self.before else ""
        before, after = (f"{value:,.3f}".rstrip("0").rstrip(".") for value in (self.before, self.after))
        return f"{self.verdict:7} {self.metric:22} {before:>14} → {after:>14} {self.unit:4} {ratio}"


def read_report(file: Path) -> dict[str, Any]:
    """Read a report that ``--json`` wrote.

    Raises:
        ClientError: it is none.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ClientError(f"{file}: no report: {getattr(error, 'strerror', None) or error}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ClientError(f'{file}: no report: expected "format": {FORMAT}')
    return found


def compare(before: Report, after: Report) -> Iterator[Row]:
    """Yield a row for each metric that both have.

    Raises:
        ClientError: a report lacks a part.
    """
    try:
        for name in LATENCIES:
            for statistic in _STATISTICS:
                yield from _row(f"{name}.{statistic}", "ms", before, after)
        for name in _MORE_IS_BETTER:
            yield from _row(name, "/s", before, after, more_is_better=True)
        for name in _NUMBERS:
            yield from _row(name, "", before, after)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ClientError(f"no whole report: {error!r}") from None


def _row(
    metric: str, unit: str, before: Report, after: Report, *, more_is_better: bool = False
) -> Iterator[Row]:
    first, second = measured(before, metric), measured(after, metric)
    if first is None or second is None:
        return
    room = max(SAME * first, SAME_MS) if unit == "ms" else SAME * first if unit else 0.0
    grew = second - first
    verdict = "same" if abs(grew) <= room else "better" if (grew > 0) is more_is_better else "worse"
    if first or second:
        yield Row(metric, unit, first, second, verdict)


def differing_plans(before: Report, after: Report) -> list[str]:
    """Return the fields in which the plans differ: such figures are of two tests."""
    plans = before.get("plan", {}), after.get("plan", {})
    return sorted(name for name in {*plans[0], *plans[1]} if plans[0].get(name) != plans[1].get(name))
