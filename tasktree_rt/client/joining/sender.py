"""The thread that sends what a program says, in order, and how it ends.

It is made at the first event, ends when nothing has come for `IDLE` seconds, and is made anew: a program with
many projects has threads for the busy ones. It is a daemon: it holds up nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from tasktree_rt.client.joining import process
from tasktree_rt.client.joining.delivery import Delivery, OnError, warn
from tasktree_rt.client.joining.event_buffer import EventBuffer, OutflowStatistics
from tasktree_rt.client.joining.http_post import Poster
from tasktree_rt.client.joining.plain_json import Json
from tasktree_rt.client.log_guard import muted

FLUSH: Final = 0.1
"""Seconds between two publishes, about."""
IDLE: Final = 10.0


class Sender:
    """Sends the events of one project to one hub; any thread may call.

    Attributes:
        buffer: where events are put. Another one in a forked child.
        exit_timeout: seconds that `close` and the end of the process may take.
    """

    def __init__(
        self,
        hub: str,
        project_id: str,
        poster: Poster,
        *,
        exit_timeout: float,
        on_error: OnError | None,
        forked: Callable[[], None],
    ) -> None:
        self.exit_timeout = exit_timeout
        self._hub = hub
        self._project_id = project_id
        self._poster = poster
        self._on_error = on_error
        self._forked = forked
        self._closing = False
        self._deadline = time.monotonic()
        self._begin()
        process.add(self)

    def _begin(self) -> None:
        self.buffer = EventBuffer(self._project_id, self._wake)
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None
        self._idle = False
        self._flushing = 0
        self._done = 0
        self._told = 0
        self._delivery = Delivery(self._hub, self._project_id, self._poster, self._on_error, self._pause)

    def after_fork(self) -> None:
        """See `process.Member`."""
        self._poster.after_fork()
        self._begin()
        self._forked()

    # --- events --------------------------------------------------------------------------------------

    def _wake(self) -> None:
        with self._changed:
            if self._thread is None:
                self._start()
            elif self._idle:
                self._idle = False
                self._changed.notify_all()

    def _start(self) -> None:
        if self._closing:
            return
        process.hook()
        thread = threading.Thread(target=self._work, name=f"tasktree-rt {self._project_id}", daemon=True)
        # Without a thread, as in an interpreter that ends, `finish` sends what waits.
        with suppress(RuntimeError):
            thread.start()
            self._thread = thread

    def _work(self) -> None:
        muted.set(True)
        try:
            while self._await_events():
                due = time.monotonic() + FLUSH
                self._send_batch()
                with self._changed:
                    if not self.buffer.full:
                        self._changed.wait_for(self._urgent, due - time.monotonic())
        finally:
            with self._changed:
                if self._thread is threading.current_thread():
                    self._thread = None
                self._changed.notify_all()

    def _await_events(self) -> bool:
        with self._changed:
            self._idle = True
            self._changed.wait_for(lambda: len(self.buffer) or self._closing, IDLE)
            self._idle = False
            if len(self.buffer):
                return True
            # Under the lock: an event that comes now finds no thread, and makes one.
            self._thread = None
            self._poster.close()
            return False

    def _send_batch(self) -> None:
        batch, taken = self.buffer.take(), self.buffer.gone
        try:
            self._delivery.deliver(batch)
        except Exception as error:  # a fault of ours costs a batch, not the program
            self._delivery.failed(batch, f"{type(error).__name__}: {error}")
            warn("sending failed: %s: %s", type(error).__name__, error)
        with self._changed:
            self._done = taken
            self._changed.notify_all()

    def _urgent(self) -> bool:
        return self._closing or self._flushing > 0

    def _pause(self, seconds: float) -> float | None:
        """Wait before another try; returns the seconds that it may take, None if there are none left."""
        with self._changed:
            before = self._closing
            if not before:
                self._changed.wait_for(lambda: self._closing, seconds)
            if not self._closing:
                return Delivery.TIMEOUT
            left = self._deadline - time.monotonic()
            if before:
                self._changed.wait(max(0.0, min(seconds, left)))
                left = self._deadline - time.monotonic()
            return left if left > 0 else None

    # --- ends ----------------------------------------------------------------------------------------

    def flush(self, timeout: float) -> bool:
        """Wait until the hub has all events so far, or has refused them, at most `timeout` seconds."""
        if threading.current_thread() is self._thread:
            return False  # within `on_error`
        with self._changed:
            said = self.buffer.put
            self._flushing += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: self._done >= said or self._ended(), timeout) and (
                    self._done >= said
                )
            finally:
                self._flushing -= 1

    def _ended(self) -> bool:
        return self._closing and self._thread is None

    def hurry(self, deadline: float) -> None:
        """See `process.Member`."""
        with self._changed:
            if not self._closing:
                self._closing, self._deadline = True, deadline
            self._changed.notify_all()

    def finish(self) -> None:
        """See `process.Member`."""
        if threading.current_thread() is self._thread:
            return  # within `on_error`: the thread ends by itself
        with self._changed:
            if self._thread is not None:
                left = self._deadline - time.monotonic()
                self._changed.wait_for(lambda: self._thread is None, max(0.0, left))
        while self._thread is None and len(self.buffer) and time.monotonic() < self._deadline:
            self._send_batch()
        self.buffer.abandon()
        lost = self._delivery.give_up() + self.buffer.statistics().lost
        self._poster.abort()
        self._tell(lost)

    def _tell(self, lost: int) -> None:
        new, self._told = lost - self._told, lost
        process.tell_lost(new, f"project {self._project_id}", self._hub, self._delivery.why)

    def statistics(self) -> OutflowStatistics:
        """Counts of this moment."""
        found = self.buffer.statistics()
        return replace(found, lost=found.lost + self._delivery.lost)


def say(buffer: EventBuffer, node_id: str, changes: Json, size: int) -> None:
    """Put a node's fields in; without room for a status they are counted as lost. Never waits."""
    if "status" in changes and not buffer.room:
        buffer.lose()
    else:
        buffer.change(node_id, changes, size)
