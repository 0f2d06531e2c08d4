"""One WebSocket connection to a hub.

trio-websocket does the framing. What it leaves to its user is done here: the TCP stream is closed in
every case (when the server closes first, its ``aclose`` returns with the stream open), a handshake
that ends without an answer ends at once, and no fault of its reader task gets past `ConnectionEnded`.
No extension is offered, so nothing is compressed and nothing can inflate.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, cast
from urllib.parse import urlsplit

import trio
import trio_websocket
from attrs import frozen

from tasktree_rt.client.transport.errors import ConnectionEnded
from tasktree_rt.client.transport.nursery import background
from tasktree_rt.client.transport.refusal_text import plain_text
from tasktree_rt.client.transport.tls import TlsStream, tls_problem
from tasktree_rt.client.transport.tokens import bearer
from tasktree_rt.core.close_codes import Advice, advice
from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import decode_object
from tasktree_rt.errors import InvalidInput

_RECEIVE_BYTES: Final = 64 * 1024
_RETRIED_STATUS: Final = frozenset({408, 425, 429})
_FINAL_ADVICE: Final = frozenset({Advice.STOP, Advice.GET_TOKEN})
_ABNORMAL: Final = 1006
_NO_TOKEN: Final = 401


@frozen
class ConnectionOptions:
    """How a connection is made. Times in seconds, sizes in bytes."""

    connect_timeout: float
    close_timeout: float
    max_message_size: int
    tls: ssl.SSLContext | None = None
    subprotocol: str | None = None


class Connection:
    """An open connection.

    Attributes:
        good: for the user of the connection to set once it has proved useful.
        token: the token that the hub has of it.
    """

    def __init__(
        self, socket: trio_websocket.WebSocketConnection, stream: trio.abc.Stream, token: str | None = None
    ) -> None:
        self.good = False
        self.token = token
        self._socket = socket
        self._stream = stream
        self._why: str | None = None

    async def send(self, text: bytes) -> None:
        """Send one message. If cancelled half-way the connection is of no more use.

        Raises:
            ConnectionEnded: the connection ended.
        """
        try:
            await self._socket.send_message(text.decode())
        except trio_websocket.ConnectionClosed as closed:
            raise self._ended(closed.reason) from None

    async def receive(self) -> Json:
        """The next message.

        Raises:
            ConnectionEnded: the connection ended, or the peer does not speak JSON objects.
        """
        try:
            return decode_object(await self._socket.get_message(), ours=True)
        except trio_websocket.ConnectionClosed as closed:
            raise self._ended(closed.reason) from None
        except InvalidInput as error:
            raise ConnectionEnded(f"the peer is not a hub: {error}", final=True) from None

    async def ping(self) -> None:
        """Ask for a sign of life and wait for it; returns also when the connection ends."""
        try:
            await self._socket.ping()
        except trio_websocket.ConnectionClosed:
            return

    async def abort(self, why: str) -> None:
        """End the connection without a word to the peer; `receive` raises `ConnectionEnded` with `why`."""
        self._why = why
        await trio.aclose_forcefully(self._stream)

    async def aclose(self) -> None:
        """Say good-bye and wait for the peer's; the caller bounds the time."""
        await self._socket.aclose()

    def _ended(self, reason: trio_websocket.CloseReason | None) -> ConnectionEnded:
        if self._why is not None or reason is None:
            return ConnectionEnded(self._why or "the connection was closed here")
        if reason.code == _ABNORMAL:
            return ConnectionEnded("the connection broke off", code=int(reason.code))
        text = f"the hub closed the connection: {reason.code} {reason.reason or ''}".rstrip()
        then = advice(int(reason.code))
        return ConnectionEnded(
            text,
            code=int(reason.code),
            final=then in _FINAL_ADVICE,
            refused_token=then is Advice.GET_TOKEN,
        )


class _Reader:
    """Stands where trio-websocket expects the nursery for its reader task.

    `ended` tells that the task is gone, which the library itself does not during the handshake;
    `fault` is what it raised.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self.ended = trio.Event()
        self.fault: Exception | None = None
        self._nursery = nursery

    def start_soon(self, task: Callable[[], Awaitable[None]]) -> None:
        """Run trio-websocket's reader task in the nursery."""
        self._nursery.start_soon(self._run, task)

    async def _run(self, task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        except Exception as fault:  # the library's, whatever it is: this connection is over
            self.fault = fault
        finally:
            self.ended.set()

    def verdict(self, stream: trio.abc.Stream) -> ConnectionEnded:
        """Why there was no handshake."""
        if isinstance(stream, TlsStream) and stream.problem:
            return ConnectionEnded(stream.problem, final=True)
        if not isinstance(self.fault, trio_websocket.ConnectionRejected):
            return ConnectionEnded("the peer ended the connection during the handshake")
        status = self.fault.status_code
        final = status < 500 and status not in _RETRIED_STATUS
        text = f"the hub refused the connection: HTTP {status}{_detail(self.fault.body)}"
        return ConnectionEnded(
            text, retry_after=_retry_after(self.fault.headers), final=final, refused_token=status == _NO_TOKEN
        )


@asynccontextmanager
async def open_connection(
    url: str, options: ConnectionOptions, token: str | None = None
) -> AsyncIterator[Connection]:
    """Connect to a ``ws://`` or ``wss://`` address, with `token` in the header ``Authorization``; leaving
    closes the connection, politely if there is time.

    Raises:
        ConnectionEnded: no connection within `connect_timeout`, or refused.
    """
    stream: trio.abc.Stream | None = None
    async with background() as nursery:
        try:
            with trio.move_on_after(options.connect_timeout) as connecting:
                stream = await _connect(url, options)
                socket = await _handshake(nursery, stream, url, options, token)
            if connecting.cancelled_caught or stream is None:
                raise ConnectionEnded(f"no answer within {options.connect_timeout:g} s")
            connection = Connection(socket, stream, token)
            yield connection
            with trio.move_on_after(options.close_timeout):
                await connection.aclose()
        finally:
            if stream is not None:
                # Shielded, or a Cancelled from in here would take the place of what ended the body.
                with trio.CancelScope(shield=True):
                    await trio.aclose_forcefully(stream)
            nursery.cancel_scope.cancel()


async def _connect(url: str, options: ConnectionOptions) -> trio.abc.Stream:
    parts = urlsplit(url)
    host = parts.hostname or ""
    secure = parts.scheme == "wss"
    try:
        stream = await trio.open_tcp_stream(host, parts.port or (443 if secure else 80))
    except OSError as error:
        raise ConnectionEnded(f"cannot connect: {error}") from error
    if not secure:
        return stream
    context = options.tls or ssl.create_default_context()
    encrypted = trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)
    try:
        await encrypted.do_handshake()
    except BaseException as error:
        await trio.aclose_forcefully(stream)
        if isinstance(error, trio.BrokenResourceError):
            problem = tls_problem(error)
            text = problem or f"no TLS: {error.__cause__ or error}"
            raise ConnectionEnded(text, final=problem is not None) from error
        raise
    return TlsStream(encrypted)


async def _handshake(
    nursery: trio.Nursery,
    stream: trio.abc.Stream,
    url: str,
    options: ConnectionOptions,
    token: str | None,
) -> trio_websocket.WebSocketConnection:
    parts = urlsplit(url)
    reader = _Reader(nursery)
    socket: trio_websocket.WebSocketConnection | None = None
    async with background() as race:
        race.start_soon(_cancel_after, reader.ended, race.cancel_scope)
        socket = await trio_websocket.wrap_client_stream(
            cast(trio.Nursery, reader),
            cast(trio.SocketStream, stream),
            parts.netloc.rpartition("@")[2],
            f"{parts.path or '/'}?{parts.query}".rstrip("?"),
            subprotocols=[options.subprotocol] if options.subprotocol else None,
            extra_headers=[(name.encode(), value.encode()) for name, value in bearer(token).items()],
            max_message_size=options.max_message_size,
            receive_buffer_size=_RECEIVE_BYTES,
        )
        race.cancel_scope.cancel()
    if socket is None:
        raise reader.verdict(stream)
    if socket.subprotocol != options.subprotocol:
        raise ConnectionEnded(f"the peer does not speak {options.subprotocol}", final=True)
    return socket


async def _cancel_after(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


def _retry_after(headers: tuple[tuple[bytes, bytes], ...]) -> float | None:
    for name, value in headers:
        if name.lower() == b"retry-after" and value.isdigit():
            return float(value)
    return None


def _detail(body: bytes | None) -> str:
    try:
        problem = decode_object(body or b"")
    except InvalidInput:
        return f", {text}" if (text := plain_text(body or b"")) else ""
    detail = problem.get("detail") or problem.get("title")
    return f", {detail}" if isinstance(detail, str) else ""
