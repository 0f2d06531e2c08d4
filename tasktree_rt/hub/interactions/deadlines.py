"""Resolve prompts and commands at their deadline, also at a deadline that passed while the hub was down."""

from __future__ import annotations

from typing import Final
from weakref import WeakKeyDictionary

import trio
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.errors import InvalidInput, PeerError, Refused, Unavailable
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.interactions.commands import not_obeyed
from tasktree_rt.hub.interactions.prompts import timed_out
from tasktree_rt.hub.interactions.registry import COMMAND, InteractionRegistry, OpenInteraction
from tasktree_rt.hub.interactions.resolution import Resolution

log: Final[BoundLogger] = get_logger("tasktree_rt.deadlines")
LONGEST: Final = 5.0
"""Seconds at most between two looks at the wall clock, which may jump."""
AT_ONCE: Final = 200
AGAIN: Final = 1_000_000
"""Microseconds until the hub tries again to resolve one."""
SELDOM: Final = 300_000_000
"""Microseconds at most between two tries, if each is refused (a damaged project, a full hub)."""
OVER: Final = frozenset({"prompt_closed", "gone", "not_found"})
"""Codes of refusals that mean: it is resolved already."""


class Deadlines:
    """See the module's docstring."""

    def __init__(self, context: HubContext, registry: InteractionRegistry, resolution: Resolution) -> None:
        self._context = context
        self._registry = registry
        self._resolution = resolution
        self._room = trio.Semaphore(AT_ONCE)
        self._waits: WeakKeyDictionary[OpenInteraction, int] = WeakKeyDictionary()

    async def run(self) -> None:
        """Run the deadlines task."""
        registry = self._registry
        async with trio.open_nursery() as nursery:
            while True:
                registry.woken = trio.Event()
                for pending in registry.due(self._context.wall()):
                    await self._enter()
                    nursery.start_soon(self._resolve, pending, pending.deadline)
                with trio.move_on_after(self._rest()):
                    await registry.woken.wait()

    async def _enter(self) -> None:
        try:
            # No yield in between: one commit takes all that are due together.
            self._room.acquire_nowait()
        except trio.WouldBlock:
            await self._room.acquire()

    def _rest(self) -> float:
        deadline = self._registry.next_deadline
        if deadline is None:
            return float("inf")
        return min(LONGEST, max(0.0, (deadline - self._context.wall()) / 1_000_000))

    async def _resolve(self, pending: OpenInteraction, deadline: int | None) -> None:
        wait: int | None = AGAIN
        try:
            await self._end(pending)
            wait = None
        except Unavailable:
            pass  # the hub logs how its store is
        except PeerError as error:
            wait = self._refused(pending, error)
        except Exception as error:
            self._context.report_fault("clerk", error)
        finally:
            self._room.release()
        if wait is None:
            self._waits.pop(pending, None)
        elif pending.deadline == deadline:
            self._registry.expect(pending, self._context.wall() + wait)

    def _refused(self, pending: OpenInteraction, error: PeerError) -> int | None:
        """Return the microseconds until the next try; None if it is resolved, or no try can succeed."""
        if isinstance(error, Refused) and error.code in OVER:
            return None
        hopeless = isinstance(error, InvalidInput)
        before = self._waits.get(pending)
        if before is None:
            interaction = pending.interaction
            told = log.error if hopeless else log.warning
            told(
                "not resolved at its deadline",
                id=pending.id,
                kind=interaction.kind,
                topic=pending.home,
                code=error.code,
                reason=error.message,
                again=not hopeless,
            )
        if hopeless:
            return None
        wait = self._waits[pending] = AGAIN if before is None else min(2 * before, SELDOM)
        return wait

    async def _end(self, pending: OpenInteraction) -> None:
        outcome = not_obeyed(pending) if pending.interaction.kind == COMMAND else timed_out(pending)
        await self._resolution.resolve(pending, outcome)
