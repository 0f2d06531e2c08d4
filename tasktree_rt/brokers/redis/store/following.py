"""Hearing what other hubs append: a subscription for each followed log, and a probe that proves it alive.

A connection can be healthy and deaf. So this hub writes a sign of life twice a second, by the way that
appends take, and expects to hear it. If it does not, it connects anew and subscribes again to everything.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Final, Never

import trio
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.brokers.base import Heard
from tasktree_rt.brokers.redis.connection import EXPECTED, Connection, Patience, dial, reason
from tasktree_rt.brokers.redis.pubsub import jittered
from tasktree_rt.brokers.redis.store.engine import Engine
from tasktree_rt.brokers.redis.store.records import read_hint
from tasktree_rt.brokers.redis.store.scripts import POSITIONS, TAKE_COMMANDS
from tasktree_rt.core.log import Position
from tasktree_rt.errors import StoreUnavailable

log: Final[BoundLogger] = get_logger("tasktree_rt.redis")
PROBE: Final = 0.5
"""Seconds between two signs of life."""
DEAF: Final = 1.5
"""Seconds without a sound after which the connection is made anew."""
AT_ONCE: Final = 500
"""Channels in one command, and logs in one question."""
PATIENCE: Final = Patience(connect=3.0, first=0.05, longest=2.0)


class RedisFollowing:
    """Implements `brokers.base.Following`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._topics: dict[str, trio.Event] = {}
        """By followed log what is set once Redis has confirmed the subscription."""
        self._connection: Connection | None = None
        self._orders: list[tuple[str, ...]] = []
        self._wake = trio.Event()
        self._wanted: set[bytes] = set()
        """Channels that must be confirmed before this hub hears everything."""
        self._up = False

    # --- what the hub calls ---------------------------------------------------------------------------

    async def follow(self, topic: str) -> None:
        """Subscribe to a log's channel."""
        confirmed = self._topics.get(topic)
        if confirmed is None:
            confirmed = self._topics[topic] = trio.Event()
            self._order("SUBSCRIBE", self._channel(topic))
            if not self._up:
                self._wanted.add(self._channel(topic).encode())
        if self._up:
            with trio.move_on_after(DEAF):
                await confirmed.wait()

    def leave(self, topic: str) -> None:
        """Unsubscribe from a log's channel."""
        if self._topics.pop(topic, None) is not None:
            self._wanted.discard(self._channel(topic).encode())
            self._order("UNSUBSCRIBE", self._channel(topic))

    async def positions(self, topics: Collection[str]) -> dict[str, Position]:
        """Ask for the newest positions, many in one script."""
        found: dict[str, Position] = {}
        asked = list(topics)
        for first in range(0, len(asked), AT_ONCE):
            some = asked[first : first + AT_ONCE]
            _, rows = await self._engine.run(POSITIONS, *some)
            for topic, (epoch, seq) in zip(some, rows, strict=True):
                found[topic] = Position(epoch.decode(), int(seq))
        return found

    async def take_commands(self) -> list[str]:
        """Take the commands of hubs that are gone."""
        _, found = await self._engine.run(TAKE_COMMANDS)
        return [one.decode() for one in found]

    async def run(self, heard: Heard) -> None:
        """Listen until cancelled; connect again after each failure."""

        def renewed() -> None:
            if self._up:
                heard.up()  # otherwise it comes with the connection

        self._engine.renewed = renewed
        tries = 0
        while True:
            try:
                await self._listen(heard)
            except* (*EXPECTED, StoreUnavailable) as failed:
                why = reason(_first_of(failed))
            tries = 0 if self._up else tries + 1
            self._up, self._connection = False, None
            heard.down(why)
            await trio.sleep(jittered(tries, PATIENCE))

    # --- one connection -------------------------------------------------------------------------------

    async def _listen(self, heard: Heard) -> Never:
        address = await self._engine.find()
        async with dial(address, PATIENCE) as connection:
            self._connection = connection
            channels = [self._probe_channel, f"{self._engine.prefix}:interactions"]
            for confirmed in list(self._topics):
                self._topics[confirmed] = trio.Event()
            self._orders = [("SUBSCRIBE", *channels)]
            topics = [self._channel(one) for one in self._topics]
            for first in range(0, len(topics), AT_ONCE):
                self._orders.append(("SUBSCRIBE", *topics[first : first + AT_ONCE]))
            self._wanted = {one.encode() for one in (*channels, *topics)}
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send, connection)
                await self._read(connection, heard, nursery)
        raise AssertionError

    async def _read(self, connection: Connection, heard: Heard, nursery: trio.Nursery) -> Never:
        own = self._engine.hub.encode()
        while True:
            with trio.fail_after(max(DEAF, PATIENCE.connect) if not self._up else DEAF):
                replies = await connection.read()
            for reply in replies:
                match reply.value:
                    case [b"message", bytes(channel), bytes(body)]:
                        self._take(channel, body, own, heard)
                    case [b"subscribe", bytes(channel), _]:
                        self._wanted.discard(channel)
                        self._confirm(channel)
                        if not self._wanted and not self._up:
                            self._up = True
                            heard.up()
                            nursery.start_soon(self._probe)
                    case Exception() as error:
                        raise error
            await heard.room()

    def _take(self, channel: bytes, body: bytes, own: bytes, heard: Heard) -> None:
        if body.startswith(own):
            return  # this hub's: it has the answer, or waits for it
        topic = self._topic(channel)
        if topic is None:
            heard.interaction(body.partition(b" ")[2].decode())
            return
        if topic not in self._topics:
            return
        try:
            found = read_hint(topic, body)
        except ValueError:
            log.warning("hint not understood", topic=topic)
            heard.behind(topic)
            return
        if found.records:
            heard.records(found)
        else:
            heard.behind(topic)

    def _confirm(self, channel: bytes) -> None:
        topic = self._topic(channel)
        if topic in self._topics:
            self._topics[topic].set()

    async def _probe(self) -> Never:
        """Write signs of life; `_read` hears them."""
        while True:
            with suppress(StoreUnavailable):
                await self._engine.alive()
            await trio.sleep(PROBE)

    async def _send(self, connection: Connection) -> Never:
        while True:
            self._wake = trio.Event()
            orders, self._orders = self._orders, []
            if orders:
                await connection.send_all(orders)
                continue
            await self._wake.wait()

    def _order(self, verb: str, channel: str) -> None:
        if self._connection is not None:
            self._orders.append((verb, channel))
            self._wake.set()

    # --- names ----------------------------------------------------------------------------------------

    def _channel(self, topic: str) -> str:
        return f"{self._engine.prefix}:{{{topic}}}:h"

    def _topic(self, channel: bytes) -> str | None:
        """Return the log of a channel; None if it is no log's."""
        name = channel.decode()
        return name[len(self._engine.prefix) + 2 : -3] if name.endswith(":h") else None

    @property
    def _probe_channel(self) -> str:
        return f"{self._engine.prefix}:probe:{self._engine.hub}"


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
