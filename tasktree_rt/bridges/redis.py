"""A listener to Redis' pub/sub that comes back after every loss and says that there was one.

Pub/sub has no history: what is published while nobody listens is gone. So the listener's first duty is to
know when it listens. Whoever uses it is told each time that the subscription stands (`on_up`), and each time
that it is lost (`on_down`); everything published in between is handed over, in order, once.

The connection is coredis', which runs on any event loop of anyio's, Trio's among them. Its own `PubSub` is
not used: it queues what it reads without a bound and reconnects without telling.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from random import uniform
from typing import Any, Final
from urllib.parse import urlsplit

import trio
from anyio import CapacityLimiter, WouldBlock
from attrs import frozen
from coredis.connection import BaseConnection, TCPLocation, UnixDomainSocketLocation
from coredis.exceptions import RedisError
from coredis.pool import ConnectionPool
from structlog.stdlib import BoundLogger, get_logger

log: Final[BoundLogger] = get_logger("tasktree_rt.redis")
SCHEMES: Final = frozenset({"redis", "rediss", "unix"})
FIRST_WAIT: Final = 0.25
LONGEST_WAIT: Final = 60.0
GOOD: Final = 30.0
"""A subscription that stood so long, in seconds, was no false start: the waits begin anew."""

EXPECTED: Final = (RedisError, OSError, TimeoutError, trio.TooSlowError)
"""How a connection is lost."""
_PMESSAGE: Final = b"pmessage"
_PSUBSCRIBE: Final = b"psubscribe"


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


class Listener:
    """See the module's docstring.

    `received(channel, body)` is called for each message and must not block; it may return something to wait
    for, and nothing more is read meanwhile. An exception from it ends `run`.
    """

    def __init__(
        self,
        url: str,
        patterns: Sequence[str],
        received: Callable[[bytes, bytes], Awaitable[None] | None],
        *,
        on_up: Callable[[], None] = lambda: None,
        on_down: Callable[[str], None] = lambda reason: None,
        password: str = "",
        patience: Patience | None = None,
    ) -> None:
        self._pool = make_pool(url, password, patience or Patience())
        self._patterns = [pattern.encode() for pattern in patterns]
        self._received = received
        self._on_up = on_up
        self._on_down = on_down
        self._patience = patience or Patience()
        self._stood_since = math.inf

    @property
    def address(self) -> str:
        """Where Redis is, without a password."""
        return str(self._pool.location)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled; started when the subscription stands, or once it could not be had."""
        started = False

        def tried() -> None:
            nonlocal started
            if not started:
                started = True
                task_status.started()

        tries = 0
        while True:
            self._stood_since = math.inf
            reason = await self._listen(tried)
            if trio.current_time() - self._stood_since >= GOOD:
                tries = 0
            tried()
            wait = jittered(tries, self._patience)
            log.warning("lost", redis=self.address, reason=reason, retry_in=round(wait, 3))
            self._on_down(reason)
            tries += 1
            await trio.sleep(wait)

    async def _listen(self, tried: Callable[[], None]) -> str:
        """One connection from its beginning to its end; why it ended."""
        reason = ""
        try:
            async with trio.open_nursery() as nursery:
                limiter = CapacityLimiter(1)
                with trio.fail_after(self._patience.connect):
                    connection = await self._connect(nursery, limiter)
                nursery.start_soon(self._ping, connection)
                await self._read(connection, _Brake(connection, limiter), tried)
        except* EXPECTED as group:
            reason = _told(group)
        except* Exception as group:
            # Whatever it is, the hub goes on and Redis is tried again.
            log.error("fault", redis=self.address, exc_info=group)
            reason = _told(group)
        return reason

    async def _connect(self, nursery: trio.Nursery, limiter: CapacityLimiter) -> BaseConnection:
        """Connect and shake hands."""
        await _knock(self._pool.location)
        kept: dict[str, Any] = {**self._pool.connection_kwargs, "processing_budget": limiter}
        connection: BaseConnection = self._pool.connection_class(self._pool.location, **kept)
        await nursery.start(connection.run)
        return connection

    async def _read(self, connection: BaseConnection, brake: _Brake, tried: Callable[[], None]) -> None:
        connection.send_command(b"PSUBSCRIBE", *self._patterns)
        missing = len(self._patterns)
        async with aclosing(connection.push_messages) as pushes:
            async for push in pushes:
                kind = push[0]
                if kind == _PMESSAGE:
                    _, _, channel, body = push
                    assert isinstance(channel, bytes)
                    assert isinstance(body, bytes)
                    waiting = self._received(channel, body)
                    if waiting is not None:
                        await waiting
                elif kind == _PSUBSCRIBE:
                    missing -= 1
                    if missing == 0:
                        log.info("listening", redis=self.address)
                        self._stood_since = trio.current_time()
                        self._on_up()
                        tried()
                brake.adjust()

    async def _ping(self, connection: BaseConnection) -> None:
        """A Redis that is stopped, or behind a cut cable, still has a connection: ask it."""
        interval = self._patience.ping_interval
        while True:
            silent = -connection.statistics.last_byte_received_at
            await trio.sleep(interval)
            if silent == -connection.statistics.last_byte_received_at:
                with trio.fail_after(self._patience.ping_timeout):
                    await connection.create_request(b"PING")


async def _knock(location: object) -> None:
    """Whether anybody is there at all: where nobody is, coredis leaves its queues open and tells no reason.

    Raises:
        OSError: nobody is.
    """
    if isinstance(location, UnixDomainSocketLocation):
        await (await trio.open_unix_socket(location.path)).aclose()
    elif isinstance(location, TCPLocation):
        await (await trio.open_tcp_stream(location.host, location.port)).aclose()


class _Brake:
    """Stops a connection from reading while what it has read is not dealt with.

    The connection puts messages into a queue without a bound, a read (64 KiB) at a time, and needs its
    processing budget for each. Holding that while anything is queued leaves the rest in Redis' own output
    buffer, which has a bound: who is too slow is disconnected there, and knows it.
    """

    def __init__(self, connection: BaseConnection, limiter: CapacityLimiter) -> None:
        self._connection = connection
        self._limiter = limiter
        self._held = False

    def adjust(self) -> None:
        """Pull it, or let it go."""
        if self._connection.reusable or not self._connection.usable:
            if self._held:
                self._held = False
                self._limiter.release_on_behalf_of(self)
        elif not self._held:
            try:
                self._limiter.acquire_on_behalf_of_nowait(self)
                self._held = True
            except WouldBlock:
                pass  # it is dealing with a read just now


def make_pool(url: str, password: str, patience: Patience) -> ConnectionPool[Any]:
    """Where and how to connect, from a ``redis://``, ``rediss://`` or ``unix://`` address.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not (parts.hostname or (parts.scheme == "unix" and parts.path)):
        raise ValueError("expected redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH")
    return ConnectionPool.from_url(
        url, decode_components=True, connect_timeout=patience.connect, password=password or None
    )


def jittered(tries: int, patience: Patience) -> float:
    """Seconds to wait after so many failures in a row: by chance, from half a bound that doubles up to it."""
    bound = min(patience.longest, patience.first * math.pow(2, min(tries, 32)))
    return uniform(bound / 2, bound)  # noqa: S311 - no secret


def _told(group: BaseExceptionGroup[Exception]) -> str:
    """What happened, in a line: of several things the first, of its causes the one that says most."""
    error: BaseException | None = group
    told = ""
    while error is not None:
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
            continue
        told = f"{type(error).__name__}: {error}" if str(error) else told or type(error).__name__
        error = error.__cause__
    return " ".join(told.split())[:200]
