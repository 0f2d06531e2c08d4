"""From an accepted socket to an open WebSocket, by way of Quart.

`Handshake.run` reads the head, bounded in time and size, and lets Quart's full dispatch decide:
`before_websocket`, routing and the view run as in any Quart app. The view authenticates, calls ``await
websocket.accept(...)``, puts its session under `visit.SESSION` into ``websocket.scope`` and returns; only
then is the 101 written. ``websocket.receive`` and ``websocket.send`` have no place in such a view: the
session gets the messages.

A view that is reached in another way (stock Hypercorn) does not find `CARRIER` in its scope and answers 426.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote

import trio
from attrs import frozen
from quart.wrappers import Response
from structlog import get_logger
from werkzeug.exceptions import HTTPException

from tasktree_rt.hub.transport import Session
from tasktree_rt.metrics import Metrics
from tasktree_rt.web.server.handshake_request import HandshakeRequest
from tasktree_rt.web.server.raw_response import answer, rendered
from tasktree_rt.web.server.request_head import (
    MAX_HEAD,
    Head,
    end_of_head,
    fault,
    path_and_query,
    websocket_head,
)
from tasktree_rt.web.server.syscalls import RECEIVED, Address, Syscalls, address_of

if TYPE_CHECKING:
    from hypercorn.typing import WebsocketScope
    from quart.typing import ResponseTypes
    from quart_trio import QuartTrio

log = get_logger(__name__)

CARRIER: Final = "tasktree_rt.carrier"
"""Key of the scope: True where a session will be carried."""

_POLITENESS: Final = 1.0


@frozen
class Upgraded:
    """The 101 is written: carry `session`, beginning with `received`."""

    session: Session
    received: bytes


@frozen
class Other:
    """Not a request for a WebSocket; `received` is its head and what came with it."""

    received: bytes


@frozen
class Answered:
    """Refused, and the answer is written: close in order."""


@frozen
class Gone:
    """The peer left, or nothing came of it in time: just close."""


Outcome = Upgraded | Other | Answered | Gone


@frozen
class Handshake:
    """What every handshake of one server has in common."""

    app: QuartTrio
    state: Mapping[str, Any]
    timeout: float
    io: Syscalls
    meter: Metrics

    async def run(self, sock: socket.socket, client: Address | None, path: str | None = None) -> Outcome:
        """From the first byte to the 101, or another answer, within `timeout`; the caller closes `sock`. With
        a `path` the WebSocket is served there, whatever path the request names."""
        data = bytearray()
        head: Head | None = None
        with trio.move_on_after(self.timeout):
            end = await self._read(sock.fileno(), data)
            if end < 0:
                return Gone()
            if end > MAX_HEAD:
                await self._answer(sock, answer(431))
                return Answered()
            received = bytes(data)
            head = websocket_head(received)
            if head is None:
                return Other(received)
            return await self._decide(sock, client, path, head, received[head.size :])
        if head is not None:
            return Gone()  # a view too slow, or an answer that the peer does not read; it is counted
        self.meter.handshake("timeout")
        if not data:
            return Gone()
        with trio.move_on_after(_POLITENESS):
            await self._answer(sock, answer(408))
        return Answered()

    async def _read(self, fd: int, data: bytearray) -> int:
        """Read until the head is whole or too long; where it ends, -1 if the peer goes before that."""
        end = -1
        while end < 0:
            try:
                size = self.io.readv(fd, (RECEIVED,))
            except BlockingIOError:
                await self.io.wait_readable(fd)
                continue
            except OSError:
                return -1
            if size == 0:
                return -1
            looked_at = len(data)
            data += RECEIVED[:size]
            end = end_of_head(data, looked_at)
            if end < 0 and len(data) > MAX_HEAD:
                end = len(data)
        return end

    async def _decide(
        self, sock: socket.socket, client: Address | None, path: str | None, head: Head, received: bytes
    ) -> Outcome:
        wrong = fault(head)
        if wrong is not None:
            self.meter.handshake("invalid")
            await self._answer(sock, answer(*wrong))
            return Answered()
        visit = HandshakeRequest(self._scope(sock, client, path, head))
        outcome = "timeout"
        try:
            outcome, reply = await self._visit(visit, head)
            if not await self._answer(sock, reply):
                outcome = "lost"
        finally:
            self.meter.handshake(outcome)
            if outcome != "accepted" and visit.session is not None:
                visit.session.ended(None, "")
        if outcome == "accepted" and visit.session is not None:
            return Upgraded(visit.session, received)
        return Gone() if outcome == "lost" else Answered()

    async def _visit(self, visit: HandshakeRequest, head: Head) -> tuple[str, bytes]:
        """Let Quart decide; what came of it and the bytes that say so."""
        bad_request = False
        try:
            response = await self.app.handle_websocket(visit.websocket(self.app))
            if response is not None:
                return ("failed" if response.status_code >= 500 else "rejected"), await _rendered(response)
            if not visit.accepted:
                return "rejected", answer(403)
            return "accepted", visit.switching(head)
        except* HTTPException:
            bad_request = True  # by Quart before any view: a Host that can be none
        except* Exception as group:
            log.error("websocket view failed", path=visit.scope["path"], exc_info=group)
        return ("rejected", answer(400)) if bad_request else ("failed", answer(500))

    def _scope(
        self, sock: socket.socket, client: Address | None, path: str | None, head: Head
    ) -> WebsocketScope:
        raw_path, _, query = path_and_query(head.target).partition(b"?")
        scope: dict[str, Any] = {
            "type": "websocket",
            "asgi": {"spec_version": "2.3", "version": "3.0"},
            "scheme": "ws",
            "http_version": "1.1",
            "path": unquote(raw_path.decode("ascii")) if path is None else path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": head.headers,
            "client": client,
            "server": address_of(sock.family, sock.getsockname()),
            "state": dict(self.state),
            "subprotocols": [token.decode("latin-1") for token in head.tokens(b"sec-websocket-protocol")],
            "extensions": {"websocket.http.response": {}},
            CARRIER: True,
        }
        return cast("WebsocketScope", scope)

    async def _answer(self, sock: socket.socket, data: bytes) -> bool:
        """Write all of `data`; False if the peer is gone."""
        view, fd = memoryview(data), sock.fileno()
        while view:
            try:
                view = view[self.io.write(fd, view) :]
            except BlockingIOError:
                await self.io.wait_writable(fd)
            except OSError:
                return False
        return True


async def _rendered(response: ResponseTypes) -> bytes:
    """A view's response as bytes, with its length, after which the connection closes."""
    if isinstance(response, Response):
        body = await response.get_data(as_text=False)
    else:
        body = response.get_data()
    return rendered(response.status_code, response.headers.items(), bytes(body))
