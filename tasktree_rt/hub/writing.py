"""The outbox of a socket: straight to the socket while nothing waits, a writer task while something does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Final

import trio

from tasktree_rt.core.access import Grants
from tasktree_rt.core.closing import INTERNAL, OVERLOADED, Closing
from tasktree_rt.core.commands import Policy
from tasktree_rt.dialects.base import Dialect, Encoding
from tasktree_rt.errors import StoreUnavailable, Unavailable
from tasktree_rt.hub.batch import Batch
from tasktree_rt.hub.carrier import Transport
from tasktree_rt.hub.outbox import Item
from tasktree_rt.hub.pace import breathe
from tasktree_rt.hub.showing import Showing
from tasktree_rt.hub.subscriber import SubscriberSource
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Delivery

CHUNK: Final = 64 * 1024
TURN: Final = 32 * 1024
"""Bytes after which a writer lets others run: a part of a state."""
_nothing: Final[Callable[[], None]] = lambda: None  # noqa: E731 - one for all
Start = Callable[[Callable[[], Awaitable[None]]], None]


class Pumped(Enum):
    """How a pump left things."""

    IDLE = "nothing waits"
    FULL = "the socket takes no more"
    MORE = "enough for now"
    FETCH = "a catch-up has to read the store"


class SocketSubscriber(Showing):
    """An outbox that writes into a `Transport`; a writer task runs only while something waits."""

    __slots__ = (
        "_aborted",
        "_current",
        "_eof",
        "_pumping",
        "_room",
        "_send",
        "_start",
        "_transport",
        "_writing",
        "close_code",
        "frame_code",
        "on_close",
    )

    def __init__(
        self,
        id: str,
        dialect: Dialect,
        source: SubscriberSource,
        *,
        policy: Policy,
        delivery: Delivery,
        meter: Metrics,
        grants: Grants,
        address: str = "",
    ) -> None:
        super().__init__(
            id,
            dialect,
            source,
            policy=policy,
            delivery=delivery,
            meter=meter,
            grants=grants,
            address=address,
        )
        self._newest = None
        self._pending = None
        self._current: Item | None = None
        self._pumping = False
        self._writing = False
        self._eof = False
        self._aborted = False
        self._room: trio.Event | None = None
        self.on_close: Callable[[], None] = _nothing
        """Called when the hub closes it, before what was asked for is forgotten."""
        self.close_code: int | None = None
        self.frame_code: int | None = None
        """Of the close frame that the frame layer made: an echo, or its own (1002, 1007, 1009)."""

    def open(self, transport: Transport, start: Start) -> None:
        """The connection stands; `start` runs the writer in its nursery when one is needed."""
        self._transport = transport
        self._write = transport.write_nowait
        self._send = self.direct = transport.send
        self._start = start

    def offer(self, batch: Batch) -> None:
        """Straight to the socket if nothing waits, else to the channel."""
        encoding = batch.encoding(self.dialect)
        if self.direct is None:
            if not self.closing:
                self._offer_waiting(batch, encoding)
            return
        size = len(encoding.data)
        taken = self._write(encoding.data)
        if taken == size:
            self.sent_bytes += size
            self.sent_messages += len(encoding.ends)
            self.last_sent = batch.at
            return
        self.sent_part(batch, encoding, taken)

    def _offer_waiting(self, batch: Batch, encoding: Encoding) -> None:
        if batch.ends:
            self._enqueue_end(batch)
        else:
            self._enqueue(Item(encoding, batch))

    def sent_part(self, batch: Batch, encoding: Encoding, taken: int) -> None:
        """The socket took only `taken` bytes: the begun message is finished, the rest waits or is shed."""
        self.sent_bytes += taken
        self.direct = None
        index = 0
        for end in encoding.ends:
            if end > taken:
                break
            index += 1
        if taken > (encoding.ends[index - 1] if index else 0):
            self._pending = memoryview(encoding.data)[taken : encoding.ends[index]]
            index += 1
        self.sent_messages += index
        if index < len(encoding.ends):
            self._enqueue(Item(encoding, batch, index))
        self._ensure_writer()

    def _drop(self, project_id: str | None) -> Item | None:
        if project_id is None:
            self.unshow(None)
        current, oldest = self._current, None
        if current is not None and (
            project_id is None or (current.batch is not None and current.batch.project_id == project_id)
        ):
            self._took(current, current.count, current.size)
            self._current, oldest = None, current
        queued = super()._drop(project_id)
        self._make_room()
        return oldest or queued

    def _queue(self) -> list[Item]:
        rest = super()._queue()
        return rest if self._current is None else [self._current, *rest]

    def control(self, data: bytes) -> None:
        """Bytes of the frame layer: a pong (dropped if too much waits), a close's echo, or b"", the end."""
        if data == b"":
            self._eof = True
            if not self.closing:
                self._finish(b"")
            self.kick()
        elif data[0] & 0x0F == 0x08:
            self.frame_code = int.from_bytes(data[2:4], "big") or None
            self._finish(data)
            self.kick()
        elif not (self.crowded or self.closing):
            self.say(data)

    def close(self, closing: Closing, reason: str = "") -> None:
        """Finish the frame that is begun, drop what waits, then the close frame."""
        if not self.closing:
            self.close_code = closing.code
            self.on_close()
            self._finish(self._transport.close_frame(closing, reason or closing.reason))
            self.kick()

    def _finish(self, frame: bytes) -> None:
        """Nothing new is taken any more: what is begun, the replies that wait, and `frame` are the last."""
        self.closing = True
        self.direct = None
        said = [item for item in self._queue() if item.batch is None]
        self.sent_messages += sum(item.count for item in said)
        self._pending = b"".join((self._pending or b"", *(item.rest for item in said), frame))
        self.over()

    def over(self) -> None:
        """See `Subscriber.over`."""
        # For good: an offer must not reach the socket behind the close frame.
        self.direct = None
        super().over()
        self._make_room()

    def abort(self) -> None:
        """End at once."""
        if not self._aborted:
            self._aborted = True
            self.over()
            self._transport.abort()

    async def room(self) -> None:
        """Wait until not too many replies are waiting unsent."""
        while self.crowded and not self.closing:
            if self._room is None or self._room.is_set():
                self._room = trio.Event()
            await self._room.wait()

    def _make_room(self) -> None:
        if self._room is not None and (self.closing or not self.crowded):
            self._room.set()

    @property
    def idle(self) -> bool:
        """Whether nothing waits here."""
        return self.direct is not None

    def kick(self) -> None:
        """Send what can be sent now; whatever is left gets a writer."""
        if self._writing or self._pumping:
            return
        if self._drive(CHUNK) is not Pumped.IDLE:
            self._ensure_writer()

    def _drive(self, budget: int) -> Pumped:
        """Pump; a fault in it ends this connection and nothing else."""
        try:
            return self._pump(budget)
        except Exception as error:
            self.source.report_fault("outbox", error)
            if self.closing:
                self.abort()
                return Pumped.IDLE
            self.close(INTERNAL)
            return Pumped.MORE

    def _ensure_writer(self) -> None:
        if not self._writing:
            self._writing = True
            self._start(self._write_all)

    async def _write_all(self) -> None:
        """The writer: lives while something waits. Each wait for the socket is bounded by `stall_timeout`."""
        try:
            while (state := self._drive(TURN)) is not Pumped.IDLE:
                if state is Pumped.FULL:
                    with trio.move_on_after(self.delivery.stall_timeout) as scope:
                        await self._transport.writable()
                    if scope.cancelled_caught:
                        self.meter.stalled()
                        self.abort()
                        return
                elif state is Pumped.FETCH:
                    await self._fetch()
                else:
                    await breathe()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.over()
        finally:
            self._writing = False

    async def _fetch(self) -> None:
        due = self._due()
        if due is None:
            return
        try:
            await due.fetch()
        except (StoreUnavailable, Unavailable):
            # Whoever comes again resumes; waiting here would hold up everything else of this connection.
            self.close(OVERLOADED)
        except Exception as error:
            self.source.report_fault("catch-up", error)
            self.close(INTERNAL)

    def _pump(self, budget: int) -> Pumped:
        """Write as long as the socket takes it and `budget` (bytes) lasts."""
        self._pumping = True
        self.direct = None
        try:
            while True:
                while self._pending is not None:
                    taken = self._write(self._pending)
                    self.sent_bytes += taken
                    if taken < len(self._pending):
                        self._pending = memoryview(self._pending)[taken:]
                        return Pumped.FULL
                    self._pending = None
                    budget -= taken
                if budget <= 0:
                    return Pumped.MORE
                step = self._gather()
                if step is not None:
                    return step
        finally:
            self._pumping = False

    def _gather(self) -> Pumped | None:
        """Make `_pending` the next thing to write; or say why there is none."""
        if self._gather_queue() or self._gather_newest():
            return None
        if self.closing:
            if self._eof:
                self._transport.shutdown()
            return Pumped.IDLE
        while (due := self._due()) is not None:
            if due.must_fetch:
                return Pumped.FETCH
            message = due.step()
            data = None if message is None else self._encode(message)
            if data is not None:
                self.sent_messages += 1
                self.last_sent = self.now()
                self._pending = data
            if self._pending is not None:
                return None
        self.direct = self._send
        return Pumped.IDLE

    def _gather_queue(self) -> bool:
        pieces: list[bytes] = []
        size = 0
        while size < CHUNK:
            item = self._current or self._next()
            if item is None:
                break
            piece = self._take(item, CHUNK - size)
            pieces.append(piece)
            size += len(piece)
        if not pieces:
            return False
        self._pending = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.last_sent = self.now()
        return True

    def _take(self, item: Item, room: int) -> bytes:
        before = item.count
        piece = item.take(room)
        self._current = item if item.count else None
        self._took(item, before - item.count, len(piece))
        self.sent_messages += before - item.count
        self._make_room()
        return piece
