"""The browsers connected to the backend, each with its queue and the task that sends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, Protocol

WAITING: Final = 256
"""Messages that may wait for one slow browser; beyond that its connection is closed (4008)."""
SLOW: Final = 4008
RESTART: Final = 1012
_logger: Final = logging.getLogger("tasktree_rt.compat")


class Socket(Protocol):
    """The methods that a framework's WebSocket needs; Starlette's and FastAPI's have them."""

    async def accept(self) -> None:
        """Accept the connection, which finishes the handshake."""

    async def send_text(self, data: str) -> None:
        """Send `data` as one text frame."""

    async def close(self, code: int = 1000) -> None:
        """Close the connection with a WebSocket close code."""


class Connections:
    """The connected browsers, as a list that a program may read, shorten and clear.

    An iteration goes over a copy: browsers may connect and disconnect meanwhile.
    """

    def __init__(self) -> None:
        self._browsers: dict[Socket, _Browser] = {}

    def __iter__(self) -> Iterator[Socket]:
        return iter(list(self._browsers))

    def __len__(self) -> int:
        return len(self._browsers)

    def __contains__(self, websocket: object) -> bool:
        return websocket in self._browsers

    def __getitem__(self, index: int) -> Socket:
        return list(self._browsers)[index]

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, (list, Connections)) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(list(self))

    def append(self, websocket: Socket) -> None:
        """Send an accepted browser all messages from now on."""
        if websocket not in self._browsers:
            self._browsers[websocket] = _Browser(websocket, self.discard)

    def remove(self, websocket: Socket) -> None:
        """Send a browser no more messages.

        Raises:
            ValueError: it is not connected.
        """
        if websocket not in self._browsers:
            raise ValueError("not connected")
        self.discard(websocket)

    def discard(self, websocket: Socket) -> None:
        """Send a browser no more messages, if it is connected."""
        browser = self._browsers.pop(websocket, None)
        if browser is not None:
            browser.stop()

    def clear(self) -> None:
        """Send no browser any more messages; their connections stay open."""
        for websocket in self:
            self.discard(websocket)

    def show(self, text: str) -> None:
        """Send a message to every browser."""
        for browser in list(self._browsers.values()):
            browser.show(text)

    def close(self, code: int) -> None:
        """Close the connection of every browser."""
        for browser in list(self._browsers.values()):
            browser.close(code)


class _Browser:
    """One browser: its queue of messages, and the task that sends them."""

    def __init__(self, websocket: Socket, gone: Callable[[Socket], None]) -> None:
        self._websocket = websocket
        self._gone = gone
        self._waiting: asyncio.Queue[str] = asyncio.Queue(WAITING)
        self._ending: asyncio.Task[None] | None = None
        self._task = asyncio.get_running_loop().create_task(self._send())

    def show(self, text: str) -> None:
        try:
            self._waiting.put_nowait(text)
        except asyncio.QueueFull:
            self.close(SLOW)

    def close(self, code: int) -> None:
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end(code))
            self._gone(self._websocket)

    def stop(self) -> None:
        self._task.cancel()

    async def _send(self) -> None:
        try:
            while True:
                await self._websocket.send_text(await self._waiting.get())
        except Exception as error:  # frameworks raise different errors for a lost connection
            _logger.debug("a browser is gone: %s", error)
            self._gone(self._websocket)

    async def _end(self, code: int) -> None:
        with suppress(Exception):
            await self._websocket.close(code)
