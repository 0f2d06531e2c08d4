"""Serve HTTP/1.1 on one connection with Hypercorn's protocol, without its other protocols.

Hypercorn alone would also serve HTTP/2 without TLS (after ``Upgrade: h2c``, or after the preface of HTTP/2)
and its own WebSockets, where the hub's limits do not hold. So the server answers the preface with 505,
ignores an ``Upgrade`` to anything but a WebSocket, and returns a request for a WebSocket to the connection's
owner (`Pipe.upgrade`), at any place on the connection.

The server refuses a head that two servers could read differently (`web.server.request_head.flaw`) and ends
the connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol

import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Body, EndBody, Request
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream

from tasktree_rt.web.server.raw_response import answer
from tasktree_rt.web.server.request_head import (
    MAX_HEAD,
    TOO_LONG,
    end_of_head,
    flaw,
    path_and_query,
    websocket_head,
)
from tasktree_rt.web.server.syscalls import Address, ClientOf, peer_itself

if TYPE_CHECKING:
    from hypercorn.typing import AppWrapper, ConnectionState, TaskGroup, WorkerContext

TURN: Final = 64
"""Chunks of a body that are read before other tasks run: under a millisecond."""
SPARE_FRAMING: Final = 32 * 1024
FRAMING_SHARE: Final = 8
"""A chunked body may have `SPARE_FRAMING` bytes of framing, plus one byte for each `FRAMING_SHARE` bytes of
content. A chunk costs the same time, however small it is; chunks of 48 bytes and more never reach the limit.
"""
SPARE_READS: Final = 1024
READ_SHARE: Final = 64
"""A body may take `SPARE_READS` reads, plus one for each `READ_SHARE` bytes of content."""
SPARE_BODY: Final = 1024 * 1024
"""A body ends its connection after twice the maximum of its path plus `SPARE_BODY` bytes. A route that reads
the body answers 413 before that."""

_SENTENCES: Final = {
    400: "This is not an HTTP/1.1 request.",
    431: TOO_LONG,
}


class Pipe(Protocol):
    """The part of a connection's stream that `Http11` uses.

    Attributes:
        upgrade: a request for a WebSocket with the bytes after its head; b"" until one comes.
    """

    upgrade: bytes


class Http11(H11Protocol):
    """Serve the requests of one connection, one after the other."""

    connection: h11.Connection

    def __init__(
        self,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        task_group: TaskGroup,
        state: ConnectionState,
        client: Address | None,
        server: Address | None,
        send: Callable[[Event], Awaitable[None]],
        pipe: Pipe,
        client_of: ClientOf = peer_itself,
        *,
        body_limit: Callable[[str], int],
        secure: bool = False,
    ) -> None:
        super().__init__(app, config, context, task_group, state, secure, client, server, send)
        self._pipe = pipe
        self._client_of = client_of
        self._body_limit = body_limit
        self._most = 0
        self._fresh = b""  # the last read, with the four bytes before it
        self._chunked = False
        self._received = 0
        self._reads = 0
        self._body = 0
        self._ended = False

    async def handle(self, event: Event) -> None:
        """Take bytes of the peer, or the end of the connection."""
        if isinstance(event, Closed):
            self._ended = True
            await self.can_read.set()  # a reader that waits behind a response ends too
        if isinstance(event, RawData):
            if self.connection.their_state is h11.MUST_CLOSE:
                return  # bytes after the last request (Connection: close): dropped
            self._fresh = self._fresh[-4:] + event.data
            self._received += len(event.data)
            self._reads += 1
        await super().handle(event)

    async def _handle_events(self) -> None:
        """Handle all events of the received bytes; answer a malformed request and end the connection."""
        try:
            await self._read()
        except h11.RemoteProtocolError as error:
            if self.connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                status = error.error_status_hint
                sentence = str(error) if isinstance(error, _Refusal) else _SENTENCES.get(status, "")
                await self.send(RawData(data=answer(status, sentence)))
            await self.send(Closed())

    async def _read(self) -> None:
        """Handle events as Hypercorn does, but pass the received chunks of a body on as one."""
        pieces: list[bytes] = []
        while True:
            if self.connection.they_are_waiting_for_100_continue:
                await self._send_h11_event(h11.InformationalResponse(status_code=100, headers=[]))
            state = self.connection.their_state
            if state is h11.MUST_CLOSE or (state is h11.IDLE and self._asks_for_websocket()):
                return
            event = self.connection.next_event()
            if isinstance(event, h11.Data):
                self._body += len(event.data)
                pieces.append(bytes(event.data))
                if len(pieces) % TURN == 0:
                    self._check_body()
                    await trio.lowlevel.checkpoint()
                continue
            if pieces:
                self._check_body()
                await self._pass_on(b"".join(pieces))
                pieces.clear()
            if not await self._go_on(event):
                return

    async def _pass_on(self, body: bytes) -> None:
        if self.stream is not None:
            await self.stream.handle(Body(stream_id=STREAM_ID, data=body))

    async def _go_on(self, event: object) -> bool:
        """Handle an event that is no chunk of a body; return whether more events may follow."""
        if isinstance(event, h11.Request):
            self._chunked = any(name == b"transfer-encoding" for name, _ in event.headers)
            self._received, self._reads, self._body = len(self.connection.trailing_data[0]), 0, 0
            await self.send(Updated(idle=False))
            await self._create_stream(event)
        elif event is h11.PAUSED and not self._ended:
            await self.can_read.clear()
            await self.can_read.wait()
        elif isinstance(event, h11.EndOfMessage) and self.stream is not None:
            self._check_end(event)
            await self.stream.handle(EndBody(stream_id=STREAM_ID))
        else:
            return False
        return True

    def _asks_for_websocket(self) -> bool:
        """Return whether the next head is whole and asks for a WebSocket; then it is in `Pipe.upgrade`.

        Raises:
            h11.RemoteProtocolError: the head has a flaw.
        """
        data = self.connection.trailing_data[0]
        if not 0 < end_of_head(data) <= MAX_HEAD:
            return False
        wrong = flaw(data)
        if wrong is not None:
            raise _Refusal(wrong.sentence, error_status_hint=wrong.status)
        if websocket_head(data) is None:
            return False
        self._pipe.upgrade = data
        return True

    def _check_end(self, end: h11.EndOfMessage) -> None:
        """Check the end of a chunked body: h11 also accepts an end with bare LF, and trailer fields.

        Raises:
            h11.RemoteProtocolError: the body ends in one of these ways.
        """
        if not self._chunked:
            return
        left = len(self.connection.trailing_data[0])
        if end.headers or not self._fresh[: len(self._fresh) - left].endswith(b"\r\n\r\n"):
            raise _Refusal(
                "A chunked body must end with 0 and CR LF twice, without fields.", error_status_hint=400
            )

    def _check_body(self) -> None:
        """Check the body's framing, reads and size against their limits, even if no route reads the body.

        Raises:
            h11.RemoteProtocolError: a limit is exceeded.
        """
        framing = self._received - self._body - len(self.connection.trailing_data[0])
        if framing > SPARE_FRAMING + self._body // FRAMING_SHARE:
            raise _Refusal("The chunks of this body are too small: send more in each.", error_status_hint=400)
        if self._reads > SPARE_READS + self._body // READ_SHARE:
            raise _Refusal("This body arrives in too many small pieces.", error_status_hint=400)
        if self._body > 2 * self._most + SPARE_BODY:
            raise _Refusal("This body is too large.", error_status_hint=413)

    async def _create_stream(self, request: h11.Request) -> None:
        """Create an HTTP stream as Hypercorn does; requests for a WebSocket never reach this method."""
        headers, target = list(request.headers), path_and_query(request.target)
        self._most = self._body_limit(target.partition(b"?")[0].decode("latin-1"))
        self.stream = HTTPStream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self._client_of(self.client, headers),
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=headers,
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii").upper(),
                raw_path=target,
                state=self.connection_state,
            )
        )
        self.keep_alive_requests += 1
        await self.context.mark_request()


class _Refusal(h11.RemoteProtocolError):
    """A rule of the hub refuses the request; the message is the response's body."""
