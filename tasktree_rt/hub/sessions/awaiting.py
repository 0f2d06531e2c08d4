"""The session of a connection without a token: its first message brings one, or the connection is closed.

The message is ``{"type": "authenticate", "token": "…", "id"?: …}``. Until it comes, the hub sends nothing and
reads one message only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from tasktree_rt.core.access import Grants
from tasktree_rt.core.close_codes import TOKEN_MISSING, Closing
from tasktree_rt.core.protocol import Policy, Reply, RequestId
from tasktree_rt.dialects.base import Dialect, decode_object
from tasktree_rt.errors import InvalidInput
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.sessions.base import ConnectionSession
from tasktree_rt.hub.transport import Transport

Start = Callable[[Callable[[], Awaitable[None]]], None]
Admit = Callable[[str], Awaitable[ConnectionSession]]
MAX_MESSAGE: Final = 16_384
"""Maximum bytes of the first message."""


class _Silent(ConnectionSession):
    """Stands for the connection while it waits: counted and closed like any other, and sends nothing."""

    __slots__ = ()

    def tend(self, now: float, wall: float) -> None:
        """Send no pings: the wait is short."""


class AwaitingSession:
    """See the module's docstring. Implements `transport.Session`; hands over to the session of `admit`.

    `patience`: seconds from the handshake to the admitted token.
    """

    __slots__ = ("_admit", "_hub", "_inner", "_patience", "_scope", "_start", "_transport")

    def __init__(
        self, hub: Hub, dialect: Dialect, admit: Admit, *, patience: float, address: str = ""
    ) -> None:
        self._hub = hub
        self._inner: ConnectionSession = _Silent(
            hub, dialect, grants=Grants(""), policy=Policy.DISCONNECT, address=address
        )
        self._admit: Admit | None = admit
        self._patience = patience
        self._scope = trio.CancelScope()

    @property
    def last_received(self) -> float:
        """See `transport.Session`."""
        return self._inner.last_received

    @last_received.setter
    def last_received(self, now: float) -> None:
        self._inner.last_received = now

    def opened(self, transport: Transport, start: Start) -> None:
        """See `transport.Session`."""
        self._transport, self._start = transport, start
        self._inner.opened(transport, start)
        start(self._wait)

    async def _wait(self) -> None:
        with self._scope:
            await trio.sleep(self._patience)
            self._admit = None
            self.close(TOKEN_MISSING)

    async def message(self, message: str | bytes) -> None:
        """Take the token of the first message; hand on every later one."""
        admit, self._admit = self._admit, None
        if admit is None:
            await self._inner.message(message)
            return
        try:
            token, request = _read(message)
        except InvalidInput:
            self._scope.cancel()
            self.close(TOKEN_MISSING)
            return
        session = await admit(token)
        self._scope.cancel()
        if not self._inner.subscriber.closing:
            self._hand_over(session, request)

    def _hand_over(self, session: ConnectionSession, request: RequestId) -> None:
        before, self._inner = self._inner, session
        self._hub.connections.detach(before.subscriber)
        self._hub.sessions.pop(before, None)
        session.last_received = before.last_received
        session.opened(self._transport, self._start)
        if request is not None and not session.subscriber.closing:
            session.subscriber.reply(Reply(request))

    def frames(self, count: int) -> None:
        """See `transport.Session`."""
        self._inner.frames(count)

    def control(self, data: bytes) -> None:
        """See `transport.Session`."""
        self._inner.control(data)

    def close(self, closing: Closing, reason: str = "") -> None:
        """See `transport.Session`."""
        self._inner.close(closing, reason)

    def ended(self, code: int | None, reason: str) -> None:
        """See `transport.Session`."""
        self._scope.cancel()
        self._inner.ended(code, reason)


def _read(message: str | bytes) -> tuple[str, RequestId]:
    """Return the token and the id of the first message.

    Raises:
        InvalidInput: it is another message, or has no token.
    """
    if len(message) > MAX_MESSAGE:
        raise InvalidInput(f"expected at most {MAX_MESSAGE} bytes")
    value = decode_object(message)
    token, request = value.get("token"), value.get("id")
    if value.get("type") != "authenticate" or not isinstance(token, str):
        raise InvalidInput('expected {"type": "authenticate", "token": "…"}')
    return token, request if type(request) in (int, str) else None
