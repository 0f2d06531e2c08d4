"""The clerk: settles what nobody settled by its deadline, also if that passed while the hub was down."""

from __future__ import annotations

from typing import Final

import trio

from tasktree_rt.errors import PeerError, Refused
from tasktree_rt.hub.asking import timed_out
from tasktree_rt.hub.commanding import not_obeyed
from tasktree_rt.hub.matters import COMMAND, Pending
from tasktree_rt.hub.settling import Settling

LONGEST: Final = 5.0
"""Seconds between two looks at the clock on the wall, which may jump."""
AT_ONCE: Final = 200
AGAIN: Final = 1_000_000
"""Microseconds after which what could not be settled is tried again."""


class Clerk:
    """See the module's docstring."""

    def __init__(self, hub: Settling) -> None:
        self._hub = hub
        self._room = trio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """The clerk task."""
        matters = self._hub.matters
        async with trio.open_nursery() as nursery:
            while True:
                matters.woken = trio.Event()
                for pending in matters.due(self._hub.wall()):
                    await self._enter()
                    nursery.start_soon(self._settle, pending, pending.deadline)
                with trio.move_on_after(self._rest()):
                    await matters.woken.wait()

    async def _enter(self) -> None:
        try:
            # Without a yield between them, so that those due together are committed together.
            self._room.acquire_nowait()
        except trio.WouldBlock:
            await self._room.acquire()

    def _rest(self) -> float:
        deadline = self._hub.matters.next_deadline
        if deadline is None:
            return float("inf")
        return min(LONGEST, max(0.0, (deadline - self._hub.wall()) / 1_000_000))

    async def _settle(self, pending: Pending, deadline: int | None) -> None:
        try:
            await self._end(pending)
        except Refused:
            return  # somebody was quicker
        except PeerError:
            pass
        except Exception as error:
            self._hub.failed("clerk", error)
        else:
            return
        finally:
            self._room.release()
        if pending.deadline == deadline:
            self._hub.matters.expect(pending, self._hub.wall() + AGAIN)

    async def _end(self, pending: Pending) -> None:
        outcome = not_obeyed(pending) if pending.matter.kind == COMMAND else timed_out(pending)
        await self._hub.settle(pending, outcome)
