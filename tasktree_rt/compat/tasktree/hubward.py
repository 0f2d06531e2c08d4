"""The backend's side towards the hub, in a thread of its own: Trio does not run in asyncio's.

One orchestrator connection with a spool on disk: an event is kept once `publish` has returned, whatever
becomes of the process or the hub. One watcher for all browsers of the process. Messages without a project
are posted, and kept nowhere.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import httpx
import trio
from attrs import define, frozen

from tasktree_rt.client import Orchestrator, Receipt, open_orchestrator
from tasktree_rt.client.messages import WatchMessage
from tasktree_rt.client.nursery import background
from tasktree_rt.client.requests import read_refusal
from tasktree_rt.client.urls import api_url
from tasktree_rt.compat.tasktree.spooling import take_over, usable_place
from tasktree_rt.compat.tasktree.upstream import COMES_BACK, Upstream
from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.errors import ClientError, ConnectionLost, PublishRefused

ROOM: Final = 5.0
"""Seconds that an event waits for room in a full spool, then it is lost."""
AGAIN: Final = 15.0
"""Seconds until a hub is tried again that said there is no use."""
CHECK: Final = 1.0
"""Seconds between two looks at how it goes, for the log."""
SAYING: Final = 3.0
"""Seconds that the hub may take for a message without a project."""
IN_MEMORY: Final = 10_000
"""Events that wait where there is no spool."""
_logger: Final = logging.getLogger("tasktree_rt.compat")


@frozen
class Address:
    """Where the hub is, who this is, and where it keeps what the hub does not have yet (None: in memory)."""

    url: str
    producer_id: str
    token: str | None
    spool: Path | None
    spool_max_bytes: int


@define(eq=False)
class _Offered:
    """An event on its way to the spool; `done` is called with what went wrong, or None."""

    event: Json
    done: Callable[[Exception | None], None]
    until: float = 0.0


class Hubward:
    """See the module. Made and used in the event loop's thread; what it is given is called there.

    Args:
        shown: takes a message for the browsers.
        unsaid: takes a message without a project that the hub, which is away, does not tell anybody.
        missed: something was told that the browsers have not seen.
        lost: the hub's stream is over for good.
    """

    def __init__(
        self,
        address: Address,
        *,
        shown: Callable[[WatchMessage], None],
        unsaid: Callable[[Json], None],
        missed: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        self._address = address
        self._unsaid = unsaid
        self._loop: asyncio.AbstractEventLoop | None = None
        self._trio: trio.lowlevel.TrioToken | None = None
        self._begun = threading.Event()
        self._closing = trio.Event()
        self._flush_timeout = 0.0
        self._give, self._given = trio.open_memory_channel[_Offered](IN_MEMORY)
        self._say, self._said = trio.open_memory_channel[Json](IN_MEMORY)
        self._again: _Offered | None = None
        self._quiet_until = 0.0
        self._orchestrator: Orchestrator | None = None
        self._upstream = Upstream(
            address.url,
            address.token,
            shown=lambda message: self._to_loop(shown, message),
            turned=self._turned,
            missed=lambda: self._to_loop(missed),
            lost=lambda: self._to_loop(lost),
        )
        self.lost = self.refused = 0
        self._thread = threading.Thread(target=self._run, name="tasktree-rt hubward", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether its thread runs; not so in a process that was forked from the one that made it."""
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """Events that the hub does not have yet."""
        return 0 if self._orchestrator is None else self._orchestrator.statistics().unacked

    async def publish(self, event: Json) -> Exception | None:
        """Keep an event for the hub; returns what went wrong."""
        loop = self._loop = asyncio.get_running_loop()
        told: asyncio.Future[Exception | None] = loop.create_future()

        def finish(error: Exception | None) -> None:
            if not told.done():
                told.set_result(error)

        offered = _Offered(event, lambda error: _soon(loop, finish, error))
        if not self._soon(self._offer, offered):
            return ConnectionLost("the connection to the hub is closed")
        return await told

    def say(self, event: Json) -> None:
        """Tell every watcher of the hub something that has no project."""
        self._loop = asyncio.get_running_loop()
        if not self._soon(self._say_nowait, event):
            self._unsaid(event)

    async def watch(self, patience: float) -> None:
        """Want the watcher; wait until it misses nothing, at most `patience` seconds."""
        loop = self._loop = asyncio.get_running_loop()
        stands = asyncio.Event()

        async def tell() -> None:
            await self._upstream.stands()
            _soon(loop, stands.set)

        if self._soon(trio.lowlevel.spawn_system_task, tell):
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await stands.wait()
            if not stands.is_set():
                self._soon(self._upstream.not_waited_for)

    def close(self, timeout: float) -> None:
        """Flush for at most `timeout` seconds, and end; what is left stays in the spool. Blocks."""
        self._flush_timeout = timeout
        if self._soon(self._closing.set):
            self._thread.join(timeout + ROOM)

    def _soon(self, run: Callable[..., object], *args: object) -> bool:
        self._begun.wait()  # as long as it takes a thread to begin
        if self._trio is None or not self.alive:
            return False
        try:
            self._trio.run_sync_soon(run, *args)
        except trio.RunFinishedError:
            return False
        return True

    # --- in the thread ------------------------------------------------------------------------------

    def _offer(self, offered: _Offered) -> None:
        offered.until = trio.current_time() + ROOM
        try:
            self._give.send_nowait(offered)
        except trio.WouldBlock:
            self._lose(offered, "too many events wait")
        except trio.ClosedResourceError:
            self._lose(offered, "the connection to the hub is closed")

    def _say_nowait(self, event: Json) -> None:
        try:
            self._say.send_nowait(event)
        except (trio.WouldBlock, trio.BrokenResourceError):
            self._to_loop(self._unsaid, event)

    def _run(self) -> None:
        try:
            trio.run(self._main)
        except Exception:
            _logger.exception("the connection to the hub ended")
        finally:
            self._begun.set()

    async def _main(self) -> None:
        self._trio = trio.lowlevel.current_trio_token()
        self._begun.set()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._upstream.run)
            nursery.start_soon(self._say_all)
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
            nursery.cancel_scope.cancel()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Orchestrator]:
        address = self._address
        spool = usable_place(address.spool, address.producer_id)
        async with open_orchestrator(
            address.url,
            address.producer_id,
            token=address.token,
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
        await self._upstream.before_connect()

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

    async def _keep(self, orchestrator: Orchestrator, offered: _Offered) -> None:
        self._again = offered  # if the hub says that there is no use, the next try has it
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

    def _lose(self, offered: _Offered, why: str) -> None:
        self.lost += 1
        offered.done(ConnectionLost(why))

    def _on_refused(self, receipt: Receipt, error: PublishRefused) -> None:
        self.refused += 1
        _logger.warning("the hub refused an event: %s", error)

    async def _look_after(self, orchestrator: Orchestrator) -> None:
        """Say in the log that the hub is away, and that it is back.

        Raises:
            ConnectionLost: it said that there is no use: it is tried again later.
        """
        away = False
        while True:
            await trio.sleep(CHECK)
            now = orchestrator.statistics()
            if not now.connected:
                with trio.move_on_after(CHECK / 100):
                    await orchestrator.flush()  # raises if the hub said that there is no use
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
        """The connection is given up, and with it what only memory holds."""
        gone = self._orchestrator
        if gone is not None and not gone.spooled:
            self.lost += gone.statistics().unacked

    async def _say_all(self) -> None:
        token = self._address.token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with httpx.AsyncClient(headers=headers, timeout=SAYING) as client:
            async for event in self._said:
                await self._say_one(client, event)

    async def _say_one(self, client: httpx.AsyncClient, event: Json) -> None:
        try:
            answer = await client.post(api_url(self._address.url, "/broadcast"), content=encode_json(event))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            _logger.warning("the hub is away, a message without a project is shown here only: %s", error)
            self._to_loop(self._unsaid, event)
        except httpx.HTTPError as error:
            _logger.warning("a message without a project may be lost: %s", str(error) or type(error).__name__)
        else:
            if not answer.is_success:
                _logger.warning("a message without a project was not told: %s", read_refusal(answer))

    async def _turned(self) -> None:
        turned = trio.Event()
        self._to_loop(self._wake, turned)
        await turned.wait()

    def _wake(self, turned: trio.Event) -> None:
        assert self._loop is not None
        self._loop.call_soon(self._soon, turned.set)

    def _to_loop(self, run: Callable[..., object], *args: object) -> None:
        if self._loop is not None:
            _soon(self._loop, run, *args)


def _soon(loop: asyncio.AbstractEventLoop, run: Callable[..., object], *args: object) -> None:
    with suppress(RuntimeError):  # the loop is over
        loop.call_soon_threadsafe(run, *args)
