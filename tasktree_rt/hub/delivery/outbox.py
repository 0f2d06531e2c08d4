"""The messages that wait for one connection: a bounded channel, and the newest ephemeral events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import trio
from attrs import define

from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Message
from tasktree_rt.dialects.base import Encoding
from tasktree_rt.hub.delivery.encoded_batch import Batch
from tasktree_rt.hub.delivery.last_value_queue import Key, LastValueQueue
from tasktree_rt.settings import Delivery

R = TypeVar("R")
REPLY_ROOM: Final = 64
"""Waiting replies after which the hub stops reading from the peer."""
REPLY_BYTES: Final = 4
"""Replies are queued up to this times `outbox_bytes`."""


@define
class Item:
    """Waiting messages: those of `encoding` from number `start` on; of a project's `batch`, or replies
    without one.

    `has`: the position of the watcher before the item, if that is not where the batch begins.
    """

    encoding: Encoding
    batch: Batch | None
    start: int = 0
    message: Message | None = None
    has: Position | None = None

    @property
    def count(self) -> int:
        """Return the number of messages left."""
        return len(self.encoding.ends) - self.start

    @property
    def offset(self) -> int:
        """Return the offset of the first message left."""
        return self.encoding.ends[self.start - 1] if self.start else 0

    @property
    def size(self) -> int:
        """Return the number of bytes left."""
        return len(self.encoding.data) - self.offset

    @property
    def rest(self) -> bytes:
        """Return the bytes of all messages left."""
        return self.encoding.data[self.offset :]

    def before(self) -> tuple[Position, bool]:
        """Return the position of a watcher that has not got this item, and whether the begin of the epoch is
        not announced to it yet.
        """
        assert self.batch is not None
        if self.has is not None:
            return self.has, False
        after, unannounced = self.batch.before(self.start, len(self.encoding.ends))
        return Position(self.batch.epoch, after), unannounced

    def take(self, room: int) -> bytes:
        """Remove and return the next messages that fit into `room` bytes, at least one."""
        ends, begin = self.encoding.ends, self.offset
        if len(self.encoding.data) - begin <= room:
            self.start = len(ends)
            return self.encoding.data[begin:] if begin else self.encoding.data
        self.start += 1
        while self.start < len(ends) and ends[self.start] - begin <= room:
            self.start += 1
        return self.encoding.data[begin : ends[self.start - 1]]


class Outbox:
    """Queue messages in the order in which they are sent, within the bounds of `delivery`.

    The channel is made when the first message waits: most connections never need one. A project's events are
    refused where they do not fit. Replies have a bound of their own: the hub reads
    nothing from a peer while many of them wait, and closes a peer that outgrows it. Of ephemeral events only
    the newest of each key waits, behind everything else.

    Attributes:
        waiting, waiting_bytes: the messages that wait, and their bytes.
        rest: what is left of a message of which the socket took a part; it goes first, and counts as sent.
    """

    __slots__ = (
        "_current",
        "_delivery",
        "_ended",
        "_in",
        "_newest",
        "_out",
        "_replies",
        "_room",
        "rest",
        "waiting",
        "waiting_bytes",
    )

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._in: trio.MemorySendChannel[Item] | None = None
        self._out: trio.MemoryReceiveChannel[Item] | None = None
        self._current: Item | None = None
        self._newest: LastValueQueue | None = None
        self._replies = 0
        self._room: trio.Event | None = None
        self._ended = False
        self.rest: memoryview | None = None
        self.waiting = 0
        self.waiting_bytes = 0

    # --- in ---------------------------------------------------------------------------------------

    def put(self, item: Item) -> None:
        """Queue an item.

        Raises:
            trio.WouldBlock: it does not fit.
        """
        count, size = item.count, item.size
        if item.batch is not None:
            over = self.waiting + count > self._delivery.outbox_messages
            if over or self.waiting_bytes + size > self._delivery.outbox_bytes:
                raise trio.WouldBlock
        elif self.waiting and self.waiting_bytes + size > REPLY_BYTES * self._delivery.outbox_bytes:
            raise trio.WouldBlock
        self._channel().send_nowait(item)
        self.waiting += count
        self.waiting_bytes += size
        if item.batch is None:
            self._replies += count

    def _channel(self) -> trio.MemorySendChannel[Item]:
        if self._in is None:
            room = self._delivery.outbox_messages + 2 * REPLY_ROOM
            self._in, self._out = trio.open_memory_channel[Item](room)
        return self._in

    def put_newest(self, key: Key, data: bytes, *, last: bool) -> int:
        """Queue an ephemeral event as the newest of its key; returns how many older ones it replaces.

        Raises:
            trio.WouldBlock: more waits than fits.
        """
        if self._newest is None:
            self._newest = LastValueQueue()
        newest = self._newest
        replaced = self._recount(newest, lambda one: one.put(key, data, last=last))
        # One event larger than the whole outbox may wait alone: else the hub could never send it.
        if self.waiting > self._delivery.outbox_messages or (
            self.waiting_bytes > self._delivery.outbox_bytes and len(newest) > 1
        ):
            raise trio.WouldBlock
        return int(replaced)

    def forget_newest(self, topic: str | None) -> None:
        """Drop the waiting ephemeral events of a topic, or of all topics if None."""
        if self._newest is not None:
            self._recount(self._newest, lambda newest: newest.forget(topic))

    def _recount(self, newest: LastValueQueue, change: Callable[[LastValueQueue], R]) -> R:
        """Run `change` and count its effect in `waiting` and `waiting_bytes`."""
        count, size = len(newest), newest.size
        try:
            return change(newest)
        finally:
            self.waiting += len(newest) - count
            self.waiting_bytes += newest.size - size

    # --- out --------------------------------------------------------------------------------------

    def take(self, room: int) -> bytes | memoryview | None:
        """Take the next messages that fit into `room` bytes, at least one; None if nothing waits."""
        if self.rest is not None:
            rest, self.rest = self.rest, None
            return rest
        pieces: list[bytes] = []
        size = 0
        while size < room and (item := self._current or self._next()) is not None:
            before = item.count
            piece = item.take(room - size)
            self._current = item if item.count else None
            self._took(item, before - item.count, len(piece))
            pieces.append(piece)
            size += len(piece)
        if pieces:
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return self.take_newest()

    def take_newest(self) -> bytes | None:
        """Take the first ephemeral event; None if none waits."""
        return self._recount(self._newest, LastValueQueue.take) if self._newest else None

    def take_item(self) -> Item | None:
        """Take the next item, for a reader that takes values instead of bytes; None if none waits."""
        item = self._next()
        if item is not None:
            self._took(item, item.count, item.size)
        return item

    def _next(self) -> Item | None:
        if self._out is None:
            return None
        try:
            return self._out.receive_nowait()
        except trio.WouldBlock:
            return None

    def _took(self, item: Item, count: int, size: int) -> None:
        self.waiting -= count
        self.waiting_bytes -= size
        if item.batch is None:
            self._replies -= count
            if self._room is not None and not self.crowded:
                self._room.set()

    # --- dropping ---------------------------------------------------------------------------------

    def drop(self, project_id: str) -> Item | None:
        """Drop the events of a project that wait; returns the oldest item of them."""
        return self._keep(lambda item: item.batch is None or item.batch.project_id != project_id)

    def end(self, *, replies: bool) -> None:
        """Drop all messages but, with `replies`, the replies; nothing is queued after this."""
        self._ended = True
        self.forget_newest(None)
        self._keep(lambda item: replies and item.batch is None)
        if self._room is not None:
            self._room.set()

    def _keep(self, keep: Callable[[Item], bool]) -> Item | None:
        """Drop all items but those to `keep`; returns the oldest that was dropped."""
        oldest: Item | None = None
        if self._current is not None and not keep(self._current):
            oldest, self._current = self._current, None
            self._took(oldest, oldest.count, oldest.size)
        for item in self._emptied():
            if keep(item):
                self._channel().send_nowait(item)
            else:
                oldest = oldest or item
                self._took(item, item.count, item.size)
        return oldest

    # --- inspecting ----------------------------------------------------------------------------

    @property
    def crowded(self) -> bool:
        """Return whether so many replies wait that the hub should read no more requests."""
        return self._replies >= REPLY_ROOM or (
            self._replies > 0 and self.waiting_bytes >= self._delivery.outbox_bytes
        )

    async def room(self) -> None:
        """Wait until the outbox is not `crowded`, or has ended."""
        while self.crowded and not self._ended:
            if self._room is None or self._room.is_set():
                self._room = trio.Event()
            await self._room.wait()

    @property
    def unsent(self) -> set[str]:
        """Return the projects that have waiting events."""
        return {item.batch.project_id for item in self._items() if item.batch is not None}

    def waits(self, kind: type[Message]) -> bool:
        """Return whether a message of this kind waits."""
        return any(isinstance(item.message, kind) for item in self._items())

    def first(self, project_id: str) -> Item | None:
        """Return the oldest item of a project that waits."""
        for item in self._items():
            if item.batch is not None and item.batch.project_id == project_id:
                return item
        return None

    @property
    def newest(self) -> int:
        """Return the number of waiting ephemeral events."""
        return 0 if self._newest is None else len(self._newest)

    def _items(self) -> list[Item]:
        """Return all items that wait, the oldest first."""
        items = self._emptied()
        for item in items:
            self._channel().send_nowait(item)
        return items if self._current is None else [self._current, *items]

    def _emptied(self) -> list[Item]:
        """Take all items out of the channel; the caller puts back those that are to stay."""
        items: list[Item] = []
        while (item := self._next()) is not None:
            items.append(item)
        return items
