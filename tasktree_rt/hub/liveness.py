"""Heartbeats, pings, and the end of peers that gave no sign of life: one task for all connections.

A timer for each connection would cost a task each; going through ten thousand of them once a second
costs about two milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

import trio

ROUND: Final = 1.0
SLICE: Final = 500


class Lively(Protocol):
    """A session that wants to be looked after."""

    def tend(self, now: float, wall: float) -> None:
        """Send a heartbeat or a ping if one is due, or end a dead connection. Times in seconds."""


class House(Protocol):
    """What there is of a hub here."""

    @property
    def sessions(self) -> Iterable[Lively]:
        """All of them."""

    def wall(self) -> int:
        """Now, in microseconds since the Unix epoch."""

    def failed(self, where: str, error: BaseException) -> None:
        """A fault of the hub's own."""


class Liveness:
    """See the module's docstring."""

    def __init__(self, hub: House) -> None:
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
