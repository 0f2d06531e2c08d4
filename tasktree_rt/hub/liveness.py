"""Heartbeats, pings, and the end of peers that gave no sign of life: one task for all connections.

A timer for each connection would cost a task each; going through ten thousand of them once a second
costs about two milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import trio

if TYPE_CHECKING:
    from tasktree_rt.hub.hub import Hub

ROUND: Final = 1.0
SLICE: Final = 500


class Lively(Protocol):
    """A session that wants to be looked after."""

    def tend(self, now: float, wall: float) -> None:
        """Send a heartbeat or a ping if one is due, or end a dead connection. Times in seconds."""


class Liveness:
    """See the module's docstring."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def run(self) -> None:
        """The liveness task."""
        while True:
            await trio.sleep(ROUND)
            wall = self._hub.wall() / 1_000_000
            for index, session in enumerate(list(self._hub.sessions)):
                if index % SLICE == SLICE - 1:
                    await trio.lowlevel.checkpoint()
                try:
                    session.tend(trio.current_time(), wall)
                except Exception as error:
                    self._hub.failed("liveness", error)
