"""The connection to one node of a Redis Cluster: its channels, its unanswered commands, its pauses."""

from __future__ import annotations

import math
from collections import Counter, deque
from typing import Final

import trio
from attrs import define, field

from tasktree_rt.brokers.redis.connection import Connection, Patience
from tasktree_rt.brokers.redis.pubsub import jittered

SUBSCRIBE: Final = "SSUBSCRIBE"
UNSUBSCRIBE: Final = "SUNSUBSCRIBE"
Node = tuple[str, int]


@define(eq=False)
class Shard:
    """The connection to one node.

    Attributes:
        channels: the channels wanted there; True once the node has confirmed the subscription.
        outgoing: commands to send.
        asked: commands sent and not answered yet.
        expected: by channel, how many of the `asked` commands subscribe to it.
        mended: channels subscribed to again whose gap is not reported yet.
    """

    node: Node
    channels: dict[bytes, bool] = field(factory=dict)
    outgoing: list[tuple[str, bytes]] = field(factory=list)
    asked: deque[tuple[str, bytes]] = field(factory=deque)
    expected: Counter[bytes] = field(factory=Counter)
    mended: list[bytes] = field(factory=list)
    wake: trio.Event = field(factory=trio.Event)

    def order(self, verb: str, channel: bytes) -> None:
        """Queue a command about a channel, for `send`."""
        self.outgoing.append((verb, channel))
        if verb == SUBSCRIBE:
            self.expected[channel] += 1
        self.wake.set()

    def answered(self, verb: str, channel: bytes) -> bool:
        """Remove a command from `asked`; return True if it was there."""
        try:
            self.asked.remove((verb, channel))
        except ValueError:
            return False
        self._cross_off(verb, channel)
        return True

    def refused(self) -> tuple[str, bytes]:
        """Remove the oldest command from `asked`: an error does not name the command that it answers."""
        verb, channel = self.asked.popleft()
        self._cross_off(verb, channel)
        return verb, channel

    def _cross_off(self, verb: str, channel: bytes) -> None:
        if verb == SUBSCRIBE:
            self.expected[channel] -= 1
            if not self.expected[channel]:
                del self.expected[channel]

    async def send(self, connection: Connection) -> None:
        """Send the queued commands until cancelled."""
        while True:
            self.wake = trio.Event()
            while self.outgoing:
                batch, self.outgoing = self.outgoing, []
                self.asked.extend(batch)
                await connection.send_all(batch)
            await self.wake.wait()


@define
class Pause:
    """The failures in a row, and the time of the next attempt."""

    tries: int = 0
    until: float = -math.inf

    def failed(self, patience: Patience) -> None:
        """Set the time of the next attempt; each failure in a row doubles the wait, up to a bound."""
        self.until = trio.current_time() + jittered(self.tries, patience)
        self.tries += 1
