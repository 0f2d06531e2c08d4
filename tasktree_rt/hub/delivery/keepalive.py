"""Send heartbeats and pings, end dead connections and those whose token is over: one task for all of them.

A timer for each connection would cost a task each; one pass through ten thousand connections costs a few
milliseconds a second. The pass goes in slices over that second, so that it does not hold up the loop.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Final, Protocol

import trio

from tasktree_rt.hub.context import HubContext

ROUND: Final = 1.0
FINEST: Final = 0.05
SLICE: Final = 500


class Lively(Protocol):
    """A session as far as this task needs it."""

    def tend(self, now: float, wall: float) -> None:
        """Send a heartbeat or a ping if one is due, or end a dead connection. Times in seconds."""


class Group(Iterable[Lively], Container[object], Protocol):
    """Sessions of one kind that are open now."""


class Keepalive:
    """See the module's docstring. A heartbeat is late by a quarter of `interval` (seconds) at most."""

    def __init__(self, context: HubContext, groups: Sequence[Group], interval: float) -> None:
        self._context = context
        self._groups = groups
        self._round = max(FINEST, min(ROUND, interval / 4))

    async def run(self) -> None:
        """Look after all sessions in turn; runs until cancelled."""
        while True:
            sessions = [(group, one) for group in self._groups for one in group]
            slices = -(-len(sessions) // SLICE) or 1
            for start in range(0, slices * SLICE, SLICE):
                await trio.sleep(self._round / slices)
                self._tend(sessions[start : start + SLICE])

    def _tend(self, sessions: Sequence[tuple[Group, Lively]]) -> None:
        now, wall = trio.current_time(), self._context.wall() / 1_000_000
        for group, session in sessions:
            if session in group:
                self._tend_one(session, now, wall)

    def _tend_one(self, session: Lively, now: float, wall: float) -> None:
        try:
            session.tend(now, wall)
        except Exception as error:
            self._context.report_fault("liveness", error)
