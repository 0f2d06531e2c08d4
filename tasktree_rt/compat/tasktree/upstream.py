"""The process' one watcher of the hub, for all browsers that are connected to it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from tasktree_rt.client import Backoff, Watcher, open_watcher
from tasktree_rt.client.transport.nursery import background
from tasktree_rt.client.watcher.messages import Disconnected, WatchMessage
from tasktree_rt.compat.tasktree.address import Address
from tasktree_rt.errors import ConnectionLost

TURN: Final = 64
"""Messages handed to the event loop between two of its rounds."""
PATIENCE: Final = 10.0
"""Seconds that publishing waits for the watcher's subscription at a hub that answers."""
COMES_BACK: Final = Backoff(0.25, 4.0)
"""Waits between two connections: short ones, since browsers wait for them."""
AWAY: Final = "cannot connect"
"""Prefix of the reason when no hub listens at the address."""
_logger: Final = logging.getLogger("tasktree_rt.compat")


class Upstream:
    """Watches the hub while browsers are connected; runs in Trio.

    Args:
        shown: takes a message for the browsers.
        turned: waits until the event loop has sent the browsers that keep up all messages so far.
        missed: called when the hub got something before the watcher was subscribed.
        lost: called when the stream has ended for good; the next `watch` starts a new one.
    """

    def __init__(
        self,
        address: Address,
        *,
        shown: Callable[[WatchMessage], None],
        turned: Callable[[], Awaitable[None]],
        missed: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        self._address = address
        self._shown, self._turned, self._missed, self._lost = shown, turned, missed, lost
        self._subscribed: trio.Event | None = None
        """Of the present watcher; set once it misses nothing any more, or has ended."""
        self._on_subscribed: list[Callable[[], None]] = []
        self._heard = trio.Event()
        """Set once a hub answered."""
        self._late = False
        self._wanted = trio.Event()

    def watch(self, subscribed: Callable[[], None]) -> None:
        """Start the watcher if there is none; call `subscribed` once it misses nothing any more."""
        if self._subscribed is None:
            self._subscribed = trio.Event()
            self._wanted.set()
        if self._subscribed.is_set():
            subscribed()
        else:
            self._on_subscribed.append(subscribed)

    def not_waited_for(self) -> None:
        """Call `missed` once the watcher is subscribed: a browser did not wait for it."""
        self._late = self._late or (self._subscribed is not None and not self._subscribed.is_set())

    async def before_connect(self) -> None:
        """Wait until the watcher is subscribed, so that it receives the next events.

        While no hub answers, this waits without a limit.
        """
        subscribed = self._subscribed  # the watcher may end meanwhile, and its successor begin
        if subscribed is None or subscribed.is_set():
            return
        await self._heard.wait()
        with trio.move_on_after(PATIENCE) as patience:
            await subscribed.wait()
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
            self._release()
            self._subscribed, self._heard = None, trio.Event()
            self._lost()

    async def _watch(self) -> None:
        async with (
            open_watcher(
                self._address.url,
                token=self._address.token,
                verify=self._address.verify,
                policy="conflate",
                state=False,
                views=False,
                backoff=COMES_BACK,
            ) as watcher,
            background() as nursery,
        ):
            nursery.start_soon(self._note_subscribed, watcher)
            passed_on = 0
            async for message in watcher:
                if not (isinstance(message, Disconnected) and message.reason.startswith(AWAY)):
                    self._heard.set()
                self._shown(message)
                passed_on += 1
                if passed_on % TURN == 0:
                    await self._turned()
            nursery.cancel_scope.cancel()

    async def _note_subscribed(self, watcher: Watcher) -> None:
        await watcher.answered()
        self._release()

    def _release(self) -> None:
        """Let everything go on that waits for the watcher."""
        self._heard.set()
        if self._subscribed is not None:
            self._subscribed.set()
        waiting, self._on_subscribed = self._on_subscribed, []
        for subscribed in waiting:
            subscribed()
        if self._late:
            self._late = False
            self._missed()
