"""Run a test on TLS as well: while `secure.on`, the hubs and the clients of tests speak it.

A module whose tests run on both says ``pytestmark = pytest.mark.usefixtures("wire")``.
"""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import pytest
import trio

from tasktree_rt.settings import Tls
from tests.certificates import Authority, Pair

LEAST = 2048
"""Encrypted bytes that a client reads at least in one go."""


class Secure:
    """Whether the hubs and clients of the present test speak TLS."""

    on = False

    @property
    def scheme(self) -> str:
        return "https" if self.on else "http"

    @property
    def tls(self) -> Tls:
        """The setting of a hub."""
        if not self.on:
            return Tls()
        pair = server_pair()
        return Tls(certfile=str(pair.cert), keyfile=str(pair.key))

    def flags(self, pair: Pair | None = None) -> list[str]:
        """The flags of a hub that is a process of its own; `pair`: its files, by default the usual ones."""
        if not self.on:
            return []
        pair = pair or server_pair()
        return ["--certfile", str(pair.cert), "--keyfile", str(pair.key)]

    @property
    def verify(self) -> ssl.SSLContext | bool:
        """httpx' argument; without TLS it reads no certificates, which costs 20 ms."""
        return client_context() if self.on else False


secure = Secure()


@cache
def _authority() -> Authority:
    return Authority(Path(tempfile.mkdtemp(prefix="tasktree-rt-certificates-")))


@cache
def server_pair() -> Pair:
    return _authority().issue()


@cache
def client_context() -> ssl.SSLContext:
    """Return the context of all clients; an HTTP client may set its protocols (ALPN)."""
    return new_client_context()


def new_client_context() -> ssl.SSLContext:
    """Make a context for a client that trusts the tests' certificates."""
    return _authority().client()


@pytest.fixture(params=["plain", "tls"])
def wire(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test on plain connections and on TLS."""
    secure.on = request.param == "tls"
    yield request.param
    secure.on = False


class ClientStream(Protocol):
    """What the clients of tests need of a connection."""

    socket: Any

    async def send_all(self, data: bytes | bytearray | memoryview) -> None: ...

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray: ...

    async def send_eof(self) -> None: ...

    async def aclose(self) -> None: ...


class TlsStream:
    """A client's TLS connection. An end without TLS' own end is an error, and `send_eof` half-closes."""

    def __init__(self, below: trio.SocketStream, context: ssl.SSLContext | None = None) -> None:
        self.socket = below.socket
        self._below = below
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = context or client_context()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="127.0.0.1")

    async def shake_hands(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._more(LEAST):
                    raise trio.BrokenResourceError("the end came within the handshake") from None
            else:
                return await self._flush()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if data:
            self.tls.write(data)
        await self._flush()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        size = max_bytes or 65536
        await trio.lowlevel.checkpoint()
        while True:
            try:
                return self.tls.read(size)
            except ssl.SSLWantReadError:
                if not await self._more(max(size, LEAST)):
                    raise trio.BrokenResourceError("the connection was cut off") from None
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLError as error:
                raise trio.BrokenResourceError(str(error)) from error

    async def send_eof(self) -> None:
        self._say_end()
        await self._flush()
        await self._below.send_eof()

    async def aclose(self) -> None:
        try:
            self._say_end()
            with trio.move_on_after(1), suppress(trio.BrokenResourceError):
                await self._flush()
        finally:
            await self._below.aclose()

    def _say_end(self) -> None:
        waiting = self._incoming.read()
        with suppress(ssl.SSLError):
            self.tls.unwrap()
        self._incoming.write(waiting)

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._below.send_all(self._outgoing.read())

    async def _more(self, size: int) -> bool:
        data = await self._below.receive_some(size)
        self._incoming.write(data)
        return bool(data)


async def dressed(stream: trio.SocketStream) -> ClientStream:
    """The stream of a client that connected: encrypted while `secure.on`."""
    if not secure.on:
        return stream
    encrypted = TlsStream(stream)
    try:
        await encrypted.shake_hands()
    except ssl.SSLError as error:
        stream.socket.close()
        raise trio.BrokenResourceError(str(error)) from error
    except BaseException:
        stream.socket.close()
        raise
    return encrypted


class Reader(Protocol):
    async def rest(self) -> bytes: ...


async def assert_cut_off(client: Reader) -> None:
    """The server ended the connection without a word: with TLS also without its end, so that no client takes
    that for an answer."""
    if secure.on:
        with pytest.raises(trio.BrokenResourceError):
            await client.rest()
    else:
        assert await client.rest() == b""
