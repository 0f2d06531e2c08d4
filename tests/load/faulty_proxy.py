"""A proxy that drops, doubles or swaps single frames with events, and passes everything else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import trio
from attrs import define, field

from tasktree_rt.load.frames import frame_at, head_of

FAULTS: Final = ("drop", "double", "swap")


@define(eq=False)
class FaultyProxy:
    """Does `fault` to each of the frames in `at`, counted over all connections from 1.

    `marks`: bytes that are in each frame that counts.
    """

    port: int
    upstream: int
    fault: str
    at: frozenset[int]
    marks: bytes
    frames: int = 0
    done: int = 0
    _held: dict[int, bytes] = field(factory=dict)

    async def serve(self, client: trio.SocketStream) -> None:
        """Carry one connection."""
        try:
            server = await trio.open_tcp_stream("127.0.0.1", self.upstream)
            async with server, trio.open_nursery() as nursery:
                nursery.start_soon(self._up, client, server)
                await self._down(server, client)
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async def _up(self, client: trio.SocketStream, server: trio.SocketStream) -> None:
        async for piece in client:
            await server.send_all(piece)

    async def _down(self, server: trio.SocketStream, client: trio.SocketStream) -> None:
        data = bytearray()
        split: Callable[[bytearray], int] | None = None
        while split is None:
            data += await server.receive_some()
            if (found := head_of(data)) is not None:
                streams = found.headers.get("content-type", "").startswith("text/event-stream")
                split = _chunk_end if streams else _websocket_end if found.status == 101 else _nothing
                await client.send_all(data[: found.size])
                del data[: found.size]
        while True:
            out = b""
            while end := split(data):
                out += self._change(id(client), bytes(data[:end]))
                del data[:end]
            if out:
                await client.send_all(out)
            if split is _nothing:
                await client.send_all(data)
                data.clear()
            if not (piece := await server.receive_some()):
                return
            data += piece

    def _change(self, connection: int, frame: bytes) -> bytes:
        if self.marks not in frame:
            return frame
        self.frames += 1
        held = self._held.pop(connection, b"")
        if self.frames not in self.at:
            return frame + held
        self.done += 1
        if self.fault == "swap":
            self._held[connection] = frame
            return held
        return held + (b"" if self.fault == "drop" else frame + frame)


def _websocket_end(data: bytearray) -> int:
    return frame_at(data, 0)[1]


def _nothing(data: bytearray) -> int:
    """Find no frame in ordinary answers."""
    return 0


def _chunk_end(data: bytearray) -> int:
    line = data.find(b"\r\n")
    if line < 0:
        return 0
    end = line + 4 + int(bytes(data[:line]), 16)
    return end if end <= len(data) else 0


@asynccontextmanager
async def faulty_proxy(upstream: str, fault: str, at: set[int], marks: bytes) -> AsyncIterator[FaultyProxy]:
    """Run one in front of the server at `upstream`."""
    port = int(upstream.rpartition(":")[2].strip("/"))
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        own = listeners[0].socket.getsockname()[1]
        proxy = FaultyProxy(own, port, fault, frozenset(at), marks)
        nursery.start_soon(trio.serve_listeners, proxy.serve, listeners)
        yield proxy
        nursery.cancel_scope.cancel()
