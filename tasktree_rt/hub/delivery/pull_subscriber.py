"""The subscriber of a reader that asks: server-sent events, and `Hub.subscribe` in the same process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import trio

from tasktree_rt.core.close_codes import OVERLOADED, Closing
from tasktree_rt.core.events import Record
from tasktree_rt.core.protocol import Command, Message
from tasktree_rt.dialects.base import Encoding, join
from tasktree_rt.errors import StoreUnavailable, Unavailable
from tasktree_rt.hub.delivery.outbox import Item
from tasktree_rt.hub.delivery.subscriber import Subscriber
from tasktree_rt.hub.recovery.feed import Events, Feed, Finished


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


class PullReader:
    """The outlet of a subscriber whose reader asks: wakes it, and keeps why the stream ended."""

    __slots__ = ("_wake", "ending")

    def __init__(self) -> None:
        self._wake = trio.Event()
        self.ending: tuple[Closing, str] | None = None

    def wake(self) -> None:
        """See `subscriber.Outlet`: the reader asks when it can take more."""
        self._wake.set()

    wake_later = wake

    def close(self, closing: Closing, reason: str) -> None:
        """See `subscriber.Outlet`: of what waits only the replies are still given."""
        self.ending = closing, reason
        self._wake.set()

    async def woken(self) -> None:
        """Wait until there may be something new."""
        self._wake = trio.Event()
        await self._wake.wait()


class PullSubscriber(Subscriber):
    """A subscriber without a socket. Slow means: does not ask. Shed as any other."""

    __slots__ = ()

    outlet: PullReader

    def open(self) -> None:
        """Make ready."""
        self.outlet = PullReader()

    @property
    def ending(self) -> tuple[Closing, str] | None:
        """Why the hub ended the stream; None if it did not."""
        return self.outlet.ending

    async def encoded(self, alive: bytes, interval: float) -> AsyncIterator[bytes]:
        """What is to be sent, in the subscriber's language, until it is closed.

        Where there is nothing for `interval` seconds, that is `alive`.
        """
        while True:
            found: Item | Message | Events | Finished | None = None
            with trio.move_on_after(interval) as silence:
                found = await self.await_next()
            if silence.cancelled_caught:
                yield alive
                continue
            if found is None:
                return
            data = found.rest if isinstance(found, Item) else self.encode(found)
            if data:
                self.sent_bytes += len(data)
                yield data

    def messages(self) -> Messages:
        """The same as values: events in groups, everything else one by one."""
        return Messages(self)

    def over(self) -> None:
        """See `Subscriber.over`; a reader that waits for a message learns that there is none to come."""
        super().over()
        self.outlet.wake()

    async def await_next(self) -> Item | Message | Events | Finished | None:
        """The next thing to be sent; None when there is nothing to come."""
        # A reader that never waits for anything else must still let others run; nothing is taken before a
        # cancellation could lose it.
        await trio.lowlevel.checkpoint()
        outbox = self.outbox
        while True:
            item = outbox.take_item()
            if item is not None:
                self.sent_messages += item.count
                return item
            if (live := outbox.take_newest()) is not None:
                return Finished(live, 1)
            if self.closing:
                return None
            due = self.feeds.due()
            if due is None:
                await self.outlet.woken()
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
