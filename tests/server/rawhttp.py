"""HTTP/1.1 over one socket, for hubs that die in the middle, where httpx leaves its generators behind."""

from __future__ import annotations

from collections.abc import Iterable

import h11
import trio

from tests.cli.processes import PATIENCE
from tests.secure import ClientStream
from tests.wsclient import WsClient


class Gone(Exception):
    """The server is gone, or was never there."""


class HttpConnection:
    """One connection; `leave` closes it."""

    def __init__(self, stream: ClientStream, host: str) -> None:
        self._stream = stream
        self._host = host
        self._http = h11.Connection(h11.CLIENT)

    @classmethod
    async def open(cls, port: int, *, receive_buffer: int | None = None) -> HttpConnection:
        """Connect.

        Raises:
            Gone: nobody is there.
        """
        try:
            client = await WsClient.dial(port, receive_buffer=receive_buffer)
        except (OSError, trio.BrokenResourceError) as error:
            raise Gone from error
        return cls(client.stream, f"127.0.0.1:{port}")

    async def ask(
        self, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> h11.Response:
        """Send a request; its answer's head.

        Raises:
            Gone: the server is.
        """
        given = [("Host", self._host), *headers]
        if body:
            given.append(("Content-Length", str(len(body))))
        request = h11.Request(method=method, target=target, headers=given)
        data = b"".join(
            self._http.send(part) or b"" for part in (request, h11.Data(data=body), h11.EndOfMessage())
        )
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError as error:
            raise Gone from error
        response = await self._next()
        assert isinstance(response, h11.Response)
        return response

    async def more(self) -> bytes:
        """The next bytes of the answer's body; b"" at its end.

        Raises:
            Gone: the server went before its end.
        """
        event = await self._next()
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    async def body(self) -> bytes:
        """All of the answer's body; then the next request may be sent.

        Raises:
            Gone: the server went before its end.
        """
        found = b""
        while data := await self.more():
            found += data
        self._http.start_next_cycle()
        return found

    async def half_close(self) -> None:
        """Send nothing more."""
        await self._stream.send_eof()

    def leave(self) -> None:
        """Close the socket."""
        self._stream.socket.close()

    async def _next(self) -> object:
        try:
            with trio.fail_after(PATIENCE):
                while (event := self._http.next_event()) is h11.NEED_DATA:
                    self._http.receive_data(bytes(await self._stream.receive_some(65536)))
        except (trio.BrokenResourceError, h11.RemoteProtocolError) as error:
            raise Gone from error
        if isinstance(event, h11.ConnectionClosed):
            raise Gone
        return event
