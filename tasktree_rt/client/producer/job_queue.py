"""The bounded queue between the threads that publish and the one that posts: batches by project, in order."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from typing import Final

from attrs import define, evolve, frozen

from tasktree_rt.client.producer.receipt import Lost
from tasktree_rt.core.default_limits import KIB
from tasktree_rt.errors import ClientError, ConnectionLost

MAX_BATCH_EVENTS: Final = 500
MAX_BATCH_BYTES: Final = 512 * KIB


@define(eq=False)
class Job:
    """Events of one `publish`, kept all or none. `body` is them as JSON, joined by commas.

    With `lost` it is one event of a run: refused, it is divided, and `lost` is called for what is lost of it.
    """

    project_id: str
    body: bytes
    events: int
    lost: Lost | None = None


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


class JobQueue:
    """See the module; any thread may call. A job counts as waiting until it is settled."""

    def __init__(self, max_waiting: int, max_waiting_bytes: int) -> None:
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._changed = threading.Condition()
        self._queues: OrderedDict[str, deque[Job]] = OrderedDict()
        self._bytes = 0
        self._statistics = PublisherStatistics()
        self._closing = False
        self._given_up = False

    def put(self, job: Job, timeout: float | None) -> None:
        """Add a job; waits for room, at most `timeout` seconds (None: for ever).

        Raises:
            TimeoutError: there was no room.
            ConnectionLost: the queue is closing.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._closing or self._room(job), timeout):
                raise TimeoutError("the queue of the publisher is full")
            if self._closing:
                raise ConnectionLost("the publisher is closed")
            self._queues.setdefault(job.project_id, deque()).append(job)
            self._bytes += len(job.body)
            self._count(published=job.events, waiting=job.events)
            self._changed.notify_all()

    def offer(self, job: Job) -> bool:
        """Add a job if there is room, else count it as lost; waits for nothing.

        Raises:
            ConnectionLost: the queue is closing.
        """
        with self._changed:
            try:
                self.put(job, 0.0)
            except TimeoutError as error:
                self._count(published=job.events, lost=job.events)
                self._statistics = evolve(self._statistics, last_error=str(error))
                return False
            return True

    def next_batch(self) -> list[Job] | None:
        """Jobs of the project that has waited longest; None when it is time to end. Waits for some."""
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

    def divide(self, job: Job, parts: list[Job]) -> None:
        """Count `parts` in place of `job`, which was taken out."""
        with self._changed:
            self._count(published=len(parts) - 1, waiting=len(parts) - 1)
            self._bytes += sum(len(part.body) for part in parts) - len(job.body)

    def settle(self, batch: list[Job], *, why: ClientError | None = None, **counts: int) -> None:
        """Count jobs that were taken out as no longer waiting, and as `counts` says."""
        with self._changed:
            self._count(waiting=-sum(job.events for job in batch), **counts)
            if why is not None:
                self._statistics = evolve(self._statistics, last_error=str(why))
            self._bytes -= sum(len(job.body) for job in batch)
            self._changed.notify_all()

    def pause(self, why: ClientError | None, seconds: float) -> bool:
        """Wait before a retry; returns False, at once, if everything is to be given up."""
        with self._changed:
            self._count(retries=1)
            self._statistics = evolve(self._statistics, last_error=str(why))
            return not self._changed.wait_for(lambda: self._given_up, seconds)

    def wait_until_empty(self, timeout: float | None) -> bool:
        """Wait until no job waits, at most `timeout` seconds; returns whether that came true."""
        with self._changed:
            return self._changed.wait_for(lambda: self._statistics.waiting == 0, timeout)

    def close(self) -> None:
        """Refuse jobs from now on; `next_batch` gives what is left."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def give_up(self) -> None:
        """Refuse jobs, and let `next_batch` and `pause` end at once."""
        with self._changed:
            self._closing = self._given_up = True
            self._changed.notify_all()

    def take_rest(self) -> list[Job]:
        """Take out all jobs, and refuse others."""
        with self._changed:
            self._closing = True
            left = [job for queue in self._queues.values() for job in queue]
            self._queues.clear()
            return left

    def statistics(self) -> PublisherStatistics:
        """The counts of this moment."""
        with self._changed:
            return self._statistics

    def _room(self, job: Job) -> bool:
        waiting = self._statistics.waiting
        fits = waiting + job.events <= self._max_waiting
        return waiting == 0 or (fits and self._bytes + len(job.body) <= self._max_waiting_bytes)

    def _count(self, **more: int) -> None:
        now = self._statistics
        self._statistics = evolve(now, **{name: getattr(now, name) + by for name, by in more.items()})
