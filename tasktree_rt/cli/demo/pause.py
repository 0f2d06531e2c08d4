"""Whether the demo's work goes on, for its tasks and its threads."""

from __future__ import annotations

import time
from typing import Final

import trio
from attrs import define, field

LOOK: Final = 0.05
"""Seconds between two looks of a thread that is held."""


@define
class Gate:
    """Closed while the run is paused; `broken` once it is broken off."""

    closed: bool = False
    broken: bool = False
    _changed: trio.Event = field(factory=trio.Event)

    @property
    def hurried(self) -> bool:
        """Whether nothing is paced: what was done is told before the run rests, or ends."""
        return self.closed or self.broken

    def close(self) -> None:
        """Pause the work: workers wait at the gate."""
        self.closed = True
        self._wake()

    def open(self) -> None:
        """Resume the work."""
        self.closed = False
        self._wake()

    def break_off(self) -> None:
        """Hold nothing any more: it is over."""
        self.closed, self.broken = False, True
        self._wake()

    async def passed(self) -> None:
        """Wait while it is closed. Where it is open nothing else runs in between."""
        while self.closed:
            await self._changed.wait()

    async def hurry(self) -> None:
        """Wait until it is `hurried`."""
        while not self.hurried:
            await self._changed.wait()

    def hold(self) -> None:
        """`passed`, in a thread; what cancels the thread's task ends it."""
        trio.from_thread.check_cancelled()
        while self.closed:
            time.sleep(LOOK)
            trio.from_thread.check_cancelled()

    def _wake(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()
