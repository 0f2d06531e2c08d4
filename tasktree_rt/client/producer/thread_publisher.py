"""Publishing for programs without Trio: a queue, a thread, and HTTP.

`Publisher.publish` puts events into a bounded queue and returns; a background thread posts them. What
waits for one project goes out in one request, under an idempotency key that stays the same over every
retry, so that nothing is lost or doubled while the program lives. The order within a project is kept.
Nothing vanishes without a word: whatever could not be delivered is counted and told to `on_error`.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Final, Unpack

import httpx

from tasktree_rt.client.interactions.prompts import Answer, Asked, make_question
from tasktree_rt.client.joining import process
from tasktree_rt.client.joining.delivery import warn_once
from tasktree_rt.client.producer import encode as payload
from tasktree_rt.client.producer.checks import HubLimits
from tasktree_rt.client.producer.encode import EventLike
from tasktree_rt.client.producer.http_delivery import Delivery, OnError
from tasktree_rt.client.producer.http_publish import Poster
from tasktree_rt.client.producer.job_queue import Job, JobQueue, PublisherStatistics
from tasktree_rt.client.producer.receipt import Lost
from tasktree_rt.client.transport.backoff import Backoff, Retry
from tasktree_rt.client.transport.http_retry import Conversation
from tasktree_rt.client.transport.tls import Cert, Verify, tls_context
from tasktree_rt.client.transport.tokens import TokenSource
from tasktree_rt.core.default_limits import MAX_EVENTS_PER_PUBLISH, MAX_MESSAGE_SIZE, MAX_NODE_SIZE, MIB
from tasktree_rt.core.events import Json
from tasktree_rt.errors import PublishRefused

BRACKETS: Final = 2
"""Bytes of a request besides its events and the commas between them."""


class Publisher:
    """Publishes to the hub at `url` (http, https, ws or wss); any thread may use it.

    A context manager: leaving it is `close`. At the end of the interpreter an open one is closed too. A
    forked child has an empty queue and a thread of its own; the parent sends what waited.

    Args:
        token: the token or API key, or a function that gives one and is asked again when the hub refuses it.
            An async function runs in an event loop of asyncio of its own.
        producer_id: names this producer; the hub recognises a repeat by it and the idempotency key.
        max_waiting: events in the queue; what `publish` finds no room for is counted as lost.
        max_waiting_bytes: their bytes.
        max_message_size: bytes of one `publish`; the hub's own limit is 1 MiB by default.
        max_node_size: bytes of a node; the hub's own limit is 256 KiB by default.
        max_events: of one `publish`; the hub's own limit is 1,000 by default.
        on_error: called in the background thread; default: a warning in the log ``tasktree_rt.client``.
        timeout: seconds for one request.
        exit_timeout: seconds that `close` takes at most, if it is not told otherwise; by default 2.
        verify, cert: TLS (`tasktree_rt.client.transport.tls`). While it fails, events wait, as they do while
            the hub is away.

    Raises:
        ValueError: not an address, or a file of `verify` or `cert` cannot be used.
    """

    def __init__(
        self,
        url: str,
        producer_id: str,
        *,
        token: TokenSource = None,
        max_waiting: int = 10_000,
        max_waiting_bytes: int = 16 * MIB,
        max_message_size: int = MAX_MESSAGE_SIZE,
        max_node_size: int = MAX_NODE_SIZE,
        max_events: int = MAX_EVENTS_PER_PUBLISH,
        on_error: OnError | None = None,
        timeout: float = 10.0,
        exit_timeout: float | None = None,
        backoff: Backoff = Backoff(),  # noqa: B008 - frozen
        transport: httpx.BaseTransport | None = None,
        verify: Verify = True,
        cert: Cert | None = None,
    ) -> None:
        context = tls_context(url, verify, cert)
        self.url = url.partition("?")[0]  # a query may have a token
        self._make = partial(Poster, url, producer_id, token, timeout, transport, context)
        self._bounds = (max_waiting, max_waiting_bytes)
        self.limits = HubLimits(max_message_size, max_node_size, max_events)
        self.exit_timeout = process.EXIT if exit_timeout is None else exit_timeout
        self.owned = False
        self._backoff = backoff
        self._on_error = on_error
        self._deadline = math.inf
        self.after_fork()
        process.add(self)

    def after_fork(self) -> None:
        """Not for the program's use: begin with an empty queue (`process.Member`)."""
        self._poster = self._make()
        self._queue = JobQueue(*self._bounds)
        self._delivery = Delivery(self._queue, self._poster, self._backoff, self._on_error)
        self._thread: threading.Thread | None = None
        self._starting = threading.RLock()
        self._told = 0

    def _running(self) -> JobQueue:
        """The queue, which a thread empties from the first event on."""
        if self._thread is None:
            with self._starting, suppress(RuntimeError):  # an interpreter that ends has no thread for it
                if self._thread is None:
                    process.hook()
                    thread = threading.Thread(
                        target=self._delivery.run, name="tasktree-rt publisher", daemon=True
                    )
                    thread.start()
                    self._thread = thread
        return self._queue

    def publish(self, events: EventLike | Iterable[EventLike], *, timeout: float | None = None) -> None:
        """Publish one event, or several of one project that are kept all or none.

        An event without a timestamp gets the present time. Where the queue is full, it waits for room for at
        most `timeout` seconds; without one it waits for nothing, and the events are counted as lost.

        Raises:
            PublishRefused: at once for what the hub would refuse whatever it holds (`HubLimits`).
            TimeoutError: there was no room in time; nothing was published.
            ConnectionLost: the publisher is closed; nothing was published.
        """
        encoded = payload.encode_events(events, self.limits, stamp=True)
        job = Job(encoded.project_id, b",".join(encoded.events), len(encoded.events))
        if len(job.body) + BRACKETS > self.limits.message_size:
            raise PublishRefused(
                "too_large", f"{len(job.body)} bytes, at most {self.limits.message_size} are taken"
            )
        queue = self._running()
        if timeout is not None:
            queue.put(job, timeout)
        elif not queue.offer(job):
            warn_once(f"full {self.url}", "the queue to the hub at %s is full: events are lost", self.url)

    def offer(self, event: Json, lost: Lost) -> None:
        """Not for the program's use: publish an event of a run, which was checked where it was made.

        Raises:
            ConnectionLost: the publisher is closed; nothing was published.
        """
        self._running().put(Job(event["project_id"], payload.encode_event(event), 1, lost), None)

    def node_update(self, project_id: str, node_id: str, **changes: Any) -> None:
        """Set fields of a node, making it if need be; None removes a field."""
        self.publish(payload.node_update(project_id, node_id, changes))

    def state_transition(
        self, project_id: str, to: str, *, before: str | None = None, node_id: str | None = None
    ) -> None:
        """A node, or without `node_id` the project itself, has passed from `before` to `to`."""
        self.publish(payload.state_transition(project_id, to, before=before, node_id=node_id, context=None))

    def log(self, project_id: str, message: str, *, level: str = "info", node_id: str | None = None) -> None:
        """Publish a line of output of a project, or of one of its nodes."""
        self.publish(payload.log_line(project_id, message, level=level, node_id=node_id, stream=None))

    def ask(self, message: str, *, patience: float = math.inf, **asked: Unpack[Asked]) -> Answer:
        """Ask people, and block until there is an answer, or the default holds; as `ApiClient.ask` otherwise.

        From any thread, through any restart of the hub. What was published before may reach watchers after
        the question; `flush` first where that matters. Ctrl+C takes the question back.

        Args:
            patience: seconds that the hub may be away.

        Raises:
            RequestRefused: the hub would not ask that.
            ConnectionLost: the hub was away for longer.
        """
        question = make_question(message, **asked)
        return self._poster.ask(question, Conversation(Retry(self._backoff), patience, time.monotonic))

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until nothing waits any more, at most `timeout` seconds; returns whether that came true."""
        return self._queue.wait_until_empty(timeout)

    def close(self, timeout: float | None = None) -> None:
        """Flush, and stop, in at most `timeout` seconds altogether (default `exit_timeout`).

        What is still waiting then is given up, counted as lost, told on standard error and passed to
        `on_error`. Doing it twice is fine.
        """
        deadline = time.monotonic() + (self.exit_timeout if timeout is None else timeout)
        self._queue.close()
        self._deadline = min(self._deadline, deadline)
        self._finish()

    def hurry(self, deadline: float) -> None:
        """Not for the program's use: see `process.Member`. A run closes its own publisher."""
        if not self.owned:
            self._queue.close()
            self._deadline = min(self._deadline, deadline)

    def finish(self) -> None:
        """Not for the program's use: see `process.Member`."""
        if not self.owned:
            self._finish()

    def _finish(self) -> None:
        thread = self._thread
        if threading.current_thread() is thread:
            return  # called by `on_error`: the thread ends by itself
        if thread is not None:
            left = max(0.0, self._deadline - time.monotonic())
            thread.join(max(0.0, left - min(process.GRACE, left / 2)))
        self._queue.give_up()
        if thread is not None:
            thread.join(process.GRACE)
        found = self._queue.statistics()
        lost = found.lost + found.waiting
        new, self._told = lost - self._told, lost
        if not self.owned:
            process.tell_lost(new, "a publisher", self.url, found.last_error)

    def statistics(self) -> PublisherStatistics:
        """The counts of this moment."""
        return self._queue.statistics()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
