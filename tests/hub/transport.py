"""A connection in memory: a transport that can be stalled byte by byte, and who carries a session on it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from tasktree_rt.core.close_codes import Closing
from tasktree_rt.hub.sessions.base import ConnectionSession
from tests.wsclient import inflated

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class FrameError(AssertionError):
    """The hub broke RFC 6455."""


def read_frame(data: bytes, *, deflate: bool = False) -> tuple[int, bytes, int] | None:
    """Opcode, payload and size of the first frame; None if it is not whole. Strict."""
    if len(data) < 2:
        return None
    opcode, fin, rsv = data[0] & 0x0F, data[0] >> 7, (data[0] >> 4) & 7
    packed = deflate and rsv == 4 and opcode == TEXT
    if not fin or (rsv and not packed) or opcode not in (TEXT, CLOSE, PING, PONG):
        raise FrameError(f"first byte {data[0]:#x}")
    size, begin = data[1], 2
    if size & 0x80:
        raise FrameError("servers do not mask")
    if size >= 126:
        width, least = (2, 126) if size == 126 else (8, 65_536)
        begin = 2 + width
        if len(data) < begin:
            return None
        size = int.from_bytes(data[2:begin], "big")
        if size < least:
            raise FrameError("length not minimal")
    if opcode >= CLOSE and size > 125:
        raise FrameError("control frame too long")
    if len(data) < begin + size:
        return None
    payload = data[begin : begin + size]
    return opcode, inflated(payload) if packed else payload, begin + size


class StallTransport:
    """Takes bytes while it has `room` (None: any number). `deflate`: its peer takes compressed messages."""

    def __init__(self, room: int | None = None, *, deflate: bool = False) -> None:
        self.deflate = deflate
        self.packed = 0
        self.room = room
        self.unread = bytearray()
        self.taken = 0
        self.writes = 0
        self.aborted = False
        self.shut = False
        self.close_made = False
        self.close_read: tuple[int, str] | None = None
        self.pings = 0
        self.on_the_way = 0
        self._changed = trio.Event()

    def fate(self) -> str:
        """What became of it: open, shut (half-closed) or aborted."""
        return "aborted" if self.aborted else "shut" if self.shut else "open"

    def allow(self, room: int | None) -> None:
        """From now on so many more bytes are taken; None: all."""
        self.room = room
        self._change()

    def _change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def write_nowait(self, data: bytes | memoryview) -> int:
        self.writes += 1
        if self.aborted or self.shut:
            return 0
        size = len(data) if self.room is None else min(self.room, len(data))
        if self.room is not None:
            self.room -= size
        self.unread += data[:size]
        self.taken += size
        return size

    def send(self, data: bytes) -> int:
        taken = self.write_nowait(data)
        if data and not taken:
            raise BlockingIOError
        return taken

    def unacknowledged(self) -> int:
        return self.on_the_way

    async def writable(self) -> None:
        while self.room == 0 and not (self.aborted or self.shut):
            await self._changed.wait()
        await trio.lowlevel.checkpoint()
        if self.aborted or self.shut:
            raise trio.BrokenResourceError

    def close_frame(self, closing: Closing, reason: str) -> bytes:
        if self.close_made:
            return b""
        self.close_made = True
        payload = closing.code.to_bytes(2, "big") + reason.encode()
        return bytes([0x80 | CLOSE, len(payload)]) + payload

    def shutdown(self) -> None:
        self.shut = True
        self._change()

    def abort(self) -> None:
        self.aborted = True
        self._change()

    def received(self) -> list[Any]:
        """The messages that came since the last call."""
        found: list[Any] = []
        while (frame := read_frame(bytes(self.unread), deflate=self.deflate)) is not None:
            self.packed += self.unread[0] >> 6 & 1
            opcode, payload, size = frame
            if self.close_read is not None:
                raise FrameError("a frame behind the close frame")
            del self.unread[:size]
            if opcode == TEXT:
                found.append(json.loads(payload))
            elif opcode == CLOSE:
                self.close_read = int.from_bytes(payload[:2], "big"), payload[2:].decode()
            else:
                self.pings += opcode == PING
        return found


class Carried:
    """A session on a `StallTransport`, carried as `web.transport` would: one message at a time."""

    def __init__(
        self,
        session: ConnectionSession,
        nursery: trio.Nursery,
        room: int | None = None,
        *,
        deflate: bool = False,
    ) -> None:
        self.session = session
        self.transport = StallTransport(room, deflate=deflate)
        self.nursery = nursery
        self.scopes: set[trio.CancelScope] = set()
        self.over = False
        self._to_session, self._from_peer = trio.open_memory_channel[str | bytes](10_000)
        session.opened(self.transport, self._start)
        self._start(self._read)

    def _start(self, task: Callable[[], Awaitable[None]]) -> None:
        if not self.over:
            self.nursery.start_soon(self._run, task)

    async def _run(self, task: Callable[[], Awaitable[None]]) -> None:
        with trio.CancelScope() as scope:
            self.scopes.add(scope)
            await task()
        self.scopes.discard(scope)

    async def _read(self) -> None:
        async for message in self._from_peer:
            self.session.last_received = trio.current_time()
            await self.session.message(message)

    def send(self, message: Any) -> None:
        """The peer says this; the session gets it when it has dealt with what came before."""
        self._to_session.send_nowait(message if isinstance(message, (str, bytes)) else json.dumps(message))

    def end(self, code: int | None = None) -> None:
        """The connection is gone."""
        if not self.over:
            self.over = True
            for scope in self.scopes:
                scope.cancel()
            self.transport.abort()
            self.session.ended(code, "")

    def received(self) -> list[Any]:
        return self.transport.received()
