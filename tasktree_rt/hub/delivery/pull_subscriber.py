"""The subscriber of a reader that pulls: server-sent events, and `Hub.subscribe` in the same process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import trio

from tasktree_rt.core.close_codes import OVERLOADED, TOKEN_INVALID, Closing
from tasktree_rt.core.events import Record
from tasktree_rt.core.protocol import Command, Failure, Message
from tasktree_rt.dialects.base import Encoding, join
from tasktree_rt.errors import StoreUnavailable, Unavailable
from tasktree_rt.hub.delivery.outbox import Item
from tasktree_rt.hub.delivery.subscriber import Subscriber
from tasktree_rt.hub.resume.feed import Events, Feed, Finished


class Objects:
    """The dialect of a reader in the same process: only the sizes of its bytes count."""

    name = "in-process"

    def decode(self, message: str | bytes) -> Command | None:
        """Return None: the reader sends nothing."""
        return None

    def encode(self, message: Message) -> bytes | None:
        """Return one byte, so that the message is not left out."""
        return b"\0"

    def encode_events(self, records: Sequence[Record], epoch: str) -> Encoding:
        """Return the bodies, for their sizes."""
        return join(record.body for record in records)


class PullReader:
    """The outlet of a reader that pulls: wakes the reader, and stores why the stream ended."""

    __slots__ = ("_wake", "ending")

    def __init__(self) -> None:
        self._wake = trio.Event()
        self.ending: tuple[Closing, str] | None = None

    def wake(self) -> None:
        """Wake the reader. See `Outlet`."""
        self._wake.set()

    wake_later = wake

    def close(self, closing: Closing, reason: str) -> None:
        """End the stream behind the waiting replies. See `Outlet`."""
        self.ending = closing, reason
        self._wake.set()

    async def woken(self) -> None:
        """Wait until there may be a new message."""
        self._wake = trio.Event()
        await self._wake.wait()


class PullSubscriber(Subscriber):
    """A subscriber without a socket. Its reader is slow if it does not ask; the hub sheds it as any other."""

    __slots__ = ()

    outlet: PullReader

    def open(self) -> None:
        """Make the outlet."""
        self.outlet = PullReader()

    @property
    def ending(self) -> tuple[Closing, str] | None:
        """Return why the hub ended the stream; None if it did not."""
        return self.outlet.ending

    async def encoded(self, alive: bytes, interval: float) -> AsyncIterator[bytes]:
        """Give the encoded messages until the subscriber is closed, and `alive` after `interval` silent
        seconds.
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

    def tend(self, now: float, wall: float) -> None:
        """End the stream once the caller's token has expired or lost its key, or a lease is over. Times in
        seconds; `wall` is Unix time.
        """
        grants = self.grants
        leases = grants.leases.values() if grants.leases else ()
        if grants.void(wall) or any(one.until is not None and wall >= one.until for one in leases):
            self.close(TOKEN_INVALID)

    def cut(self, closing: Closing, reason: str = "") -> None:
        """Send the reason as an error, and end the stream."""
        self.reply(Failure("unauthorized", reason or closing.reason))
        self.close(closing, reason)

    def messages(self) -> Messages:
        """Give the messages as values: events in groups, all others one by one."""
        return Messages(self)

    def over(self) -> None:
        """See `Subscriber.over`; wakes a reader that waits for a message, as none will come."""
        super().over()
        self.outlet.wake()

    async def await_next(self) -> Item | Message | Events | Finished | None:
        """Wait for the next message; None when no more will come."""
        # A reader that waits for nothing else must let other tasks run; a cancellation here loses no message.
        await trio.lowlevel.checkpoint()
        outbox = self.outbox
        while True:
            item = outbox.take_item()
            if item is not None:
                self.sent_messages += item.count
                return item
            if (event := outbox.take_newest()) is not None:
                return Finished(join((event,)))
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
        self._events: Events | None = None  # those that begin an epoch: `Subscribed` comes first

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> Message | Events:
        if self._events is not None:
            await trio.lowlevel.checkpoint()
            events, self._events = self._events, None
            return events
        while (found := await self._subscriber.await_next()) is not None:
            message = self._value(found)
            if message is not None:
                return message
        raise StopAsyncIteration

    def _value(self, found: Item | Message | Events | Finished) -> Message | Events | None:
        if isinstance(found, Finished):  # a dialect that has only bytes
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
        return batch.subscribed
