"""One connection to Redis that hands over what it has read before it reads more.

Pub/sub has no history: a message that was read and then dropped is gone. coredis' own connection queues
messages without a bound and drops its queue when Redis closes the connection. So the hub reads the socket
itself, one piece at a time, and only takes coredis' parser. What the hub has not read waits in Redis, which
bounds it and disconnects a reader that is too slow.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import trio
from attrs import evolve, frozen
from coredis.connection import TCPLocation, UnixDomainSocketLocation
from coredis.constants.resp import DataType
from coredis.exceptions import NoScriptError, RedisError
from coredis.parser import NotEnoughData, Parser
from coredis.pool import ConnectionPool

__all__ = [
    "EXPECTED",
    "Address",
    "Connection",
    "NoScriptError",
    "Patience",
    "RedisError",
    "Reply",
    "connect",
    "dial",
    "read_address",
    "reason",
]

SCHEMES: Final = frozenset({"redis", "rediss", "unix"})
READ: Final = 65_536
"""Bytes read at a time."""
KEPT_READ: Final = 1_048_576
"""Bytes already parsed that the parser may keep; then they are dropped."""
FIRST_WAIT: Final = 0.25
LONGEST_WAIT: Final = 60.0

EXPECTED: Final = (RedisError, OSError, EOFError, TimeoutError, trio.TooSlowError, trio.BrokenResourceError)
"""The errors with which a connection ends."""


@frozen
class Patience:
    """Time limits of a connection, in seconds."""

    connect: float = 5.0
    ping_interval: float = 15.0
    """The hub sends a PING after this time without a byte from Redis."""
    ping_timeout: float = 10.0
    """The longest time that Redis may take to answer a PING."""
    first: float = FIRST_WAIT
    longest: float = LONGEST_WAIT


@frozen
class Reply:
    """One reply of Redis: the answer to a command (an exception if it is an error), or a pushed message."""

    value: Any
    pushed: bool


@frozen
class Address:
    """The address of a Redis server, and how to log in.

    Attributes:
        path: of a Unix socket; `host` and `port` do not count then.
        tls: None for a connection without TLS.
    """

    host: str
    port: int
    path: str = ""
    username: str = ""
    password: str = ""
    database: int = 0
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        """Return the address as logs show it, without the password."""
        return self.path or f"{self.host}:{self.port}"

    def at(self, host: str, port: int) -> Address:
        """Return the address of another node of the same cluster."""
        return evolve(self, host=host, port=port, path="")


def read_address(url: str, password: str = "") -> Address:
    """Read the address in a ``redis://``, ``rediss://`` or ``unix://`` URL.

    Raises:
        ValueError: the URL has another form.
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
    """A connection to Redis; `dial` opens it.

    Attributes:
        mode: ``standalone``, ``sentinel`` or ``cluster``, as Redis reports it.
    """

    def __init__(self, stream: trio.abc.Stream, patience: Patience) -> None:
        self.mode = ""
        self._stream = stream
        self._patience = patience
        self._parser = Parser()
        self._sending = trio.Lock()

    async def ask(self, *words: str | bytes) -> Any:  # noqa: ANN401 - whatever Redis answers
        """Send a command and wait for its answer. Call it before the first subscription only.

        Raises:
            RedisError: Redis refused it.
        """
        await self.send(*words)
        for reply in await self.read():
            if isinstance(reply.value, RedisError):
                raise reply.value
            return reply.value
        return None

    async def exchange(self, commands: Sequence[Sequence[str | bytes]], seconds: float) -> list[Any]:
        """Send several commands, wait for the answer to each, and return the answers: an error is one too.

        For a connection without subscriptions. A caller that is cancelled, or gets an exception, must close
        the connection: answers may still come.

        Raises:
            EOFError: Redis closed the connection.
            trio.TooSlowError: Redis did not answer within `seconds`.
        """
        found: list[Any] = []
        with trio.fail_after(seconds):
            async with self._sending:
                await self._stream.send_all(b"".join(map(_encoded, commands)))
            while len(found) < len(commands):
                found += [reply.value for reply in self._parsed() if not reply.pushed]
                if len(found) < len(commands):
                    await self._feed()
        return found

    async def aclose(self) -> None:
        """Close the connection at once."""
        await trio.aclose_forcefully(self._stream)

    async def send(self, *words: str | bytes) -> None:
        """Send a command; `read` returns its answer."""
        await self.send_all([words])

    async def send_all(self, commands: Sequence[Sequence[str | bytes]]) -> None:
        """Send several commands in one write."""
        data = b"".join(map(_encoded, commands))
        async with self._sending:
            with trio.fail_after(self._patience.ping_timeout):
                await self._stream.send_all(data)

    async def read(self) -> list[Reply]:
        """Wait for the next replies. A PING finds out that a silent Redis has stopped or that a cable is cut.

        Raises:
            EOFError: Redis closed the connection.
            trio.TooSlowError: Redis does not answer a PING.
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
    """Drop the bytes already parsed; the parser itself does so only when no unparsed bytes are left."""
    if parser.bytes_read > KEPT_READ:
        rest = parser.localbuffer.getvalue()[parser.bytes_read :]
        parser.localbuffer.seek(0)
        parser.localbuffer.truncate()
        parser.localbuffer.write(rest)
        parser.bytes_read, parser.bytes_written = 0, len(rest)


@asynccontextmanager
async def dial(address: Address, patience: Patience) -> AsyncGenerator[Connection, None]:
    """Connect and log in; close the connection at the end of the block.

    Raises:
        EXPECTED: no Redis listens at `address`, or it refuses.
    """
    connection = await connect(address, patience)
    try:
        yield connection
    finally:
        await connection.aclose()


async def connect(address: Address, patience: Patience) -> Connection:
    """Connect and log in. The caller closes the connection.

    Raises:
        EXPECTED: no Redis listens at `address`, or it refuses.
    """
    with trio.fail_after(patience.connect):
        stream = await _stream(address)
        try:
            connection = Connection(stream, patience)
            await _greet(connection, address)
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return connection


async def _greet(connection: Connection, address: Address) -> None:
    login = ["AUTH", address.username or "default", address.password] if address.password else []
    hello = await connection.ask("HELLO", "3", *login)
    connection.mode = hello[b"mode"].decode()
    if address.database:
        await connection.ask("SELECT", str(address.database))


async def _stream(address: Address) -> trio.abc.Stream:
    if address.path:
        return await trio.open_unix_socket(address.path)
    stream = await trio.open_tcp_stream(address.host, address.port)
    if address.tls is None:
        return stream
    return trio.SSLStream(stream, address.tls, server_hostname=address.host, https_compatible=True)


def reason(error: BaseException) -> str:
    """Say in a few words why a connection ended."""
    return "no answer in time" if isinstance(error, trio.TooSlowError) else str(error) or type(error).__name__
