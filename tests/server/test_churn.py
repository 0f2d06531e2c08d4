"""Whatever comes and goes, nothing of it stays: a hub's memory does not grow with what it has seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rawws import Serving, serving
from tests.server.churn import Churn, memory

pytestmark = pytest.mark.usefixtures("wire")

SETTINGS = (
    "keep.sweep_interval=0.5",
    "keep.max_events=500",
    "limits.max_messages_per_second=1000",
    "delivery.close_timeout=1",
    "delivery.stall_timeout=2",
)
# What a hub holds a bounded number of is to be full soon.
LOADED = 64
SMALL = (
    "from tasktree_rt.hub.projects import cache; from tasktree_rt.hub.publish import idempotency; "
    f"cache.LOADED = idempotency.PRODUCERS = {LOADED}"
)
NOISE = 4_000
"""Kilobytes by which two looks at the same hub may differ: SQLite fills its caches, malloc has holes."""
LEAK = 2.0
"""Kilobytes a cycle (of about forty connections) that may stay: the store remembers its producers' ids."""


def _settled(hub: Serving, churn: Churn) -> int:
    """Memory when those who left are seen off and the sweeps are through: the least of several looks."""
    looks = []
    for _ in range(4):
        churn.cycles(1)
        churn.quiet(LOADED)
        looks.append(memory(hub.pid))
    return min(looks) >> 10


def test_memory_does_not_grow_with_what_came_and_went(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    cycles = int(pytestconfig.getoption("--churn-cycles"))
    with serving(tmp_path, *SETTINGS, store=f"sqlite:{tmp_path / 'hub.db'}", before=SMALL) as hub:
        churn = Churn(hub)
        churn.cycles(cycles)
        first = _settled(hub, churn)
        churn.cycles(2 * cycles)
        second = _settled(hub, churn)
        log = hub.log.read_text()
    assert "Traceback" not in log, log[-5_000:]
    grown = second - first
    assert grown < NOISE + LEAK * 2 * cycles, (
        f"{first} KB, then {second} KB after {churn.connections} connections"
    )
