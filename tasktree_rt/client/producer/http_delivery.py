"""The background work of a `Publisher`: post what waits, retry, divide what was refused, tell what failed."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from itertools import count
from typing import Final

from tasktree_rt.client.log_guard import muted
from tasktree_rt.client.producer import encode as payload
from tasktree_rt.client.producer.http_publish import Posted, Poster
from tasktree_rt.client.producer.job_queue import Job, JobQueue
from tasktree_rt.client.producer.split_batch import divided, in_vain
from tasktree_rt.client.transport.backoff import Backoff, Retry
from tasktree_rt.dialects.base import decode_json
from tasktree_rt.errors import ClientError, ConnectionLost, PublishRefused

OnError = Callable[[str, bytes, ClientError], None]
"""Called with the project, the events as a JSON array, and why they were not delivered."""
_logger: Final = logging.getLogger("tasktree_rt.client")


class Delivery:
    """Delivers the jobs of `queue`, in one thread."""

    def __init__(self, queue: JobQueue, poster: Poster, backoff: Backoff, on_error: OnError | None) -> None:
        self._queue = queue
        self._poster = poster
        self._on_error = on_error or _log_error
        self._retry = Retry(backoff)
        self._keys = (f"{run}-{number}" for run in [secrets.token_hex(8)] for number in count(1))

    def run(self) -> None:
        """Deliver until the queue ends; then give up what is left."""
        muted.set(True)
        try:
            while (batch := self._queue.next_batch()) is not None:
                self._deliver(batch)
        finally:
            self._give_up()
            self._poster.close()

    def _deliver(self, batch: list[Job]) -> None:
        """Post until there is an answer for good. Refused together, its jobs are tried in halves.

        An event of a run is tried in halves of its fields.
        """
        answer = self._post(batch)
        if answer.error is None:
            self._queue.settle(batch, delivered=sum(job.events for job in batch))
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
            self._queue.divide(job, parts)
        return [[part] for part in parts]

    def _post(self, batch: list[Job]) -> Posted:
        body = b"[%b]" % b",".join(job.body for job in batch)
        key = next(self._keys)
        while True:
            answer = self._poster.post(batch[0].project_id, key, body)
            if not answer.again:
                self._retry.reset()
                return answer
            if not self._queue.pause(answer.error, self._retry.delay(answer.retry_after)):
                return answer

    def _fail(self, batch: list[Job], error: ClientError) -> None:
        events = sum(job.events for job in batch)
        if isinstance(error, PublishRefused):
            self._queue.settle(batch, refused=events, why=error)
        else:
            self._queue.settle(batch, lost=events, why=error)
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

    def _give_up(self) -> None:
        left = self._queue.take_rest()
        last = self._queue.statistics().last_error
        if left:
            self._fail(left, ConnectionLost(f"given up on closing ({last or 'no time left'})"))


def _log_error(project_id: str, events: bytes, error: ClientError) -> None:
    _logger.warning("%d bytes of events of project %s were not delivered: %s", len(events), project_id, error)
