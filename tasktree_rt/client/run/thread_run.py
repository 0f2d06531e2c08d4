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
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, Unpack

from tasktree_rt.client.interactions.prompts import Answer, Asked
from tasktree_rt.client.joining import environment, process
from tasktree_rt.client.log_guard import muted
from tasktree_rt.client.producer.thread_publisher import Publisher
from tasktree_rt.client.run.base import FLUSH, BaseRun, about, checked_project
from tasktree_rt.client.run.in_thread import in_thread
from tasktree_rt.client.run.node import Node
from tasktree_rt.core.events import Json
from tasktree_rt.errors import ConnectionLost

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
    """A run for programs with threads, with asyncio or Trio: ``with``, or ``async with``; leaving it flushes.

    Entering sets the project's state to ``running``, leaving to ``completed``, ``failed`` or ``cancelled``.
    A thread sends the events of the nodes. Nothing waits for the hub, and unless the run is strict nothing
    raises once it is made; what finds no room is counted as lost. A forked child may go on with the run's
    nodes; only the process that entered it says what became of the project.

    Args:
        hub: its address, or a `Publisher` that is open already and stays so; by default ``TASKTREE_RT_HUB``.
        name: the project; by default ``TASKTREE_RT_PROJECT``.
        title: its title.
        series: the job of which this is a run.
        number: what the run is called in its series.
        fresh: begin with an empty tree, whatever was in the project.
        flush_timeout: seconds that leaving takes at most; by default 2. Standard error says what is lost.
        strict: raise ValueError for what the program does wrong: unfit fields, a node that is open already.
        owner: whether it is this run that says what becomes of the project.
        parent: the id of the node that nodes are under by default.
        options: what `Publisher` takes, if `hub` is an address: ``producer_id``, ``token`` …

    Raises:
        ValueError: not an address, or not a project's id.
    """

    def __init__(
        self,
        hub: str | Publisher | None = None,
        name: str | None = None,
        *,
        title: str | None = None,
        series: str | None = None,
        number: int | str | None = None,
        fresh: bool = False,
        flush_timeout: float | None = None,
        strict: bool = False,
        owner: bool = True,
        parent: str | None = None,
        **options: Any,
    ) -> None:
        self._own = not isinstance(hub, Publisher)
        project = environment.needed(name, environment.PROJECT)
        if not isinstance(hub, Publisher):
            options.setdefault("producer_id", f"run-{checked_project(project)}")
            options.setdefault("token", environment.given(None, environment.TOKEN))
            hub = Publisher(environment.needed(hub, environment.HUB), **options)
            hub.owned = True
        own = {"title": title, "series": series, "run": number}
        self.publisher = hub
        self.exit_timeout = process.EXIT if flush_timeout is None else flush_timeout
        self._fresh = fresh
        self._deadline = 0.0
        self._told = 0
        super().__init__(
            project, own, hub.limits, ThreadNode, wake=self._wake, strict=strict, owner=owner, parent=parent
        )
        process.add(self)

    @classmethod
    def join(
        cls,
        hub: str | Publisher | None = None,
        name: str | None = None,
        *,
        parent: str | None = None,
        **options: Any,
    ) -> Self:
        """A run in a project that another one owns: as the constructor, and under `parent`.

        What is not given is taken from ``TASKTREE_RT_HUB``, ``_PROJECT``, ``_PARENT`` and ``_TOKEN``.
        """
        above = environment.given(parent, environment.PARENT)
        return cls(hub, name, parent=above, owner=False, **options)

    def _anew(self) -> None:
        super()._anew()
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None
        self._closing = self._gone = False
        self._done = 0
        self._idle = True

    def after_fork(self) -> None:
        """Not for the program's use: see `process.Member`."""
        self.owner = False
        self._anew()

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
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(error)
        process.finish([self])

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(error)
        await in_thread(partial(process.finish, [self]))

    def hurry(self, deadline: float) -> None:
        """Not for the program's use: see `process.Member`."""
        with self._changed:
            if not self._closing:
                self._closing, self._deadline = True, deadline
            self._changed.notify_all()

    def finish(self) -> None:
        """Not for the program's use: see `process.Member`."""
        left = self._deadline - time.monotonic()
        self.flush(max(0.0, left - min(process.GRACE, left / 2)) if self._own else max(0.0, left))
        publisher = self.publisher
        if self._own:
            publisher.close(max(0.0, self._deadline - time.monotonic()))
            if self._thread is not None and self._thread is not threading.current_thread():
                self._thread.join(process.GRACE)  # it may hold events that the closed publisher did not take
        found, unsent = self.outflow.statistics(), publisher.statistics()
        lost = found.lost + found.waiting + (unsent.waiting if self._own else 0)
        new, self._told = lost - self._told, lost
        process.tell_lost(new, f"project {self.project_id}", publisher.url, unsent.last_error)

    def _wake(self) -> None:
        if self._idle:
            with self._changed:
                if self._thread is None and not self._gone:
                    self._start()
                self._changed.notify_all()

    def _start(self) -> None:
        process.hook()
        name = f"tasktree-rt run {self.project_id}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        with suppress(RuntimeError):  # an interpreter that ends has no thread for it
            thread.start()
            self._thread = thread

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
