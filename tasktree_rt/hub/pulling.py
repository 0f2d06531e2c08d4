"""The outbox of somebody who asks: server-sent events, and `Hub.subscribe` in the same process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import trio

from tasktree_rt.core.closing import OVERLOADED, Closing
from tasktree_rt.core.commands import Command, Message
from tasktree_rt.core.events import Record
from tasktree_rt.dialects.base import Encoding, join
from tasktree_rt.errors import StoreUnavailable, Unavailable
from tasktree_rt.hub.batch import Batch
from tasktree_rt.hub.feed import Events, Feed, Finished
from tasktree_rt.hub.outbox import Item
from tasktree_rt.hub.subscriber import Subscriber


class Objects:
    """The language of a reader in the same process: sizes count, the bytes are never looked at."""

    name = "in-process"

    def decode(self, message: str | bytes) -> Command | None:
        """Nothing comes in."""
        return None

    def encode(self, message: Message) -> bytes | None:
        """Something, so that the message is not left out."""
        return b"\0"

    def encode_events(self, records: Sequence[Record], epoch: str) -> Encoding:
        """The bodies, for their sizes."""
        return join(record.body for record in records)


class PullSubscriber(Subscriber):
    """An outbox without a socket. Slow means: does not ask. Shed as any other."""

    __slots__ = ("_wake", "ending")

    def open(self) -> None:
        """Make ready."""
        self._wake = trio.Event()
        self.ending: tuple[Closing, str] | None = None

    def offer(self, batch: Batch) -> None:
        """Into the channel."""
        if self.closing:
            return
        if batch.ends:
            self._enqueue_end(batch)
        else:
            self._enqueue(Item(batch.encoding(self.dialect), batch))
        self._wake.set()

    def kick(self) -> None:
        """Wake who asks."""
        self._wake.set()

    def close(self, closing: Closing, reason: str = "") -> None:
        """End the stream; of what waits only the replies are still given."""
        if not self.closing:
            said = [item for item in self._queue() if item.batch is None]
            self.over()
            for item in said:
                self._put(item)
            self.ending = (closing, reason or closing.reason)
            self._wake.set()

    async def encoded(self, alive: bytes) -> AsyncIterator[bytes]:
        """What is to be sent, in the subscriber's language, until it is closed.

        Where there is nothing for `heartbeat_interval`, that is `alive`.
        """
        while True:
            found: Item | Message | Events | Finished | None = None
            with trio.move_on_after(self.delivery.heartbeat_interval) as silence:
                found = await self.await_next()
            if silence.cancelled_caught:
                yield alive
                continue
            if found is None:
                return
            data = found.rest if isinstance(found, Item) else self._encode(found)
            if data:
                self.sent_bytes += len(data)
                self.last_sent = self.now()
                yield data

    def messages(self) -> Messages:
        """The same as values: events in groups, everything else one by one."""
        return Messages(self)

    def over(self) -> None:
        """See `Subscriber.over`; whoever waits for a message learns that there is none to come."""
        super().over()
        self._wake.set()

    async def await_next(self) -> Item | Message | Events | Finished | None:
        """The next thing to be sent; None when there is nothing to come."""
        # A reader that never waits for anything else must still let others run; nothing is taken before a
        # cancellation could lose it.
        await trio.lowlevel.checkpoint()
        while True:
            item = self._next()
            if item is not None:
                self._took(item, item.count, item.size)
                self.sent_messages += item.count
                return item
            if self.closing:
                return None
            due = self._due()
            if due is None:
                self._wake = trio.Event()
                await self._wake.wait()
            elif due.must_fetch:
                await self._fetch(due)
            elif (message := due.step()) is not None:
                return message

    async def _fetch(self, due: Feed) -> None:
        try:
            await due.fetch()
        except (StoreUnavailable, Unavailable):
            self.close(OVERLOADED)


class Messages:
    """An async iterator, and not a generator: it may be left at any moment, and read by another task."""

    __slots__ = ("_events", "_subscriber")

    def __init__(self, subscriber: PullSubscriber) -> None:
        self._subscriber = subscriber
        self._events: Events | None = None  # those that begin a life: the word for that comes first

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> Message | Events:
        if self._events is not None:
            await trio.lowlevel.checkpoint()
            events, self._events = self._events, None
            return events
        while (found := await self._subscriber.await_next()) is not None:
            said = self._value(found)
            if said is not None:
                return said
        raise StopAsyncIteration

    def _value(self, found: Item | Message | Events | Finished) -> Message | Events | None:
        if isinstance(found, Finished):  # of a language that has bytes only
            return None
        if not isinstance(found, Item):
            return found
        batch = found.batch
        if batch is None:
            return found.message
        extra = len(found.encoding.ends) - len(batch.records)
        events = Events(batch.project_id, batch.epoch, batch.records if extra >= 0 else batch.records[-1:])
        if extra <= 0:
            return events
        self._events = events
        return batch.opening
