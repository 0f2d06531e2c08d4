"""The process' one watcher of the hub, for all browsers that are connected to it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from tasktree_rt.client import Backoff, Watcher, open_watcher
from tasktree_rt.client.transport.nursery import background
from tasktree_rt.client.watcher.messages import Disconnected, WatchMessage
from tasktree_rt.errors import ConnectionLost

TURN: Final = 64
"""So many messages are handed to the event loop between two of its rounds."""
PATIENCE: Final = 10.0
"""Seconds for which nothing is sent to a hub that answers, because the watcher is not subscribed yet."""
COMES_BACK: Final = Backoff(0.25, 4.0)
"""How long to wait before the hub is tried again: it is one of this backend's own, and its browsers wait."""
AWAY: Final = "cannot connect"
"""Begin of the reason of a connection that was never made: no hub listens there."""
_logger: Final = logging.getLogger("tasktree_rt.compat")


class Upstream:
    """Watches the hub while browsers want it. Everything here runs in Trio.

    Args:
        shown: takes a message for the browsers.
        turned: waits until the event loop has sent the browsers that keep up all messages so far.
        missed: called when the hub got something before the watcher was subscribed.
        lost: called when the stream is over for good; the next `stands` starts a new one.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        shown: Callable[[WatchMessage], None],
        turned: Callable[[], Awaitable[None]],
        missed: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        self._url, self._token = url, token
        self._shown, self._turned, self._missed, self._lost = shown, turned, missed, lost
        self._stands: trio.Event | None = None
        """Of the present watcher; set once it misses nothing any more."""
        self._heard = trio.Event()
        """Set once there was a hub to connect to."""
        self._late = False
        self._wanted = trio.Event()

    async def stands(self) -> None:
        """Start the watcher, and wait until it misses nothing any more."""
        if self._stands is None:
            self._stands = trio.Event()
            self._wanted.set()
        await self._stands.wait()

    def not_waited_for(self) -> None:
        """Call `missed` once the watcher is subscribed: a browser goes on without it."""
        self._late = self._late or (self._stands is not None and not self._stands.is_set())

    async def before_connect(self) -> None:
        """Wait for a watcher that is being subscribed, so that it misses nothing of what is published next.

        Where there is no hub yet, it waits for as long as that takes.
        """
        if self._stands is None or self._stands.is_set():
            return
        await self._heard.wait()
        with trio.move_on_after(PATIENCE) as patience:
            await self._stands.wait()
        self._late = self._late or patience.cancelled_caught

    async def run(self) -> None:
        """Watch the hub whenever a browser wants it, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            try:
                await self._watch()
            except ConnectionLost as error:
                _logger.error("the hub's stream ended: %s", error)
            except Exception:
                _logger.exception("the hub's stream ended")
            self._stand()
            self._stands, self._heard = None, trio.Event()
            self._lost()

    async def _watch(self) -> None:
        async with (
            open_watcher(
                self._url,
                token=self._token,
                policy="conflate",
                state=False,
                views=False,
                backoff=COMES_BACK,
            ) as watcher,
            background() as nursery,
        ):
            nursery.start_soon(self._note_standing, watcher)
            told = 0
            async for message in watcher:
                if not (isinstance(message, Disconnected) and message.reason.startswith(AWAY)):
                    self._heard.set()
                self._shown(message)
                told += 1
                if told % TURN == 0:
                    await self._turned()
            nursery.cancel_scope.cancel()

    async def _note_standing(self, watcher: Watcher) -> None:
        await watcher.answered()
        self._stand()

    def _stand(self) -> None:
        self._heard.set()
        if self._stands is not None:
            self._stands.set()
        if self._late:
            self._late = False
            self._missed()
