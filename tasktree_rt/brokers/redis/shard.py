"""One node of a Redis Cluster: what is heard there, what it was asked, and when it is left alone."""

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
        channels: what is to be heard there, and whether it is yet.
        outgoing: commands that are to be sent.
        asked: commands that were sent, without an answer so far.
        expected: of each channel, how many of those are to subscribe to it.
        mended: channels that stand again, of which nobody was told yet.
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
        """Cross a command off; whether there was one."""
        try:
            self.asked.remove((verb, channel))
        except ValueError:
            return False
        self._cross_off(verb, channel)
        return True

    def refused(self) -> tuple[str, bytes]:
        """Cross off the command that was sent first: an error says not which one it answers."""
        verb, channel = self.asked.popleft()
        self._cross_off(verb, channel)
        return verb, channel

    def _cross_off(self, verb: str, channel: bytes) -> None:
        if verb == SUBSCRIBE:
            self.expected[channel] -= 1
            if not self.expected[channel]:
                del self.expected[channel]

    async def send(self, connection: Connection) -> None:
        """Send what is ordered; runs until cancelled."""
        while True:
            self.wake = trio.Event()
            while self.outgoing:
                batch, self.outgoing = self.outgoing, []
                self.asked.extend(batch)
                await connection.send_all(batch)
            await self.wake.wait()


@define
class Pause:
    """How often something failed in a row, and until when it is left alone."""

    tries: int = 0
    until: float = -math.inf

    def failed(self, patience: Patience) -> None:
        """Wait longer than after the failure before, up to the longest wait."""
        self.until = trio.current_time() + jittered(self.tries, patience)
        self.tries += 1
