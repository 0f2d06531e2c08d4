"""A run: a project whose tree is what the program does, block by block.

With threads or asyncio::

    with Run("http://127.0.0.1:8000", "build-7", title="Build 7") as run:
        with run.node("compile", title="Compile") as step:
            step.progress(40)
            step.log("cc main.c")

With Trio the same is ``async with open_run(…) as run``. A hub that is slow or away holds nothing up: what
nodes say waits here, bounded (`outflow`).
"""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType
from typing import Any, Final, Self, Unpack

from tasktree_rt.client.interactions.prompts import Answer, Asked
from tasktree_rt.client.log_guard import muted
from tasktree_rt.client.producer.thread_publisher import Publisher
from tasktree_rt.client.run.base import FLUSH, BaseRun, about, checked_project
from tasktree_rt.client.run.node import Node
from tasktree_rt.core.events import Json
from tasktree_rt.errors import ConnectionLost

ROOM: Final = 1.0
_logger: Final = logging.getLogger("tasktree_rt.client")


class ThreadNode(Node):
    """A node of a `Run`."""

    run: Run

    def ask(self, message: str, **asked: Unpack[Asked]) -> Answer:
        """Ask people, as `Run.ask`, about this node, which is in ``review`` meanwhile. Blocks."""
        asked.setdefault("node_id", self.id)
        with self._in_review():
            return self.run.ask(message, **asked)


class Run(BaseRun[ThreadNode]):
    """A run for programs with threads, or with asyncio. A context manager; leaving it flushes.

    Entering sets the project's state to ``running``, leaving to ``completed``, ``failed`` or ``cancelled``.
    A thread sends the events of the nodes. A node waits only where 50,000 beginnings and ends of nodes wait,
    which takes a hub that is away for long; then entering and leaving a node waits.

    Args:
        hub: its address, or a `Publisher` that is open already and stays so.
        name: the project.
        title: its title.
        series: the job of which this is a run.
        number: what the run is called in its series.
        fresh: begin with an empty tree, whatever was in the project.
        options: what `Publisher` takes, if `hub` is an address: ``producer_id``, ``token`` …

    Raises:
        ValueError: not an address, or not a project's id.
    """

    def __init__(
        self,
        hub: str | Publisher,
        name: str,
        *,
        title: str | None = None,
        series: str | None = None,
        number: int | str | None = None,
        fresh: bool = False,
        flush_timeout: float = 10.0,
        **options: Any,
    ) -> None:
        self._changed = threading.Condition()
        self._own = isinstance(hub, str)
        if isinstance(hub, str):
            options.setdefault("producer_id", f"run-{checked_project(name)}")
            hub = Publisher(hub, **options)
        own = {"title": title, "series": series, "run": number}
        super().__init__(
            name, own, hub.limits, ThreadNode, wake=self._wake, wait_for_room=self._wait_for_room
        )
        self.publisher = hub
        self._fresh = fresh
        self._flush_timeout = flush_timeout
        self._closing = self._gone = False
        self._done = 0
        self._idle = True
        self._thread = threading.Thread(target=self._work, name=f"tasktree-rt run {name}", daemon=True)

    def ask(self, message: str, **asked: Unpack[Asked]) -> Answer:
        """Ask people, as `Publisher.ask`, in this project and about the current node. Blocks.

        The prompt is sent after all events of before.
        """
        self.flush()
        return self.publisher.ask(message, **about(self, asked))

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the hub has all events so far, at most `timeout` seconds; returns whether it has."""
        begun = time.monotonic()
        said = self.outflow.put
        with self._changed:
            self._changed.wait_for(lambda: self._gone or self._done >= said, timeout)
            if self._done < said:
                return False
        left = None if timeout is None else max(0.0, timeout - (time.monotonic() - begun))
        return self.publisher.flush(left)

    def __enter__(self) -> Self:
        if self._fresh:
            self.publisher.publish(self.deletion())
        self._thread.start()
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(error)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self.flush(self._flush_timeout)
        if self._own:
            self.publisher.close()
        self._thread.join(ROOM)

    def _wait_for_room(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self.outflow.room or self._gone)
        return True

    def _wake(self) -> None:
        if self._idle:
            with self._changed:
                self._changed.notify_all()

    def _work(self) -> None:
        muted.set(True)
        try:
            self._send_all()
        finally:
            self.outflow.abandon()
            with self._changed:
                self._gone = True
                self._changed.notify_all()

    def _send_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: len(self.outflow) or self._closing)
                if not len(self.outflow):
                    return
                self._idle = False
            due = time.monotonic() + FLUSH
            batch, taken = self.outflow.take(), self.outflow.gone
            for number, event in enumerate(batch):
                if not self._publish(event):
                    self.outflow.lose(len(batch) - number - 1)
                    return
            with self._changed:
                self._idle, self._done = True, taken
                self._changed.notify_all()
                if not self.outflow.full:
                    self._changed.wait_for(lambda: self._closing, due - time.monotonic())

    def _publish(self, event: Json) -> bool:
        try:
            self.publisher.offer(event, self.part_lost)
        except ConnectionLost as error:
            _logger.warning("the run goes on unseen: %s", error)
            self.part_lost(event, error)
            return False
        return True
