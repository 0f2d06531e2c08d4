"""Heartbeats: when the next one of each connection is due, and one encoding for equal ones.

The hub sends each native connection its positions every `heartbeat_interval`, whatever else it sends. So a
client notices that one project is quiet while another one is busy. The heartbeats of connections that come at
once are spread over the interval, and connections at the same positions share one encoding in each turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Heartbeat
from tasktree_rt.dialects.base import Dialect

GOLDEN: Final = 0.6180339887498949
"""The fractional parts of its multiples are spread evenly, however many there are."""
SHARED: Final = 8
"""Heartbeats that name more positions than this are not shared."""

Key = tuple[str, tuple[tuple[str, Position], ...]]


class Heartbeats:
    """See the module's docstring. `timestamp` returns the present time in the form of messages."""

    def __init__(self, interval: float, timestamp: Callable[[], str]) -> None:
        self._interval = interval
        self._timestamp = timestamp
        self._count = 0
        self._turn = -1.0
        self._made: dict[Key, tuple[Heartbeat, bytes | None]] = {}

    def first(self, now: float) -> float:
        """Return when a new connection's first heartbeat is due."""
        share = 1.0 - self._count * GOLDEN % 1.0
        self._count += 1
        return now + self._interval * share

    def after(self, due: float, now: float) -> float:
        """Return when the next heartbeat is due, after one that was due at `due` and is sent now."""
        due += self._interval
        return due if due > now else now + self._interval

    def encoded(
        self, dialect: Dialect, positions: Mapping[str, Position], now: float
    ) -> tuple[Heartbeat, bytes | None]:
        """Return a heartbeat with `positions`, and its encoding."""
        if len(positions) > SHARED:
            return self._encode(dialect, positions)
        if now != self._turn:
            self._turn = now
            self._made.clear()
        key = dialect.name, tuple(positions.items())
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = self._encode(dialect, positions)
        return found

    def _encode(self, dialect: Dialect, positions: Mapping[str, Position]) -> tuple[Heartbeat, bytes | None]:
        heartbeat = Heartbeat(self._timestamp(), positions)
        return heartbeat, dialect.encode(heartbeat)
