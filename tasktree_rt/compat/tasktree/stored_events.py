"""Publishes a backend's events through an orchestrator with a spool on disk, and replaces it when it ends."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import trio
from attrs import define

from tasktree_rt.client import Orchestrator, Receipt, open_orchestrator
from tasktree_rt.client.transport.nursery import background
from tasktree_rt.compat.tasktree.address import Address
from tasktree_rt.compat.tasktree.spool_files import take_over, usable_place
from tasktree_rt.compat.tasktree.upstream import COMES_BACK
from tasktree_rt.core.events import Json
from tasktree_rt.errors import ClientError, ConnectionLost, PublishRefused

ROOM: Final = 5.0
"""Seconds that an event waits for room in a full spool; then it is lost."""
AGAIN: Final = 15.0
"""Seconds until the backend connects again to a hub that refused the connection for good."""
CHECK: Final = 1.0
"""Seconds between two checks of the connection, for the log."""
IN_MEMORY: Final = 10_000
"""Events that may wait where there is no spool."""
_logger: Final = logging.getLogger("tasktree_rt.compat")


@define(eq=False)
class PendingEvent:
    """An event on its way to the spool; `done` is called with the error, or None."""

    event: Json
    done: Callable[[Exception | None], None]
    until: float = 0.0


class StoredEvents:
    """Runs in Trio; any thread may read `waiting`, `lost` and `refused`.

    Args:
        before_connect: awaited before every connection.
    """

    def __init__(self, address: Address, before_connect: Callable[[], Awaitable[None]]) -> None:
        self._address = address
        self._before = before_connect
        self._closing = trio.Event()
        self._flush_timeout = 0.0
        self._give, self._given = trio.open_memory_channel[PendingEvent](IN_MEMORY)
        self._again: PendingEvent | None = None
        self._quiet_until = 0.0
        self._orchestrator: Orchestrator | None = None
        self.lost = self.refused = 0

    @property
    def waiting(self) -> int:
        """Number of events that the hub does not have yet."""
        return 0 if self._orchestrator is None else self._orchestrator.statistics().unacked

    def offer(self, offered: PendingEvent) -> None:
        """Queue an event to be published; `offered.done` is called with the outcome."""
        offered.until = trio.current_time() + ROOM
        try:
            self._give.send_nowait(offered)
        except trio.WouldBlock:
            self._lose(offered, "too many events wait")
        except trio.ClosedResourceError:
            self._lose(offered, "the connection to the hub is closed")

    def close(self, flush_timeout: float) -> None:
        """Let `run` flush for at most `flush_timeout` seconds, and end."""
        self._flush_timeout = flush_timeout
        self._closing.set()

    async def run(self) -> None:
        """Publish offered events until `close`."""
        while not self._closing.is_set():
            try:
                async with self._opened() as orchestrator:
                    self._orchestrator = orchestrator
                    await self._serve(orchestrator)
            except ClientError as error:
                if not self._closing.is_set():
                    self._count_left()
                    _logger.error("the hub cannot be used, trying again in %g s: %s", AGAIN, error)
                self._quiet_until = trio.current_time() + AGAIN
                await trio.sleep(CHECK)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Orchestrator]:
        address = self._address
        spool = usable_place(address.spool, address.producer_id)
        async with open_orchestrator(
            address.url,
            address.producer_id,
            token=address.token,
            verify=address.verify,
            spool=spool,
            spool_max_bytes=address.spool_max_bytes,
            max_in_flight=64 if spool else IN_MEMORY,
            on_refused=self._on_refused,
            flush_timeout=0.0,
            backoff=COMES_BACK,
            before_connect=self._before_connect,
        ) as orchestrator:
            left = orchestrator.statistics().unacked
            if spool is not None and address.spool is not None:
                left += await take_over(address.spool, spool, address.producer_id, orchestrator)
            if left:
                _logger.warning("sending again what is left from before: %d events", left)
            yield orchestrator

    async def _before_connect(self) -> None:
        await trio.sleep_until(self._quiet_until)
        await self._before()

    async def _serve(self, orchestrator: Orchestrator) -> None:
        kept = trio.Event()
        async with background() as nursery:
            nursery.start_soon(self._look_after, orchestrator)
            nursery.start_soon(self._keep_all, orchestrator, kept)
            await self._closing.wait()
            self._give.close()
            with trio.move_on_after(ROOM):
                await kept.wait()
            with trio.move_on_after(self._flush_timeout), suppress(ConnectionLost):
                await orchestrator.flush()
            self._tell_left(orchestrator)
            nursery.cancel_scope.cancel()

    async def _keep_all(self, orchestrator: Orchestrator, kept: trio.Event) -> None:
        if self._again is not None:
            await self._keep(orchestrator, self._again)
        async for offered in self._given:
            await self._keep(orchestrator, offered)
        kept.set()

    async def _keep(self, orchestrator: Orchestrator, offered: PendingEvent) -> None:
        self._again = offered  # if the hub refuses the connection for good, the next one sends it
        with trio.move_on_at(max(offered.until, trio.current_time() + 0.01)) as scope:
            try:
                await orchestrator.publish(offered.event)
            except PublishRefused as error:
                self.refused += 1
                offered.done(error)
            except ConnectionLost:
                raise
            except ClientError as error:
                self._lose(offered, str(error))
            else:
                offered.done(None)
        if scope.cancelled_caught:
            self._lose(offered, "the spool is full")
        self._again = None

    def _lose(self, offered: PendingEvent, why: str) -> None:
        self.lost += 1
        offered.done(ConnectionLost(why))

    def _on_refused(self, receipt: Receipt, error: PublishRefused) -> None:
        self.refused += 1
        _logger.warning("the hub refused an event: %s", error)

    async def _look_after(self, orchestrator: Orchestrator) -> None:
        """Log when the hub is away, and when it is back.

        Raises:
            ConnectionLost: the hub refused the connection for good; the backend connects again later.
        """
        away = False
        while True:
            await trio.sleep(CHECK)
            now = orchestrator.statistics()
            if not now.connected:
                with trio.move_on_after(CHECK / 100):
                    await orchestrator.flush()  # raises if the hub refused the connection for good
            if not away and not now.connected and now.unacked:
                away = True
                _logger.warning("the hub is away, events wait in %s: %s", self._address.spool, now.last_error)
            elif away and not now.unacked:
                away = False
                _logger.warning("the hub is back and has all events")

    def _tell_left(self, orchestrator: Orchestrator) -> None:
        left = orchestrator.statistics().unacked
        if left and orchestrator.spooled:
            _logger.warning("%d events wait in %s for the next start", left, self._address.spool)
        elif left:
            self.lost += left
            _logger.warning("%d events are lost: the hub is away, and there is no spool", left)

    def _count_left(self) -> None:
        """Count the events that only memory holds: they are lost with this connection."""
        gone = self._orchestrator
        if gone is not None and not gone.spooled:
            self.lost += gone.statistics().unacked
