"""The subscriber of a socket: sends directly while nothing waits, through a writer while something does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from tasktree_rt.core.access import Grants
from tasktree_rt.core.close_codes import INTERNAL, OVERLOADED, Closing
from tasktree_rt.core.protocol import Message, Policy
from tasktree_rt.dialects.base import Dialect, join
from tasktree_rt.errors import StoreUnavailable, Unavailable
from tasktree_rt.hub.delivery.encoded_batch import Batch
from tasktree_rt.hub.delivery.last_value_queue import Key
from tasktree_rt.hub.delivery.shedding import enqueue
from tasktree_rt.hub.delivery.socket_writer import CHUNK, Pumped, SocketWriter, Start
from tasktree_rt.hub.delivery.subscriber import Subscriber, SubscriberSource
from tasktree_rt.hub.transport import Transport
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Delivery

CUT_AFTER: Final = 0.5
"""Seconds that a slow reader of a cut connection has to read up to the close frame."""
_nothing: Final[Callable[[], None]] = lambda: None  # noqa: E731 - one for all


class SocketSubscriber(Subscriber):
    """A subscriber whose outlet is a socket's writer. Implements `socket_writer.Outgoing`.

    Attributes:
        on_close: called when the hub closes it, before its subscriptions are forgotten.
        close_code: the code of the close frame that the hub sent.
        abort_reason: why the hub ended it without a close frame; "" if it did not.
        frame_code: the code of the frame layer's close frame: an echo, or its own (1002, 1007, 1009).
    """

    __slots__ = ("abort_reason", "close_code", "frame_code", "on_close")

    outlet: SocketWriter

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
        self.on_close = _nothing
        self.close_code: int | None = None
        self.abort_reason = ""
        self.frame_code: int | None = None

    def open(self, transport: Transport, start: Start, *, stall_timeout: float) -> None:
        """Begin to write into `transport`; `start` runs the writer's task when one is needed."""
        self.outlet = SocketWriter(self, transport, start, stall_timeout=stall_timeout)
        self.direct = transport.send

    # --- directly to the socket while nothing waits -------------------------------------------------

    def offer(self, batch: Batch) -> None:
        """Send new events at once if nothing waits, else queue them."""
        if self.direct is None:
            if not self.closing:  # the writer is running
                enqueue(self, batch)
            return
        encoding = batch.encoding(self.dialect)
        size = len(encoding.data)
        taken = self.outlet.write(encoding.data)
        if taken == size:
            self.sent_bytes += size
            self.sent_messages += len(encoding.ends)
            return
        self.sent_part(batch, encoding, taken)

    def say(self, data: bytes, message: Message | None = None) -> None:
        """Send an encoded reply at once if nothing waits, else queue it."""
        if not self._sent(data, 1):
            super().say(data, message)

    def replies(self, messages: Iterable[Message]) -> None:
        """Send several replies in one write if nothing waits, else queue them."""
        encoded = [data for data in map(self.dialect.encode, messages) if data is not None]
        if encoded:
            joined = join(encoded)
            if not self._sent(joined.data, len(encoded)):
                self.queue_reply(joined)

    def send_ephemeral(self, key: Key, data: bytes, *, last: bool = False) -> None:
        """Send an ephemeral event at once if nothing waits, else queue it as the newest of its key."""
        if not self._sent(data, 1):
            super().send_ephemeral(key, data, last=last)

    def _sent(self, data: bytes, count: int) -> bool:
        """Try to send `count` messages; returns whether the socket took any byte; the rest is next."""
        send, taken = self.direct, 0
        if send is None:
            return False
        with suppress(OSError):  # the writer handles the error
            taken = send(data)
        if taken:
            self.sent_one(data, taken, count)
            return True
        self.direct = None
        self.outlet.wake_later()
        return False

    # --- what the writer asks -----------------------------------------------------------------------

    def next_bytes(self) -> bytes | memoryview | Pumped:
        """See `socket_writer.Outgoing`."""
        outbox = self.outbox
        while True:
            before = outbox.waiting
            found = outbox.take(CHUNK)
            if found is not None:
                self.sent_messages += before - outbox.waiting
                return found
            due = self.feeds.due()
            if due is None:
                return Pumped.IDLE
            if due.must_fetch:
                return Pumped.FETCH
            message = due.step()
            data = None if message is None else self.encode(message)
            if data is not None:
                return data

    async def fetch(self) -> None:
        """See `socket_writer.Outgoing`."""
        due = self.feeds.due()
        if due is None or not due.must_fetch:
            return
        try:
            await due.fetch()
        except (StoreUnavailable, Unavailable):
            # The client reconnects and resumes; waiting here would hold up all else of this connection.
            self.close(OVERLOADED)
        except Exception as error:
            self.source.report_fault("catch-up", error)
            self.close(INTERNAL)

    def stalled(self) -> None:
        """See `socket_writer.Outgoing`."""
        self.meter.stalled()
        self.abort("stalled")

    def fault(self, error: Exception) -> None:
        """See `socket_writer.Outgoing`."""
        self.source.report_fault("outbox", error)
        if self.closing:
            self.abort("fault")
        else:
            self.close(INTERNAL)

    # --- what the session asks ----------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Return whether nothing waits."""
        return self.direct is not None

    def control(self, data: bytes) -> None:
        """Send bytes of the frame layer: a pong (dropped if too much waits), or a close frame; b"" half-
        closes.
        """
        if data == b"":
            self.end(replies=True)
            self.outlet.shut()
        elif data[0] & 0x0F == 0x08:
            self.frame_code = int.from_bytes(data[2:4], "big") or None
            self.end(replies=True)
            self.outlet.finish(data)
        elif not (self.outbox.crowded or self.closing):
            self.say(data)

    def close(self, closing: Closing, reason: str = "") -> None:
        """Send the rest of the begun frame, the replies and the close frame; drop all else."""
        if not self.closing:
            self.close_code = closing.code
            self.on_close()
            super().close(closing, reason)

    def cut(self, closing: Closing, reason: str = "") -> None:
        """Close the connection; abort it if what waits is not written soon."""
        if not self.closing:
            self.close(closing, reason)
            self.outlet.abort_after(CUT_AFTER)

    def abort(self, reason: str) -> None:
        """End the connection at once; the log line of its end names `reason`."""
        self.abort_reason = self.abort_reason or reason
        self.over()
        self.outlet.abort()
