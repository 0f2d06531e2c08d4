"""The process' one watcher of the hub, for all browsers that are connected to it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from tasktree_rt.client import Watcher, open_watcher
from tasktree_rt.client.link import background
from tasktree_rt.client.messages import WatchMessage
from tasktree_rt.errors import ConnectionLost

TURN: Final = 64
"""So many messages are handed to the event loop between two of its rounds."""
PATIENCE: Final = 10.0
"""Seconds for which the hub is told nothing because the watcher does not stand yet."""
_logger: Final = logging.getLogger("tasktree_rt.compat")


class Upstream:
    """Watches while it is wanted. Everything here runs in Trio.

    Args:
        shown: takes a message for the browsers.
        turned: waits until the browsers that are quick have been sent all so far.
        lost: the stream is over for good; who wants it next makes a new one.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        shown: Callable[[WatchMessage], None],
        turned: Callable[[], Awaitable[None]],
        lost: Callable[[], None],
    ) -> None:
        self._url, self._token = url, token
        self._shown, self._turned, self._lost = shown, turned, lost
        self._stands: trio.Event | None = None
        """Of the present watcher; set once it misses nothing any more."""
        self._wanted = trio.Event()

    async def stands(self) -> None:
        """Want the watcher, and wait until it misses nothing any more."""
        if self._stands is None:
            self._stands = trio.Event()
            self._wanted.set()
        await self._stands.wait()

    async def before_connect(self) -> None:
        """Wait for a watcher that is on its way, so that it misses nothing of what the hub is told next."""
        if self._stands is not None:
            with trio.move_on_after(PATIENCE):
                await self._stands.wait()

    async def run(self) -> None:
        """The task."""
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            try:
                await self._watch()
            except ConnectionLost as error:
                _logger.error("the hub's stream ended: %s", error)
            except Exception:
                _logger.exception("the hub's stream ended")
            if self._stands is not None:
                self._stands.set()
                self._stands = None
            self._lost()

    async def _watch(self) -> None:
        async with (
            open_watcher(
                self._url, token=self._token, policy="conflate", state=False, views=False
            ) as watcher,
            background() as nursery,
        ):
            nursery.start_soon(self._note_standing, watcher)
            told = 0
            async for message in watcher:
                self._shown(message)
                told += 1
                if told % TURN == 0:
                    await self._turned()
            nursery.cancel_scope.cancel()

    async def _note_standing(self, watcher: Watcher) -> None:
        await watcher.answered()
        if self._stands is not None:
            self._stands.set()
