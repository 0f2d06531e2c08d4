"""Turn an accepted socket into an open WebSocket, as the app decides.

`Handshake.run` reads the request's head, bounded in time and size, and lets the app decide: through Quart,
where `before_websocket`, routing and the view run as in any Quart app, or by calling the view directly
(`web.server.direct_views`). The view authenticates, calls ``await websocket.accept(...)``,
stores its session in ``websocket.scope`` under `handshake_request.SESSION` and returns. Then the server
writes the 101. A view must not call ``websocket.receive`` or ``websocket.send``: the session gets the
messages.

Under another server (stock Hypercorn) the scope has no `SUPPORTED`, and the view answers 426.
"""

from __future__ import annotations

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
from tasktree_rt.web.server.direct_views import answer_error, direct_view
from tasktree_rt.web.server.extension_offers import MALFORMED, MalformedOffer, negotiated
from tasktree_rt.web.server.handshake_request import HandshakeRequest
from tasktree_rt.web.server.raw_response import answer, rendered
from tasktree_rt.web.server.request_head import (
    MAX_HEAD,
    TOO_LONG,
    Head,
    end_of_head,
    fault,
    path_and_query,
    websocket_head,
)
from tasktree_rt.web.server.syscalls import (
    RECEIVED,
    AcceptedSocket,
    Address,
    ClientOf,
    Syscalls,
    address_of,
    peer_itself,
)

if TYPE_CHECKING:
    from hypercorn.typing import WebsocketScope
    from quart.typing import ResponseTypes
    from quart_trio import QuartTrio

log = get_logger(__name__)

SUPPORTED: Final = "tasktree_rt.websocket_supported"
"""Key of the scope: True if the server runs the view's session."""

NO_TLS: Final = answer(400, "This port speaks no TLS: use http:// or ws://.\n")
"""The answer to a TLS handshake. Its client reports a wrong version, at once instead of after a timeout."""
_TLS_HANDSHAKE: Final = 0x16
"""The first byte of a TLS connection (RFC 8446, 5.1)."""
_TIMEOUT_ANSWER: Final = 1.0
"""Maximum seconds to write the 408."""


@frozen
class Upgraded:
    """The server wrote the 101. Run `session`, beginning with `received`, the bytes after the head; with
    `deflate` they may be compressed."""

    session: Session
    received: bytes
    deflate: bool = False


@frozen
class Other:
    """The request asks for no WebSocket. `received`: its head and the bytes after it."""

    received: bytes


@frozen
class Answered:
    """The server refused the request and wrote the response. Close the socket gently."""


@frozen
class Gone:
    """The peer disconnected or was too slow. Close the socket at once."""


Outcome = Upgraded | Other | Answered | Gone


@frozen
class Handshake:
    """Run the handshakes of one server.

    Attributes:
        state: the lifespan's state, copied into every scope.
        timeout: seconds from the first byte to the written response.
        client: returns the client of a request, from its connection's peer and its headers.
        secure: whether the connections are encrypted.
        deflate: agree to permessage-deflate where a client offers it.
    """

    app: QuartTrio
    state: Mapping[str, Any]
    timeout: float
    syscalls: Syscalls
    meter: Metrics
    client: ClientOf = peer_itself
    secure: bool = False
    deflate: bool = False

    async def run(self, sock: AcceptedSocket, client: Address | None, path: str | None = None) -> Outcome:
        """Read one request and write the 101 or another response, within `timeout`. The caller closes `sock`.

        `path` replaces the path of a request for a WebSocket.
        """
        data = bytearray()
        head: Head | None = None
        with trio.move_on_after(self.timeout):
            end = await self._read(sock.fileno(), data)
            if end < 0:
                return Gone()
            if end == 0:
                self.meter.tls_handshake("no_tls")
                await self._answer(sock, NO_TLS)
                return Answered()
            if end > MAX_HEAD:
                await self._answer(sock, answer(431, TOO_LONG))
                return Answered()
            received = bytes(data)
            head = websocket_head(received)
            if head is None:
                return Other(received)
            return await self._decide(sock, client, path, head, received[head.size :])
        if head is not None:
            return Gone()  # the view is too slow, or the peer does not read; `_decide` counted it
        self.meter.handshake("timeout")
        if not data:
            return Gone()
        with trio.move_on_after(_TIMEOUT_ANSWER):
            await self._answer(sock, answer(408))
        return Answered()

    async def _read(self, fd: int, data: bytearray) -> int:
        """Read into `data` until the head is whole or too long; return its end, 0 if the peer speaks TLS, -1
        if it closes.
        """
        end = -1
        while end < 0:
            try:
                size = self.syscalls.readv(fd, (RECEIVED,))
            except BlockingIOError:
                await self.syscalls.wait_readable(fd)
                continue
            except OSError:
                return -1
            if size == 0:
                return -1
            looked_at = len(data)
            data += RECEIVED[:size]
            end = end_of_head(data, looked_at)
            if end < 0 and data[0] == _TLS_HANDSHAKE:
                return 0
            if end < 0 and len(data) > MAX_HEAD:
                end = len(data)
        return end

    async def _decide(
        self, sock: AcceptedSocket, client: Address | None, path: str | None, head: Head, received: bytes
    ) -> Outcome:
        wrong, extension = fault(head), None
        if wrong is None and self.deflate:
            try:
                extension = negotiated(head.values(b"sec-websocket-extensions"))
            except MalformedOffer:
                wrong = MALFORMED
        if wrong is not None:
            self.meter.handshake("invalid")
            await self._answer(sock, answer(*wrong))
            return Answered()
        asked = HandshakeRequest(self._scope(sock, client, path, head))
        outcome = "timeout"
        try:
            outcome, reply = await self._dispatch(asked, head, extension)
            if not await self._answer(sock, reply):
                outcome = "lost"
        finally:
            self.meter.handshake(outcome)
            if outcome != "accepted" and asked.session is not None:
                asked.session.ended(None, "")
        if outcome == "accepted" and asked.session is not None:
            return Upgraded(asked.session, received, extension is not None)
        return Gone() if outcome == "lost" else Answered()

    async def _dispatch(
        self, asked: HandshakeRequest, head: Head, extension: str | None
    ) -> tuple[str, bytes]:
        """Let Quart decide; return the outcome (`Metrics.handshake`) and the response's bytes."""
        bad_request = False
        try:
            response = await self._decided(asked)
            if response is not None:
                return ("failed" if response.status_code >= 500 else "rejected"), await _rendered(response)
            if not asked.accepted:
                return "rejected", answer(403)
            return "accepted", asked.switching(head, extension)
        except* HTTPException:
            bad_request = True  # Quart raises it before any view, for a malformed Host
        except* Exception as group:
            log.error("websocket view failed", path=asked.scope["path"], exc_info=group)
        return ("rejected", answer(400)) if bad_request else ("failed", answer(500))

    async def _decided(self, asked: HandshakeRequest) -> ResponseTypes | None:
        """Call the path's view, directly or through Quart; return its response, None if it has none."""
        view = direct_view(self.app, asked.scope["path"])
        if view is None:
            return await self.app.handle_websocket(asked.websocket(self.app))
        try:
            return await view(self.app, asked.scope, asked.accept)
        except Exception as error:
            return await answer_error(self.app, asked.websocket(self.app), error)

    def _scope(
        self, sock: AcceptedSocket, client: Address | None, path: str | None, head: Head
    ) -> WebsocketScope:
        raw_path, _, query = path_and_query(head.target).partition(b"?")
        scope: dict[str, Any] = {
            "type": "websocket",
            "asgi": {"spec_version": "2.3", "version": "3.0"},
            "scheme": "wss" if self.secure else "ws",
            "http_version": "1.1",
            "path": _decoded(raw_path) if path is None else path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": head.headers,
            "client": self.client(client, head.headers),
            "server": address_of(sock.getsockname()),
            "state": dict(self.state),
            "subprotocols": [token.decode("latin-1") for token in head.tokens(b"sec-websocket-protocol")],
            "extensions": {"websocket.http.response": {}},
            SUPPORTED: True,
        }
        return cast("WebsocketScope", scope)

    async def _answer(self, sock: AcceptedSocket, data: bytes) -> bool:
        """Write all of `data`; return False if the peer is gone."""
        view, fd = memoryview(data), sock.fileno()
        while view:
            try:
                view = view[self.syscalls.write(fd, view) :]
            except BlockingIOError:
                await self.syscalls.wait_writable(fd)
            except OSError:
                return False
        return True


def _decoded(raw_path: bytes) -> str:
    found = raw_path.decode("ascii")
    return unquote(found) if "%" in found else found


async def _rendered(response: ResponseTypes) -> bytes:
    """Render a view's response as bytes, with its length and ``Connection: close``."""
    if isinstance(response, Response):
        body = await response.get_data(as_text=False)
    else:
        body = response.get_data()
    return rendered(response.status_code, response.headers.items(), bytes(body))
