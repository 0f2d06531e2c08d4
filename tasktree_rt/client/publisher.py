"""Publishing for programs without Trio: a queue, a thread, and HTTP.

`Publisher.publish` puts events into a bounded queue and returns; a background thread posts them. What
waits for one project goes out in one request, under an idempotency key that stays the same over every
retry, so that nothing is lost or doubled while the program lives. The order within a project is kept.
Nothing vanishes without a word: whatever could not be delivered is counted and told to `on_error`.
"""

from __future__ import annotations

import atexit
import logging
import math
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from itertools import count
from types import TracebackType
from typing import Any, Final, Unpack

import httpx
from attrs import define, evolve, frozen

from tasktree_rt.client import payload
from tasktree_rt.client.asking import Answer, Asked, make_question
from tasktree_rt.client.backoff import Backoff, Retry
from tasktree_rt.client.checking import HubLimits
from tasktree_rt.client.dividing import divided, in_vain
from tasktree_rt.client.log_guard import muted
from tasktree_rt.client.payload import EventLike
from tasktree_rt.client.posting import Posted, Poster
from tasktree_rt.client.receipts import Lost
from tasktree_rt.client.requests import Conversation
from tasktree_rt.core.events import Json
from tasktree_rt.core.limits import KIB, MAX_EVENTS_PER_PUBLISH, MAX_MESSAGE_SIZE, MAX_NODE_SIZE, MIB
from tasktree_rt.dialects.base import decode_json
from tasktree_rt.errors import ClientError, ConnectionLost, PublishRefused

BRACKETS: Final = 2
"""Bytes of a request besides its events and the commas between them."""
MAX_BATCH_EVENTS: Final = 500
MAX_BATCH_BYTES: Final = 512 * KIB
_logger: Final = logging.getLogger("tasktree_rt.client")


@define(eq=False)
class Job:
    """Events of one `publish`, kept all or none. `body` is them as JSON, joined by commas.

    With `lost` it is one event of a run: refused, it is divided, and `lost` is called for what is lost of it.
    """

    project_id: str
    body: bytes
    events: int
    lost: Lost | None = None


OnError = Callable[[str, bytes, ClientError], None]
"""Told of the project, the events as a JSON array, and why they were not delivered."""


@frozen
class PublisherStatistics:
    """Events, not publishes: ``published == delivered + refused + lost + waiting``; `retries` of requests."""

    published: int = 0
    delivered: int = 0
    refused: int = 0
    lost: int = 0
    waiting: int = 0
    retries: int = 0
    last_error: str | None = None


class Publisher:
    """Publishes to the hub at `url` (http, https, ws or wss); any thread may use it.

    A context manager: leaving it is `close`. At the end of the interpreter an open one is closed too.

    Args:
        producer_id: names this producer; with the keys it tells the hub what is a repeat.
        max_waiting: events in the queue; `publish` waits when it is full.
        max_waiting_bytes: their bytes.
        max_message_size: bytes of one `publish`; the hub's own limit is 1 MiB by default.
        max_node_size: bytes of a node; the hub's own limit is 256 KiB by default.
        max_events: of one `publish`; the hub's own limit is 1,000 by default.
        on_error: called in the background thread; default: a warning in the log ``tasktree_rt.client``.
        timeout: seconds for one request.
        exit_timeout: seconds that `close` flushes for, if it is not told otherwise.

    Raises:
        ValueError: not an address.
    """

    def __init__(
        self,
        url: str,
        producer_id: str,
        *,
        token: str | None = None,
        max_waiting: int = 10_000,
        max_waiting_bytes: int = 16 * MIB,
        max_message_size: int = MAX_MESSAGE_SIZE,
        max_node_size: int = MAX_NODE_SIZE,
        max_events: int = MAX_EVENTS_PER_PUBLISH,
        on_error: OnError | None = None,
        timeout: float = 10.0,
        exit_timeout: float = 5.0,
        backoff: Backoff = Backoff(),  # noqa: B008 - frozen
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._poster = Poster(url, producer_id, token, timeout, transport)
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self.limits = HubLimits(max_message_size, max_node_size, max_events)
        self._on_error = on_error or _log_error
        self._exit_timeout = exit_timeout
        self._backoff = backoff
        self._retry = Retry(backoff)
        self._keys = (f"{run}-{number}" for run in [secrets.token_hex(8)] for number in count(1))
        self._changed = threading.Condition()
        self._queues: OrderedDict[str, deque[Job]] = OrderedDict()
        self._bytes = 0
        self._statistics = PublisherStatistics()
        self._closing = False
        self._given_up = False
        self._thread = threading.Thread(target=self._work, name="tasktree-rt publisher", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def publish(self, events: EventLike | Iterable[EventLike], *, timeout: float | None = None) -> None:
        """Publish one event, or several of one project that are kept all or none.

        An event without a timestamp gets the present time. Waits only while the queue is full, at most
        `timeout` seconds (default: for ever).

        Raises:
            PublishRefused: at once for what the hub would refuse whatever it holds (`HubLimits`).
            TimeoutError: there was no room; nothing was published.
            ConnectionLost: the publisher is closed; nothing was published.
        """
        encoded = payload.encode_events(events, self.limits, stamp=True)
        job = Job(encoded.project_id, b",".join(encoded.events), len(encoded.events))
        if len(job.body) + BRACKETS > self.limits.message_size:
            raise PublishRefused(
                "too_large", f"{len(job.body)} bytes, at most {self.limits.message_size} are taken"
            )
        self._put(job, timeout)

    def offer(self, event: Json, lost: Lost) -> None:
        """Not for the program's use: publish an event of a run, which was checked where it was made.

        Raises:
            ConnectionLost: the publisher is closed; nothing was published.
        """
        self._put(Job(event["project_id"], payload.encode_event(event), 1, lost), None)

    def _put(self, job: Job, timeout: float | None) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._closing or self._room(job), timeout):
                raise TimeoutError("the queue of the publisher is full")
            if self._closing:
                raise ConnectionLost("the publisher is closed")
            self._queues.setdefault(job.project_id, deque()).append(job)
            self._bytes += len(job.body)
            self._count(published=job.events, waiting=job.events)
            self._changed.notify_all()

    def node_update(self, project_id: str, node_id: str, **changes: Any) -> None:
        """Set fields of a node, making it if need be; None removes a field."""
        self.publish(payload.node_update(project_id, node_id, changes))

    def state_transition(
        self, project_id: str, to: str, *, before: str | None = None, node_id: str | None = None
    ) -> None:
        """A node, or without `node_id` the project itself, has passed from `before` to `to`."""
        self.publish(payload.state_transition(project_id, to, before=before, node_id=node_id, context=None))

    def log(self, project_id: str, message: str, *, level: str = "info", node_id: str | None = None) -> None:
        """A line of output."""
        self.publish(payload.log_line(project_id, message, level=level, node_id=node_id, stream=None))

    def ask(self, message: str, *, patience: float = math.inf, **asked: Unpack[Asked]) -> Answer:
        """Ask people, and block until there is an answer, or the default holds; as `Desk.ask` otherwise.

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
        with self._changed:
            return self._changed.wait_for(lambda: self._statistics.waiting == 0, timeout)

    def close(self, timeout: float | None = None) -> None:
        """Flush for at most `timeout` seconds (default `exit_timeout`), then stop.

        What is still waiting then is given up, counted as lost and told to `on_error`. Doing it twice
        is fine.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        atexit.unregister(self.close)
        if threading.current_thread() is self._thread:
            return  # called by `on_error`: the thread ends by itself
        self._thread.join(self._exit_timeout if timeout is None else timeout)
        with self._changed:
            self._given_up = True
            self._changed.notify_all()
        self._thread.join(self._poster.timeout + 1.0)  # one request may be on its way

    def statistics(self) -> PublisherStatistics:
        """How it goes."""
        with self._changed:
            return self._statistics

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _room(self, job: Job) -> bool:
        waiting = self._statistics.waiting
        fits = waiting + job.events <= self._max_waiting
        return waiting == 0 or (fits and self._bytes + len(job.body) <= self._max_waiting_bytes)

    def _count(self, **more: int) -> None:
        now = self._statistics
        self._statistics = evolve(now, **{name: getattr(now, name) + by for name, by in more.items()})

    # --- the background thread --------------------------------------------------------------------

    def _work(self) -> None:
        muted.set(True)
        try:
            while (batch := self._next_batch()) is not None:
                self._deliver(batch)
        finally:
            self._give_up()
            self._poster.close()

    def _next_batch(self) -> list[Job] | None:
        """What waits of the project that has waited longest; None when it is time to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._queues or self._closing)
            if self._given_up or not self._queues:
                return None
            project_id, queue = self._queues.popitem(last=False)
            batch = [queue.popleft()]
            events, size = batch[0].events, len(batch[0].body)
            while queue and events + queue[0].events <= MAX_BATCH_EVENTS:
                size += len(queue[0].body)
                if size > MAX_BATCH_BYTES:
                    break
                events += queue[0].events
                batch.append(queue.popleft())
            if queue:
                self._queues[project_id] = queue  # behind the other projects
            return batch

    def _deliver(self, batch: list[Job]) -> None:
        """Post until there is an answer for good. Refused together, its jobs are tried in halves.

        An event of a run is tried in halves of its fields.
        """
        answer = self._post(batch)
        if answer.error is None:
            self._settle(batch, delivered=sum(job.events for job in batch))
        elif parts := self._divided(batch, answer):
            for part in parts:
                self._deliver(part)
        else:
            self._fail(batch, answer.error)

    def _divided(self, batch: list[Job], answer: Posted) -> list[list[Job]]:
        error = answer.error
        if not answer.splittable or not isinstance(error, PublishRefused) or in_vain(error.code):
            return []
        if len(batch) > 1:
            middle = len(batch) // 2
            return [batch[:middle], batch[middle:]]
        [job] = batch
        if job.lost is None:
            return []
        halves = divided([decode_json(job.body, ours=True)], error.code)
        parts = [Job(job.project_id, payload.encode_event(event), 1, job.lost) for [event] in halves]
        if parts:
            with self._changed:
                self._count(published=len(parts) - 1, waiting=len(parts) - 1)
                self._bytes += sum(len(part.body) for part in parts) - len(job.body)
        return [[part] for part in parts]

    def _post(self, batch: list[Job]) -> Posted:
        body = b"[%b]" % b",".join(job.body for job in batch)
        key = next(self._keys)
        while True:
            answer = self._poster.post(batch[0].project_id, key, body)
            if not answer.again:
                self._retry.reset()
                return answer
            with self._changed:
                self._count(retries=1)
                self._statistics = evolve(self._statistics, last_error=str(answer.error))
                until = time.monotonic() + self._retry.delay(answer.retry_after)
                self._changed.wait_for(lambda: self._given_up, max(0.0, until - time.monotonic()))
                if self._given_up:
                    return answer

    def _fail(self, batch: list[Job], error: ClientError) -> None:
        events = sum(job.events for job in batch)
        if isinstance(error, PublishRefused):
            self._settle(batch, refused=events, why=error)
        else:
            self._settle(batch, lost=events, why=error)
        for job in batch:
            if job.lost is not None:
                job.lost(decode_json(job.body, ours=True), error)
            if job.lost is None or self._on_error is not _log_error:
                self._tell(job, error)

    def _tell(self, job: Job, error: ClientError) -> None:
        try:
            self._on_error(job.project_id, b"[%b]" % job.body, error)
        except Exception:  # the callback's fault must not end the thread that everything else waits for
            _logger.exception("on_error failed")

    def _settle(self, batch: list[Job], *, why: ClientError | None = None, **counts: int) -> None:
        with self._changed:
            self._count(waiting=-sum(job.events for job in batch), **counts)
            if why is not None:
                self._statistics = evolve(self._statistics, last_error=str(why))
            self._bytes -= sum(len(job.body) for job in batch)
            self._changed.notify_all()

    def _give_up(self) -> None:
        with self._changed:
            self._closing = True
            left = [job for queue in self._queues.values() for job in queue]
            self._queues.clear()
        why = ConnectionLost(f"given up on closing ({self._statistics.last_error or 'no time left'})")
        if left:
            self._fail(left, why)


def _log_error(project_id: str, events: bytes, error: ClientError) -> None:
    _logger.warning("%d bytes of events of project %s were not delivered: %s", len(events), project_id, error)
