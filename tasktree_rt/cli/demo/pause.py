"""Pause and resume the demo's work, in its tasks and threads."""

from __future__ import annotations

import time
from typing import Final

import trio
from attrs import define, field

LOOK: Final = 0.05
"""Seconds between two checks by a paused thread."""


@define
class Gate:
    """Closed while the run is paused; `broken` once it is broken off."""

    closed: bool = False
    broken: bool = False
    _changed: trio.Event = field(factory=trio.Event)

    @property
    def hurried(self) -> bool:
        """Whether to send without pace: the run's events go out before it rests or ends."""
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
        """Release all workers: the run is over."""
        self.closed, self.broken = False, True
        self._wake()

    async def passed(self) -> None:
        """Wait while the gate is closed. If it is open, return without a checkpoint."""
        while self.closed:
            await self._changed.wait()

    async def hurry(self) -> None:
        """Wait until it is `hurried`."""
        while not self.hurried:
            await self._changed.wait()

    def hold(self) -> None:
        """Do `passed` in a thread; cancelling the thread's task ends it."""
        trio.from_thread.check_cancelled()
        while self.closed:
            time.sleep(LOOK)
            trio.from_thread.check_cancelled()

    def _wake(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()
