"""Figures that the hub reports about itself, before and after a test."""

from __future__ import annotations

import re
from typing import Any, Final

import httpx
from attrs import define, field

from tasktree_rt.load.http import open_http, root
from tasktree_rt.load.target import Target

_SAMPLE: Final = re.compile(r"^([a-zA-Z_:][\w:]*(?:\{[^}]*\})?) (\S+)", re.MULTILINE)
TIMINGS: Final = {"tasktree_commit_seconds": "a commit", "tasktree_flush_seconds": "a tick of the fan-out"}
"""Histograms of the hub whose mean a report shows, and what each measures."""
CPU: Final = "process_cpu_seconds_total"
"""Of servers that have the usual process collector."""


async def scrape(target: Target) -> dict[str, float]:
    """Read ``/metrics``; nothing if the server has none."""
    try:
        async with open_http(target) as client:
            answer = await client.get(root(target, "/metrics"))
    except (httpx.HTTPError, ValueError):
        return {}
    if answer.status_code != 200:
        return {}
    found = {}
    for name, value in _SAMPLE.findall(answer.text):
        try:
            found[name] = float(value)
        except ValueError:
            continue
    return found


@define
class ServerFigures:
    """The samples of ``/metrics`` at both ends of a test."""

    first: dict[str, float] = field(factory=dict)
    last: dict[str, float] = field(factory=dict)

    async def before(self, target: Target) -> None:
        """Read them at the beginning."""
        self.first = await scrape(target)

    async def after(self, target: Target) -> None:
        """Read them at the end."""
        self.last = await scrape(target)

    def growth(self, name: str) -> float | None:
        """Return by how much a counter grew; None if the server does not have it."""
        if name not in self.last:
            return None
        return self.last[name] - self.first.get(name, 0.0)

    def mean_ms(self, name: str) -> float | None:
        """Return the mean (ms) of what a histogram of seconds counted meanwhile."""
        count, total = self.growth(f"{name}_count"), self.growth(f"{name}_sum")
        return round(total / count * 1000, 3) if count and total is not None else None

    def to_json(self) -> dict[str, Any]:
        """Return what changed, as ``{name: {before, after}}``; samples of histograms are left out."""
        return {
            name: {"before": self.first.get(name, 0.0), "after": value}
            for name, value in sorted(self.last.items())
            if not re.search(r"_bucket\b|_created\b|^python_", name) and self.first.get(name) != value
        }
