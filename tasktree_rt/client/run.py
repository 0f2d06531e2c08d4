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
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar, Unpack

from tasktree_rt.client.asking import Answer, Asked
from tasktree_rt.client.checking import HubLimits
from tasktree_rt.client.dividing import described
from tasktree_rt.client.nodes import Node, current_node, is_cancellation
from tasktree_rt.client.outflow import Outflow, OutflowStatistics, muted
from tasktree_rt.client.publisher import Publisher
from tasktree_rt.client.sayable import Sayable
from tasktree_rt.core.events import Json, is_node_id, project_id
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.errors import ClientError, ConnectionLost, InvalidInput

N_co = TypeVar("N_co", bound=Node, covariant=True)
FLUSH: Final = 0.1
"""Seconds between two publishes, about: ten times a second a node's progress may be seen to move."""
ROOM: Final = 1.0
_NO_ID: Final = "expected 1-512 characters without control characters"

_run: ContextVar[BaseRun[Any] | None] = ContextVar("tasktree_rt_run", default=None)
_logger: Final = logging.getLogger("tasktree_rt.client")


class _FromContext:
    def __repr__(self) -> str:
        return "<the current node>"


FROM_CONTEXT: Final = _FromContext()
Parent = Node | str | None | _FromContext


def current_run() -> BaseRun[Any] | None:
    """The run of the current node; else the one within whose block this is running."""
    node = current_node()
    return _run.get() if node is None else node.run


class BaseRun(Generic[N_co]):
    """What `Run` and `TrioRun` have in common."""

    def __init__(self, name: str, title: str | None, make: Callable[..., N_co], limits: HubLimits) -> None:
        self.project_id = _project(name)
        self.outflow = Outflow(self.project_id, self._wake)
        self._sayable = Sayable(self.project_id, limits)
        self._title = title
        self._make = make
        self._history: dict[str, tuple[int, str]] = {}
        """How often each node was begun, and how it ended; "" while it has not."""
        self._lock = threading.Lock()
        self._token: Token[BaseRun[Any] | None] | None = None

    def node(self, id: str, *, parent: Parent = FROM_CONTEXT, **fields: Any) -> N_co:
        """A node, to be entered. `fields` are those of `Node.update`: ``title``, ``kind``, ``order`` …

        `parent` is a node, its id, or None for the top; by default the current node, if it is of this run.

        Raises:
            ValueError: not an id, or not what a node can have.
        """
        if not is_node_id(id):
            raise ValueError(f"{_NO_ID} as a node's id, got {id!r}")
        above = _parent_id(self, parent)
        sound, _ = self._sayable.fields(id, {"title": id, **fields})
        return self._make(self, id, above, sound)

    def plan(self, id: str, *, parent: Parent = FROM_CONTEXT, **fields: Any) -> None:
        """Show a node that is to come as ``ready``; `node` with the same id begins it.

        Raises:
            ValueError: as `node`.
        """
        made = self.node(id, parent=parent, **fields)
        begun = {**made._fields, "parent_id": made.parent_id, "status": "ready"}
        self.put(id, begun, self.weight(begun))

    def log(self, message: object, *, level: str = "info") -> None:
        """A line of output of the run itself."""
        self.outflow.line(str(message), level=level, node_id=None, extra={})

    def update(self, **changes: Any) -> None:
        """Set the project's own fields: ``title``, ``group``, ``labels``, ``url`` …

        Raises:
            ValueError: not what a project can have.
        """
        data = self._sayable.data("project_update", {"changes": changes})
        self.outflow.say("project_update", data, self.weight(data))

    def statistics(self) -> OutflowStatistics:
        """How it goes."""
        return self.outflow.statistics()

    # --- for nodes ----------------------------------------------------------------------------------

    def begin(self, node: Node) -> int:
        """Not for the program's use: a node is entered. Returns how often its id was, this time included."""
        with self._lock:
            times, ended = self._history.get(node.id, (0, "-"))
            if node.status is not None or not ended:
                raise ValueError(f"node {node.id!r} is running already, or was")
            self._history[node.id] = times + 1, ""
        if ended == "failed":
            self.put(node.id, {"status": "ready"}, 0)
        elif times:
            self.put(node.id, {"deleted": True, "status": None}, 0)
        return times + 1

    def end(self, node: Node) -> None:
        """Not for the program's use: a node is left."""
        with self._lock:
            self._history[node.id] = self._history[node.id][0], node.status or "-"
        self._sayable.sizes.ended(node.id)

    def put(self, node_id: str, changes: Json, size: int) -> None:
        """Not for the program's use: fields of a node that are known to be sound."""
        self._sayable.sizes.note(node_id, changes)
        self.outflow.change(node_id, changes, size)

    def set(self, node_id: str, changes: Json) -> None:
        """Not for the program's use: fields of a node as the program gave them."""
        sound, weight = self._sayable.fields(node_id, changes)
        self.put(node_id, sound, weight)

    def fits(self, node_id: str, changes: Json) -> bool:
        """Not for the program's use: whether a node has room for these fields."""
        return self._sayable.fits(node_id, changes)

    def part_lost(self, event: Json, error: ClientError) -> None:
        """Not for the program's use: a part of what the run said did not get to the hub."""
        self.outflow.lose()
        _logger.warning("lost: %s: %s", described(event), error)

    def weight(self, data: Json) -> int:
        """Not for the program's use: about how many characters it takes."""
        return len(encode_json(data))

    def deletion(self) -> Json:
        """Not for the program's use: the event that empties the project."""
        return {"type": "project_deleted", "project_id": self.project_id, "data": {}}

    async def have_room(self) -> None:
        """Not for the program's use: before a node is entered with ``async with``."""

    # --- beginning and end --------------------------------------------------------------------------

    @abstractmethod
    def _wake(self) -> None:
        """There is something to be sent."""

    def _begin(self) -> None:
        self._token = _run.set(self)
        if self._title is not None:
            self.update(title=self._title)
        self._pass("running")

    def _end(self, error: BaseException | None) -> None:
        token, self._token = self._token, None
        if token is not None:
            with suppress(ValueError):  # as in Node.__exit__
                _run.reset(token)
        cancelled = error is not None and is_cancellation(error)
        self._pass("cancelled" if cancelled else "completed" if error is None else "failed")

    def _pass(self, state: str) -> None:
        self.outflow.say("state_transition", {"from": None, "to": state, "context": {}})


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

    Entering says that the project's state is ``running``, leaving ``completed``, ``failed`` or ``cancelled``.
    All that nodes say is sent by a thread. It blocks only where 50,000 beginnings and ends of nodes wait,
    which takes a hub that is away for long; then entering and leaving a node waits.

    Args:
        hub: its address, or a `Publisher` that is open already and stays so.
        name: the project.
        title: its title.
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
        fresh: bool = False,
        flush_timeout: float = 10.0,
        **options: Any,
    ) -> None:
        self._changed = threading.Condition()
        self._own = isinstance(hub, str)
        if isinstance(hub, str):
            options.setdefault("producer_id", f"run-{_project(name)}")
            hub = Publisher(hub, **options)
        super().__init__(name, title, ThreadNode, hub.limits)
        self.publisher = hub
        self._fresh = fresh
        self._flush_timeout = flush_timeout
        self._closing = self._gone = False
        self._done = 0
        self._idle = True
        self._thread = threading.Thread(target=self._work, name=f"tasktree-rt run {name}", daemon=True)

    def ask(self, message: str, **asked: Unpack[Asked]) -> Answer:
        """Ask people, as `Publisher.ask`, in this project and about the current node. Blocks.

        The question comes after all that was said before it.
        """
        self.flush()
        return self.publisher.ask(message, **about(self, asked))

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the hub has all that was said so far, at most `timeout` seconds; whether it has."""
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

    def put(self, node_id: str, changes: Json, size: int) -> None:
        """See `BaseRun.put`; waits for room."""
        if "status" in changes and not self.outflow.room:
            with self._changed:
                self._changed.wait_for(lambda: self.outflow.room or self._gone)
        super().put(node_id, changes, size)

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


def about(run: BaseRun[Any], asked: Asked) -> Asked:
    """What is asked in a run is of its project, unless a user is named, and about the run's current node."""
    if asked.get("project_id") is None and asked.get("user_id") is None:
        asked["project_id"] = run.project_id
    node = current_node()
    if node is not None and node.run is run and asked.get("project_id") == run.project_id:
        asked.setdefault("node_id", node.id)
    return asked


def _project(name: str) -> str:
    try:
        return project_id(name)
    except InvalidInput as error:
        raise ValueError(str(error)) from None


def _parent_id(run: BaseRun[Any], parent: Parent) -> str | None:
    if isinstance(parent, _FromContext):
        node = current_node()
        return node.id if node is not None and node.run is run else None
    if isinstance(parent, Node):
        return parent.id
    if parent is None:
        return None
    if not is_node_id(parent):
        raise ValueError(f"{_NO_ID} as the parent's id, got {parent!r}")
    return parent
