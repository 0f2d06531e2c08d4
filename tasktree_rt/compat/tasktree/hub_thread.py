"""The backend's connections to the hub, in a thread of their own: Trio cannot run in asyncio's thread.

One orchestrator connection with a spool on disk: once `publish` has returned, an event survives the end of
the process and of the hub. One watcher serves all browsers of the process. Messages without a project are
posted and stored nowhere.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio

from tasktree_rt.client.watcher.messages import WatchMessage
from tasktree_rt.compat.tasktree.address import Address
from tasktree_rt.compat.tasktree.stored_events import ROOM, PendingEvent, StoredEvents
from tasktree_rt.compat.tasktree.unstored_messages import UnstoredMessages
from tasktree_rt.compat.tasktree.upstream import Upstream
from tasktree_rt.core.events import Json
from tasktree_rt.errors import ConnectionLost

_logger: Final = logging.getLogger("tasktree_rt.compat")


class HubThread:
    """The thread and its connections. Used from the event loop's thread, in which it calls its callbacks.

    Args:
        shown: takes a message for the browsers.
        unsent: takes a message without a project that did not reach the hub.
        missed: called when the hub got something that the browsers have not seen.
        lost: called when the hub's stream is over for good.
    """

    def __init__(
        self,
        address: Address,
        *,
        shown: Callable[[WatchMessage], None],
        unsent: Callable[[Json], None],
        missed: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        self._unsent = unsent
        self._loop: asyncio.AbstractEventLoop | None = None
        self._trio: trio.lowlevel.TrioToken | None = None
        self._begun = threading.Event()
        self._upstream = Upstream(
            address,
            shown=lambda message: self._to_loop(shown, message),
            turned=self._turned,
            missed=lambda: self._to_loop(missed),
            lost=lambda: self._to_loop(lost),
        )
        self._messages = UnstoredMessages(address, lambda event: self._to_loop(unsent, event))
        self._events = StoredEvents(address, self._upstream.before_connect)
        self._thread = threading.Thread(target=self._run, name="tasktree-rt hub", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """True while the thread runs; False in a process forked from the one that made it."""
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """Number of events that the hub does not have yet."""
        return self._events.waiting

    @property
    def refused(self) -> int:
        """Number of events that the hub refused."""
        return self._events.refused

    @property
    def lost(self) -> int:
        """Number of events that reached neither the hub nor a spool."""
        return self._events.lost

    async def publish(self, event: Json) -> Exception | None:
        """Publish an event; return once it is in the spool, with the error if that failed."""
        loop = self._loop = asyncio.get_running_loop()
        told: asyncio.Future[Exception | None] = loop.create_future()

        def finish(error: Exception | None) -> None:
            if not told.done():
                told.set_result(error)

        offered = PendingEvent(event, lambda error: _soon(loop, finish, error))
        if not self._soon(self._events.offer, offered):
            return ConnectionLost("the connection to the hub is closed")
        return await told

    def say(self, event: Json) -> None:
        """Send a message without a project to every watcher of the hub."""
        self._loop = asyncio.get_running_loop()
        if not self._soon(self._messages.say, event):
            self._unsent(event)

    async def watch(self, patience: float) -> None:
        """Start the watcher; wait until it misses nothing, at most `patience` seconds."""
        loop = self._loop = asyncio.get_running_loop()
        subscribed = asyncio.Event()
        if self._soon(self._upstream.watch, lambda: _soon(loop, subscribed.set)):
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await subscribed.wait()
            if not subscribed.is_set():
                self._soon(self._upstream.not_waited_for)

    def close(self, timeout: float) -> None:
        """Flush for at most `timeout` seconds, then end the thread; the rest stays in the spool. Blocks."""
        if self._soon(self._events.close, timeout):
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
            nursery.start_soon(self._messages.run)
            await self._events.run()
            nursery.cancel_scope.cancel()

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
