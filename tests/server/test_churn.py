"""Whatever comes and goes, nothing of it stays: a hub's memory does not grow with what it has seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rawws import Serving, serving
from tests.server.churn import COUNTS, Churn, blocks, memory

pytestmark = pytest.mark.usefixtures("wire")

SETTINGS = (
    "keep.sweep_interval=0.5",
    "keep.max_events=200",
    "keep.checkpoint_events=50",
    "limits.max_messages_per_second=1000",
    "delivery.close_timeout=1",
    "delivery.stall_timeout=2",
)
# What a hub holds a bounded number of is to be full soon.
LOADED = 64
SMALL = (
    f"{COUNTS}\n"
    "from tasktree_rt.brokers.sqlite import appender; from tasktree_rt.hub.limits import accounts; "
    "from tasktree_rt.hub.projects import cache; from tasktree_rt.hub.publish import idempotency; "
    f"cache.LOADED = idempotency.PRODUCERS = appender._REMEMBERED = {LOADED}; "
    f"accounts.Accounts.__init__.__kwdefaults__['most'] = {LOADED}"
)
NOISE = 4_000
"""Kilobytes by which two looks at the same hub may differ: SQLite fills its caches, malloc has holes."""
LEAK = 2.0
"""Kilobytes a cycle (of about fifty connections) that may stay: the store remembers its producers' ids."""
NOISE_BLOCKS = 14_000
"""Blocks of Python's memory, of some 550,000, by which two looks may differ: bounded tables fill. A session
kept of each connection is 60,000.
"""
LEAK_BLOCKS = 20.0
"""Blocks a cycle that may stay; a cycle opens some fifty connections."""


def _settled(hub: Serving, churn: Churn) -> tuple[int, int]:
    """Kilobytes, and Python's blocks, when those who left are seen off and the sweeps are through: the least
    of several looks.
    """
    looks = []
    for _ in range(4):
        churn.cycles(1)
        churn.quiet(LOADED)
        looks.append((memory(hub.pid) >> 10, blocks(hub)))
    return min(one[0] for one in looks), min(one[1] for one in looks)


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
    allowed = (NOISE + LEAK * 2 * cycles, NOISE_BLOCKS + LEAK_BLOCKS * 2 * cycles)
    for what, before, after, most in zip(("KB", "blocks"), first, second, allowed, strict=True):
        assert after - before < most, f"{before} {what}, then {after} after {churn.connections} connections"
