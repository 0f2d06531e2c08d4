"""Give a WebSocket view its handshake: it can accept, refuse and store a session. Make the 101 from that."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, Final, cast

from werkzeug.datastructures import Headers

from tasktree_rt.hub.transport import Session
from tasktree_rt.web.server.raw_response import sound
from tasktree_rt.web.server.request_head import Head

if TYPE_CHECKING:
    from hypercorn.typing import WebsocketScope
    from quart_trio import QuartTrio

SESSION: Final = "tasktree_rt.session"
"""Key of the scope for the view's session."""
_SWITCHING: Final = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_OURS: Final = frozenset(
    (
        "connection",
        "content-length",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-protocol",
        "transfer-encoding",
        "upgrade",
    )
)
"""Response headers that a view cannot set: they frame the bytes that follow."""


class HandshakeError(Exception):
    """A view accepted in an invalid way. The server logs it and answers 500."""


class HandshakeRequest:
    """A handshake as Quart's websocket: a view can accept or refuse it, and nothing else."""

    __slots__ = ("_headers", "_subprotocol", "accepted", "scope")

    def __init__(self, scope: WebsocketScope) -> None:
        self.scope = scope
        self.accepted = False
        self._headers: Headers | None = None
        self._subprotocol: str | None = None

    def websocket(self, app: QuartTrio) -> Any:  # noqa: ANN401 - the app names the class
        """Make Quart's object for this handshake, as its own ASGI adapter does."""
        headers = Headers()
        headers["Remote-Addr"] = (self.scope["client"] or ("<local>", 0))[0]
        for name, value in self.scope["headers"]:
            headers.add(name.decode("latin-1").title(), value.decode("latin-1"))
        return app.websocket_class(
            self.scope["path"],
            self.scope["query_string"],
            self.scope["scheme"],
            headers,
            "",
            "1.1",
            list(self.scope["subprotocols"]),
            self._nothing,
            self._nothing,
            self._accept,
            self._close,
            scope=self.scope,
        )

    @property
    def session(self) -> Session | None:
        """The session that the view stored in the scope."""
        return cast("dict[str, Session]", self.scope).get(SESSION)

    async def accept(self, subprotocol: str | None) -> None:
        """Accept the handshake without headers of the view's own; see `direct_views.Accept`."""
        await self._accept(None, subprotocol)

    async def _accept(self, headers: Headers | None, subprotocol: str | None) -> None:
        if self.accepted:
            return
        if subprotocol is not None and subprotocol not in self.scope["subprotocols"]:
            raise HandshakeError(f"the client did not offer the subprotocol {subprotocol!r}")
        for name, value in headers or ():
            if name.lower() in _OURS or not sound(name, value):
                raise HandshakeError(f"header {name!r} cannot be sent")
        self.accepted, self._headers, self._subprotocol = True, headers, subprotocol

    async def _close(self, code: int, reason: str) -> None:
        """Refuse the handshake."""
        self.accepted = False

    async def _nothing(self, data: object = None) -> None:
        raise HandshakeError("a view must not receive or send messages: its session does")

    def switching(self, head: Head, extension: str | None = None) -> bytes:
        """Make the 101 with the subprotocol and headers that the view chose, and the negotiated `extension`.

        Raises:
            HandshakeError: the view accepted but stored no session.
        """
        if self.session is None:
            raise HandshakeError(f"the view accepted but stored no {SESSION!r} in the scope")
        key = _accept_key(head.values(b"sec-websocket-key")[0])
        lines = [_SWITCHING, f"Sec-WebSocket-Accept: {key}\r\n"]
        if self._subprotocol is not None:
            lines.append(f"Sec-WebSocket-Protocol: {self._subprotocol}\r\n")
        if extension is not None:
            lines.append(f"Sec-WebSocket-Extensions: {extension}\r\n")
        lines += [f"{name}: {value}\r\n" for name, value in self._headers or ()]
        return "".join((*lines, "\r\n")).encode("latin-1")


def _accept_key(key: bytes) -> str:
    digest = hashlib.sha1(key + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")
