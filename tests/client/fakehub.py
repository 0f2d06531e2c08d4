"""A small real WebSocket server whose side of a conversation a test scripts; made from the protocol alone.

It knows nothing of the hub's code, so that client and hub cannot agree on a mistake in silence. The
tests of the client against the real hub are in ``tests/server``.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from hashlib import sha1
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trio
import trio_websocket
from attrs import define, field, frozen

from tasktree_rt.dialects.base import decode_object, encode_json

Json = dict[str, Any]
MAX_MESSAGE_SIZE = 1024 * 1024
HEARTBEAT = 25.0


class Gone(Exception):
    """The client closed the connection."""


@frozen
class Refusal:
    """An HTTP answer in place of the handshake."""

    status: int
    body: bytes = b"{}"
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Peer:
    """The hub's end of one connection."""

    def __init__(
        self,
        socket: trio_websocket.WebSocketConnection,
        stream: trio.SocketStream,
        request: trio_websocket.WebSocketRequest,
    ) -> None:
        path = request.path
        self._socket = socket
        self.stream = stream
        self.path = urlsplit(path).path
        self.query = parse_qs(urlsplit(path).query)
        self.subprotocol = socket.subprotocol
        self.token = dict(request.headers).get(b"authorization", b"").decode().removeprefix("Bearer ")

    async def say(self, kind: str, **fields: Any) -> None:
        await self.say_text(encode_json({"type": kind, **fields}).decode())

    async def say_text(self, text: str) -> None:
        try:
            await self._socket.send_message(text)
        except trio_websocket.ConnectionClosed:
            raise Gone from None

    async def hear(self, kind: str | None = None) -> Json:
        """The client's next message; of a type, if one is given."""
        try:
            message = decode_object(await self._socket.get_message())
        except trio_websocket.ConnectionClosed:
            raise Gone from None
        if kind is not None:
            assert message["type"] == kind, message
        return message

    async def silent(self) -> None:
        """Say no more; ends when the client does."""
        while True:
            await self.hear()

    async def close(self, code: int, reason: str = "") -> None:
        """A close in order. The TCP connection stays open: it is for the client to close its end."""
        await self._socket.aclose(code, reason)

    async def drop(self) -> None:
        """End without a close."""
        await trio.aclose_forcefully(self.stream)

    async def welcome(self, heartbeat: float = HEARTBEAT, max_message_size: int = MAX_MESSAGE_SIZE) -> None:
        data = {
            "connection_id": "c1",
            "heartbeat_interval": heartbeat,
            "server_time": "2024-01-01T00:00:00.000000Z",
            "max_message_size": max_message_size,
        }
        await self.say("welcome", data=data)

    async def subscribed(self, request: Json, epoch: str, seq: int, recovered: bool | None) -> None:
        await self.say(
            "subscribed",
            id=request["id"],
            project_id=request["project_id"],
            epoch=epoch,
            seq=seq,
            recovered=recovered,
        )


Script = Callable[[Peer], Awaitable[None]]


@define
class FakeHub:
    """`url` is what a client is given; `peers` are all connections so far."""

    url: str
    peers: list[Peer] = field(factory=list)
    knocks: int = 0
    """Handshakes begun, refused ones included."""


@asynccontextmanager
async def fake_hub(
    *scripts: Script, refuse: Callable[[int], Refusal | None] = lambda knock: None
) -> AsyncIterator[FakeHub]:
    """Serve on a free port: the nth connection follows the nth script, later ones the last."""
    hub = FakeHub("")

    async def serve(stream: trio.SocketStream) -> None:
        async with trio.open_nursery() as nursery:
            request = await trio_websocket.wrap_server_stream(nursery, stream)
            hub.knocks += 1
            refusal = refuse(hub.knocks)
            if refusal is not None:
                await request.reject(refusal.status, extra_headers=list(refusal.headers), body=refusal.body)
            else:
                subprotocol = next(iter(request.proposed_subprotocols), None)
                socket = await request.accept(subprotocol=subprotocol)
                peer = Peer(socket, stream, request)
                hub.peers.append(peer)
                with suppress(Gone):
                    await scripts[min(len(hub.peers), len(scripts)) - 1](peer)
            nursery.cancel_scope.cancel()
        await trio.aclose_forcefully(stream)

    async with tcp_server(serve) as hub.url:
        yield hub


@asynccontextmanager
async def raw_hub(script: Callable[[trio.SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
    """A server that makes the handshake by hand and leaves the bytes after it to `script`; gives the URL."""

    async def serve(stream: trio.SocketStream) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await stream.receive_some()
        [key] = re.findall(rb"(?i)sec-websocket-key: *([^\r]+)", head)
        accept = b64encode(
            sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest()
        )
        await stream.send_all(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept
        )
        await script(stream)

    async with tcp_server(serve) as url:
        yield url


@asynccontextmanager
async def tcp_server(serve: Callable[[trio.SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
    """Serve anything on a free port; gives an http URL."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield "http://{}:{}".format(*listener.socket.getsockname()[:2])
        nursery.cancel_scope.cancel()


# --- a hub that keeps publishes ---------------------------------------------------------------------

EPOCH = "e1"


@define
class Store:
    """What a hub keeps, in the order committed, and the answers it remembers by id."""

    ids: list[str] = field(factory=list)
    events: list[Json] = field(factory=list)
    answers: dict[str, list[Json]] = field(factory=dict)
    bodies: dict[str, object] = field(factory=dict)

    def commit(self, publish: Json) -> Json:
        """Keep a publish, unless it is kept already; the ack either way."""
        publish_id = publish["id"]
        duplicate = publish_id in self.answers
        if duplicate:
            assert self.bodies[publish_id] == publish["events"], "idempotency_conflict"
        else:
            self.ids.append(publish_id)
            positions = []
            for event in publish["events"]:
                self.events.append(event)
                positions.append({"project_id": event["project_id"], "epoch": EPOCH, "seq": len(self.events)})
            self.answers[publish_id], self.bodies[publish_id] = positions, publish["events"]
        return {"id": publish_id, "positions": self.answers[publish_id], "duplicate": duplicate}


def keeping(store: Store) -> Script:
    """A hub that keeps and acknowledges everything."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.say("ack", **store.commit(await peer.hear("publish")))

    return script


def node_event(number: int, project: str = "p") -> Json:
    return {
        "type": "node_update",
        "project_id": project,
        "data": {"node_id": f"n{number}", "changes": {"progress": number % 101}},
        "timestamp": "2024-01-01T00:00:00.000000Z",
    }
