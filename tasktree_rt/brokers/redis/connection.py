"""One connection to Redis that hands over what it has read before it reads more.

Pub/sub has no history: a message that was read and then dropped is gone. coredis' own connection queues
messages without a bound and drops its queue when Redis closes the connection. So the hub reads the socket
itself, one piece at a time, and only takes coredis' parser. What the hub has not read waits in Redis, which
bounds it and disconnects a reader that is too slow.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import trio
from attrs import evolve, frozen
from coredis.connection import TCPLocation, UnixDomainSocketLocation
from coredis.constants.resp import DataType
from coredis.exceptions import RedisError
from coredis.parser import NotEnoughData, Parser
from coredis.pool import ConnectionPool

SCHEMES: Final = frozenset({"redis", "rediss", "unix"})
READ: Final = 65_536
"""Bytes read at a time."""
KEPT_READ: Final = 1_048_576
"""Bytes already parsed that the parser may keep; then they are dropped."""
FIRST_WAIT: Final = 0.25
LONGEST_WAIT: Final = 60.0

EXPECTED: Final = (RedisError, OSError, EOFError, TimeoutError, trio.TooSlowError, trio.BrokenResourceError)
"""How a connection is lost."""


@frozen
class Patience:
    """How long the listener waits for what. Seconds."""

    connect: float = 5.0
    ping_interval: float = 15.0
    """After so long without a byte a PING is sent."""
    ping_timeout: float = 10.0
    """So long its answer may take."""
    first: float = FIRST_WAIT
    longest: float = LONGEST_WAIT


@frozen
class Reply:
    """What Redis says: the answer to a command (an error is the exception), or what it pushes unasked."""

    value: Any
    pushed: bool


@frozen
class Address:
    """Where a Redis is, and how it is asked.

    Attributes:
        path: of a socket; then there is no host.
        tls: None: in the clear.
    """

    host: str
    port: int
    path: str = ""
    username: str = ""
    password: str = ""
    database: int = 0
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        """For people: without a password."""
        return self.path or f"{self.host}:{self.port}"

    def at(self, host: str, port: int) -> Address:
        """Another node of the same cluster."""
        return evolve(self, host=host, port=port, path="")


def read_address(url: str, password: str = "") -> Address:
    """The address in a ``redis://``, ``rediss://`` or ``unix://`` URL.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not (parts.hostname or (parts.scheme == "unix" and parts.path)):
        raise ValueError("expected redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH")
    pool = ConnectionPool.from_url(url, decode_components=True)
    location, given = pool.location, pool.connection_kwargs
    more: dict[str, Any] = {
        "username": given.get("username") or "",
        "password": password or given.get("password") or "",
        "database": given.get("db") or 0,
        "tls": given.get("ssl_context"),
    }
    if isinstance(location, UnixDomainSocketLocation):
        return Address("", 0, location.path, **more)
    assert isinstance(location, TCPLocation)
    return Address(location.host, location.port, **more)


class Connection:
    """See the module's docstring. `dial` makes one.

    Attributes:
        mode: ``standalone``, ``sentinel`` or ``cluster``, as Redis says.
    """

    def __init__(self, stream: trio.abc.Stream, patience: Patience) -> None:
        self.mode = ""
        self._stream = stream
        self._patience = patience
        self._parser = Parser()
        self._sending = trio.Lock()

    async def ask(self, *words: str | bytes) -> Any:  # noqa: ANN401 - whatever Redis answers
        """Send a command and wait for its answer. Only for before anything is subscribed to.

        Raises:
            RedisError: Redis refused it.
        """
        await self.send(*words)
        for reply in await self.read():
            if isinstance(reply.value, RedisError):
                raise reply.value
            return reply.value
        return None

    async def send(self, *words: str | bytes) -> None:
        """Send a command; `read` gives its answer."""
        await self.send_all([words])

    async def send_all(self, commands: Sequence[Sequence[str | bytes]]) -> None:
        """Send several commands in one write."""
        data = b"".join(map(_encoded, commands))
        async with self._sending:
            with trio.fail_after(self._patience.ping_timeout):
                await self._stream.send_all(data)

    async def read(self) -> list[Reply]:
        """What Redis said next, once it said something. A Redis that is stopped, or behind a cut cable, still
        has a connection: so a silent one is asked.

        Raises:
            EOFError: Redis closed the connection.
            trio.TooSlowError: it does not even answer a PING.
        """
        wait = self._patience.ping_interval
        while not (found := list(self._parsed())):
            with trio.move_on_after(wait) as silence:
                await self._feed()
            if not silence.cancelled_caught:
                wait = self._patience.ping_interval
            elif wait == self._patience.ping_timeout:
                raise trio.TooSlowError("Redis does not answer a PING")
            else:
                wait = self._patience.ping_timeout
                await self.send("PING")
        return found

    async def _feed(self) -> None:
        data = await self._stream.receive_some(READ)
        if not data:
            raise EOFError("Redis closed the connection")
        self._parser.feed(bytes(data))

    def _parsed(self) -> Iterator[Reply]:
        while True:
            found = self._parser.parse()
            if isinstance(found, NotEnoughData):
                break
            yield Reply(found[1], found[0] == DataType.PUSH)
        _forget_read(self._parser)


def _encoded(words: Sequence[str | bytes]) -> bytes:
    raw = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(raw) + b"".join(b"$%d\r\n%b\r\n" % (len(one), one) for one in raw)


def _forget_read(parser: Parser) -> None:
    """Drop what was parsed: the parser does so only if nothing is left of the next reply."""
    if parser.bytes_read > KEPT_READ:
        rest = parser.localbuffer.getvalue()[parser.bytes_read :]
        parser.localbuffer.seek(0)
        parser.localbuffer.truncate()
        parser.localbuffer.write(rest)
        parser.bytes_read, parser.bytes_written = 0, len(rest)


@asynccontextmanager
async def dial(address: Address, patience: Patience) -> AsyncGenerator[Connection, None]:
    """Connect and shake hands; closed at the end of the block.

    Raises:
        EXPECTED: there is no Redis, or it refuses.
    """
    with trio.fail_after(patience.connect) as connected:
        stream = await _stream(address)
        try:
            connection = Connection(stream, patience)
            await _greet(connection, address)
            connected.deadline = math.inf
            yield connection
        finally:
            await trio.aclose_forcefully(stream)


async def _greet(connection: Connection, address: Address) -> None:
    who = ["AUTH", address.username or "default", address.password] if address.password else []
    said = await connection.ask("HELLO", "3", *who)
    connection.mode = said[b"mode"].decode()
    if address.database:
        await connection.ask("SELECT", str(address.database))


async def _stream(address: Address) -> trio.abc.Stream:
    if address.path:
        return await trio.open_unix_socket(address.path)
    stream = await trio.open_tcp_stream(address.host, address.port)
    if address.tls is None:
        return stream
    return trio.SSLStream(stream, address.tls, server_hostname=address.host, https_compatible=True)
