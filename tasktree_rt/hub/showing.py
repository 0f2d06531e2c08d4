"""The outbox's side of live events: straight to the socket, or the newest of each key waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tasktree_rt.core.closing import SLOW_CONSUMER
from tasktree_rt.core.commands import Policy
from tasktree_rt.hub.newest import Key, Newest
from tasktree_rt.hub.subscriber import Subscriber

R = TypeVar("R")


class Showing(Subscriber):
    """What `writing.SocketSubscriber` does for `hub.live`."""

    __slots__ = ("_newest", "_pending", "_write")

    _newest: Newest | None
    _pending: bytes | memoryview | None
    _write: Callable[[bytes | memoryview], int]

    def _ensure_writer(self) -> None:
        """Something waits: a task is to write it."""
        raise NotImplementedError

    def show(self, key: Key, data: bytes, *, last: bool = False) -> None:
        """Straight to the socket if nothing waits, else it waits as the newest of its key."""
        if self.closing:
            return
        if self.direct is None:
            self._wait_newest(key, data, last)
            return
        taken = self._write(data)
        if taken:
            self.sent_one(data, taken)
            return
        self.direct = None
        self._wait_newest(key, data, last)
        self._ensure_writer()

    def sent_one(self, data: bytes, taken: int) -> None:
        """See `Subscriber.sent_one`: what is left of the message is written when it can be."""
        self.sent_bytes += taken
        self.sent_messages += 1
        if taken == len(data):
            self.last_sent = self.now()
            return
        self.direct = None
        self._pending = memoryview(data)[taken:]
        self._ensure_writer()

    def unshow(self, topic: str | None) -> None:
        """See `Subscriber.unshow`."""
        if self._newest is not None:
            self._recount(self._newest, lambda newest: newest.forget(topic))

    def _wait_newest(self, key: Key, data: bytes, last: bool) -> None:
        if self._newest is None:
            self._newest = Newest()
        newest = self._newest
        replaced = self._recount(newest, lambda one: one.put(key, data, last=last))
        delivery = self.delivery
        # One event that is larger than the whole outbox may wait, alone: else it could never be seen.
        if self._waiting > delivery.outbox_messages or (
            self._waiting_bytes > delivery.outbox_bytes and len(newest) > 1
        ):
            self.meter.shed(Policy.DISCONNECT.value, len(newest))
            self.close(SLOW_CONSUMER)
        elif replaced:
            self.sheds += 1
            self.meter.shed(Policy.NEWEST.value, 1)
        else:
            self.meter.queued(self._waiting)

    def _recount(self, newest: Newest, change: Callable[[Newest], R]) -> R:
        """`change` it; what waits there counts as all that waits does."""
        count, size = len(newest), newest.size
        try:
            return change(newest)
        finally:
            self._waiting += len(newest) - count
            self._waiting_bytes += newest.size - size

    def _gather_newest(self) -> bool:
        if not self._newest:
            return False
        self._pending = self._recount(self._newest, Newest.take)
        self.sent_messages += 1
        self.last_sent = self.now()
        return True
