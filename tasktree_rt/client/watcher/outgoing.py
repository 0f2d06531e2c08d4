"""What a watcher sends, at a bounded rate: a new token, requests of its subscriptions, acks, read marks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio
from attrs import define

from tasktree_rt.client.transport.connection import Connection
from tasktree_rt.client.transport.errors import ConnectionEnded
from tasktree_rt.client.watcher.read_marks import ReadMarks
from tasktree_rt.client.watcher.subscription_state import SubscriptionState
from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import encode_json, named

BURST: Final = 100
PER_SECOND: Final = 25.0
"""Messages a watcher sends: half of what the hub's default limits allow."""


@define
class Pace:
    """A token bucket for sent messages."""

    tokens: float = BURST
    filled: float = 0.0

    async def wait(self) -> None:
        """Wait until one more message may be sent."""
        now = trio.current_time()
        self.tokens = min(float(BURST), self.tokens + (now - self.filled) * PER_SECOND)
        self.filled = now
        self.tokens -= 1.0
        if self.tokens < 0.0:
            await trio.sleep(-self.tokens / PER_SECOND)


class Outgoing:
    """The messages that wait to be sent, and the task that sends them. `first` gives the most urgent ones."""

    def __init__(
        self, subscriptions: SubscriptionState, first: Callable[[], Json | None] = lambda: None
    ) -> None:
        self._subscriptions = subscriptions
        self._first = first
        self._watermarks: dict[str, int] = {}
        self._marks = ReadMarks()
        self._something = trio.lowlevel.ParkingLot()
        self._pace = Pace()

    def begin(self) -> None:
        """Start again on a new connection."""
        self._marks.rewind()
        self._pace = Pace(filled=trio.current_time())

    def wake(self) -> None:
        """Send what the subscriptions ask for now."""
        self._something.unpark_all()

    def ack(self, topic: str, seq: int) -> None:
        """Tell the hub that everything up to `seq` was shown; only the newest of each topic is sent."""
        self._watermarks[topic] = seq
        self.wake()

    def mark_read(self, topic: str, seq: int) -> None:
        """Tell the hub, until it has stored it, that a user's log was read up to `seq`."""
        if self._marks.set(topic, seq):
            self.wake()

    def take_response(self, message: Json) -> bool:
        """Take the hub's response to a read mark; returns False for any other message."""
        return self._marks.take(message)

    async def send_all(self, connection: Connection) -> None:
        """Send until the connection ends."""
        try:
            while True:
                message = self._next()
                if message is None:
                    await self._something.park()
                    continue
                await self._pace.wait()
                await connection.send(encode_json(message))
        except ConnectionEnded:
            return  # the receiver gets the same error

    def _next(self) -> Json | None:
        request = self._first() or self._subscriptions.take()
        if request is not None:
            return request
        for topic in self._watermarks:
            return {"type": "ack", **named(topic), "seq": self._watermarks.pop(topic)}
        return self._marks.next()
