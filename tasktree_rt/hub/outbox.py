"""A bounded channel of finished messages: what one connection still has to be sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import trio
from attrs import define

from tasktree_rt.core.closing import SLOW_CONSUMER, Closing
from tasktree_rt.core.commands import Message, Policy
from tasktree_rt.core.log import Position
from tasktree_rt.dialects.base import Dialect, Encoding, join
from tasktree_rt.hub.batch import Batch
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Delivery

REPLY_ROOM: Final = 64
"""So many replies may wait before reading from that peer stops."""
REPLY_BYTES: Final = 4
"""Replies are queued while no more waits than this times `outbox_bytes`."""


@define
class Item:
    """Messages that wait: `data` from message `start` on; of a project's `batch`, or a reply without one.

    `has`: where the watcher stands before it, if that is not where the batch begins.
    """

    encoding: Encoding
    batch: Batch | None
    start: int = 0
    message: Message | None = None
    has: Position | None = None

    @property
    def count(self) -> int:
        """Messages left."""
        return len(self.encoding.ends) - self.start

    @property
    def offset(self) -> int:
        """Where they begin."""
        return self.encoding.ends[self.start - 1] if self.start else 0

    @property
    def size(self) -> int:
        """Bytes left."""
        return len(self.encoding.data) - self.offset

    @property
    def rest(self) -> bytes:
        """All that is left."""
        return self.encoding.data[self.offset :]

    def before(self) -> tuple[Position, bool]:
        """Where a watcher of the project stands who has not got this, and whether the word that the life
        begins is still to be said.
        """
        assert self.batch is not None
        if self.has is not None:
            return self.has, False
        after, unsaid = self.batch.before(self.start, len(self.encoding.ends))
        return Position(self.batch.epoch, after), unsaid

    def take(self, room: int) -> bytes:
        """The next messages that fit into `room` bytes, at least one; they are no longer left."""
        ends, begin = self.encoding.ends, self.offset
        if len(self.encoding.data) - begin <= room:
            self.start = len(ends)
            return self.encoding.data[begin:] if begin else self.encoding.data
        self.start += 1
        while self.start < len(ends) and ends[self.start] - begin <= room:
            self.start += 1
        return self.encoding.data[begin : ends[self.start - 1]]


class Front:
    """What the fan-out touches of a subscriber for each delivery.

    Kept together at the head of the object: when a subscriber's turn comes nothing of it is in the
    processor's cache, and each line fetched from memory counts beside one system call.
    """

    __slots__ = ("dialect", "direct", "last_sent", "picky", "sent_bytes", "sent_messages")

    dialect: Dialect
    direct: Callable[[bytes], int] | None
    last_sent: float
    picky: bool
    sent_bytes: int
    sent_messages: int


class Outbox(Front):
    """The channel, and what is counted of it. Events are refused where they do not fit, replies never:
    nobody is read from who has many of them waiting, and who outgrows their own bound is closed.
    """

    __slots__ = (
        "_in",
        "_out",
        "_replies",
        "_waiting",
        "_waiting_bytes",
        "closing",
        "delivery",
        "meter",
    )

    def __init__(self, dialect: Dialect, delivery: Delivery, meter: Metrics) -> None:
        self.dialect = dialect
        self.delivery = delivery
        self.meter = meter
        self.closing = False
        self._in, self._out = trio.open_memory_channel[Item](delivery.outbox_messages + 2 * REPLY_ROOM)
        self._waiting = 0
        self._waiting_bytes = 0
        self._replies = 0

    def kick(self) -> None:
        """There may be something to do: send what can be sent."""
        raise NotImplementedError

    def close(self, closing: Closing, reason: str = "") -> None:
        """Finish what is begun, and the replies; drop the rest, and end."""
        raise NotImplementedError

    # --- replies ----------------------------------------------------------------------------------

    def reply(self, message: Message) -> None:
        """Send one message that is never shed."""
        data = self.dialect.encode(message)
        if data is not None:
            self.say(data, message)

    def say(self, data: bytes, message: Message | None = None) -> None:
        """The same, of one that is encoded already."""
        self._reply(Item(Encoding(data, (len(data),)), None, 0, message))

    def replies(self, messages: Iterable[Message]) -> None:
        """Send several of them in one go."""
        encoded = [data for data in map(self.dialect.encode, messages) if data is not None]
        if encoded:
            self._reply(Item(join(encoded), None))

    def _reply(self, item: Item) -> None:
        if self.closing:
            return
        try:
            self._put(item)
        except trio.WouldBlock:
            self.meter.shed(Policy.DISCONNECT.value, 0)
            self.close(SLOW_CONSUMER)
            return
        self.kick()

    @property
    def crowded(self) -> bool:
        """So many replies wait unsent that nothing more should be asked."""
        return self._replies >= REPLY_ROOM or (
            self._replies > 0 and self._waiting_bytes >= self.delivery.outbox_bytes
        )

    @property
    def waiting(self) -> int:
        """Messages that wait."""
        return self._waiting

    @property
    def waiting_bytes(self) -> int:
        """Their bytes."""
        return self._waiting_bytes

    # --- the queue --------------------------------------------------------------------------------

    def _put(self, item: Item) -> None:
        """Queue an item.

        Raises:
            trio.WouldBlock: it does not fit; the signal to shed.
        """
        count, size = item.count, item.size
        if item.batch is not None:
            over = self._waiting + count > self.delivery.outbox_messages
            if over or self._waiting_bytes + size > self.delivery.outbox_bytes:
                raise trio.WouldBlock
        elif self._waiting and self._waiting_bytes + size > REPLY_BYTES * self.delivery.outbox_bytes:
            raise trio.WouldBlock
        self._in.send_nowait(item)
        self._waiting += count
        self._waiting_bytes += size
        if item.batch is None:
            self._replies += count

    def _next(self) -> Item | None:
        try:
            return self._out.receive_nowait()
        except trio.WouldBlock:
            return None

    def _took(self, item: Item, count: int, size: int) -> None:
        self._waiting -= count
        self._waiting_bytes -= size
        if item.batch is None:
            self._replies -= count

    def _drop(self, project_id: str | None) -> Item | None:
        """Take what waits of a project out of the queue (of all, if None); returns the oldest of it."""
        oldest: Item | None = None
        for item in self._emptied():
            if project_id is None or (item.batch is not None and item.batch.project_id == project_id):
                oldest = oldest or item
                self._took(item, item.count, item.size)
            else:
                self._in.send_nowait(item)
        return oldest

    def _emptied(self) -> list[Item]:
        """All that is in the channel, taken out of it; the caller puts back what is to stay."""
        items: list[Item] = []
        while (item := self._next()) is not None:
            items.append(item)
        return items

    def _queue(self) -> list[Item]:
        """All that waits, the oldest first."""
        items = self._emptied()
        for item in items:
            self._in.send_nowait(item)
        return items
