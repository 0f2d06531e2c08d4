"""Nodes of a run as the program's own blocks: begun on entering, ended on leaving, found by what is within.

What is the current node is a context variable. So it is inherited by the Trio and asyncio tasks that are
started within the block, and by what `trio.to_thread.run_sync` and `asyncio.to_thread` run. A thread of
`threading.Thread` or a pool's begins without: give it ``contextvars.copy_context().run`` to call, or the
node itself, to use `Node.child`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

from tasktree_rt.client.joining.event_buffer import EventBuffer
from tasktree_rt.client.joining.outcome import ENDED, is_cancellation, is_success, last_line, new_traceback
from tasktree_rt.client.joining.plain_json import clean, now_text
from tasktree_rt.core.events import Json

LEAST_MESSAGE: Final = 60
"""Of a node that is as large as it may be."""

_current: ContextVar[Node | None] = ContextVar("tasktree_rt_node", default=None)
N = TypeVar("N", bound="Node")


def current_node() -> Node | None:
    """The node within whose block this is running."""
    return _current.get()


class Host(Protocol):
    """What a node needs of its run."""

    @property
    def outflow(self) -> EventBuffer:
        """Where lines of output go."""

    def node(self, id: str, *, parent: Node, **fields: Any) -> Any:  # noqa: ANN401 - of the node's own class
        """Make a node under `parent`."""

    async def have_room(self) -> None:
        """Wait until the buffer has room for a node's beginning."""

    def begin(self, node: Node) -> Json:
        """Note that a node is entered; returns its first fields.

        Raises:
            ValueError: it is open.
        """

    def end(self, node: Node) -> None:
        """Note that a node is left."""

    def put(self, node_id: str, changes: Json, size: int) -> None:
        """Send fields that were checked; `size` is about how many characters they take."""

    def set(self, node_id: str, changes: Json) -> None:
        """Check fields, and send them.

        Raises:
            ValueError: the hub would refuse them.
        """

    def fits(self, node_id: str, changes: Json) -> bool:
        """Whether the node stays below its largest size with these fields."""

    def weight(self, data: Json) -> int:
        """About how many characters `data` takes."""


class Node:
    """One node of a run, made by `node` of the run or `child` of a node, to be entered once.

    It is entered with ``with`` or ``async with``:

    - entering says ``running`` and `started_at`. If a node of that id was in this run before, it keeps its
      title, kind, order, dependencies and parent unless others are given. One that failed passes through
      ``ready`` and keeps its other fields and its subtree too; completed or cancelled it loses them;
    - leaving says ``review``, ``completed`` and `ended_at`; after an exception ``failed``, with the last line
      of the traceback as `message` and, at the innermost node, all of it as a line of output; after a
      cancellation (of the Trio or asyncio task, Ctrl+C) ``cancelled``; ``sys.exit(0)`` is no failure. The
      exception goes on.

    Its methods may be called from any thread; they wait for nothing.

    Attributes:
        id: unique in the project.
        parent_id: the node that it is entered under; None: at the top, or where it was before.
        fields: those it was made with.
    """

    def __init__(self, run: Host, id: str, parent_id: str | None, fields: Json) -> None:
        self.run = run
        self.id = id
        self.parent_id = parent_id
        self.fields = fields
        self._status: str | None = None
        self._has_progress = "progress" in fields
        self._token: Token[Node | None] | None = None

    @property
    def status(self) -> str | None:
        """The status last sent; None before the node is entered."""
        return self._status

    def progress(self, percent: float, message: str | None = None) -> None:
        """From 0 to 100 (what is beyond counts as that); sent as often as makes sense, the latest always.

        Raises:
            ValueError: not a number, or a message for which the node has no room.
        """
        number = percent if type(percent) is int else float(percent)
        if number != number:
            raise ValueError("expected a number, got NaN")
        changes: Json = {"progress": min(100, max(0, number))}
        if message is None:
            self.run.put(self.id, changes, 20)
        else:
            self.run.set(self.id, {**changes, "message": clean(str(message))})
        self._has_progress = True

    def update(self, **changes: Any) -> None:
        """Set fields: ``title``, ``message``, ``kind``, ``model``, ``input``, ``output``, ``order``,
        ``depends_on`` … None removes one.

        Raises:
            ValueError: what a hub would refuse (nothing of it is set), or ``status``, which entering and
                leaving set.
        """
        self.run.set(self.id, changes)
        self._has_progress = self._has_progress or "progress" in changes

    def usage(self, *, cost_usd: float | None = None, **tokens: int) -> None:
        """Say what this attempt of the node has used so far, in place of what was said before.

        Args:
            cost_usd: the cost in US dollars.
            tokens: the keys of ``usage``: ``input_tokens``, ``output_tokens``, ``cache_read_input_tokens`` …

        Raises:
            ValueError: not a count, or not a cost.
        """
        self.run.set(self.id, {"usage": tokens} | ({} if cost_usd is None else {"cost_usd": cost_usd}))

    def log(self, message: object, *, level: str = "info", stream: str | None = None) -> None:
        """Send a line of output of this node."""
        extra = {} if stream is None else {"stream": stream}
        self.run.outflow.line(str(message), level=level, node_id=self.id, extra=extra)

    def child(self: N, id: str, **fields: Any) -> N:
        """A node under this one, whatever thread or task this is; as `run.node` otherwise."""
        made: N = self.run.node(id, parent=self, **fields)
        return made

    def __enter__(self) -> Self:
        self._begin()
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        token, self._token = self._token, None
        if token is not None:
            with suppress(ValueError):  # left in another context than entered in, which knows nothing of it
                _current.reset(token)
        self._end(error)

    async def __aenter__(self) -> Self:
        await self.run.have_room()
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _begin(self) -> None:
        begun = self.run.begin(self)
        self._status = "running"
        self.run.put(self.id, {**begun, "status": "running"}, self.run.weight(begun))

    def _end(self, error: BaseException | None) -> None:
        if is_success(error):
            done: Json = {"progress": 100} if self._has_progress else {}
            self._turn("review")
            self._turn("completed", **done)
        elif error is None or is_cancellation(error):
            self._turn("cancelled")
        else:
            if (trace := new_traceback(error)) is not None:
                self.log(trace, level="error")
            message = last_line(error)
            if not self.run.fits(self.id, {"message": message}):
                message = message[:LEAST_MESSAGE]
            self._turn("failed", message=message)
        self.run.end(self)

    def _turn(self, status: str, **changes: Any) -> None:
        if status in ENDED:
            changes["ended_at"] = now_text()
        self._status = status
        self.run.put(self.id, {**changes, "status": status}, len(str(changes.get("message", ""))) + 64)

    @contextmanager
    def _in_review(self) -> Iterator[None]:
        """While a person is asked."""
        if self._status != "running":
            yield
            return
        self._turn("review")
        try:
            yield
        finally:
            if self._status == "review":
                self._turn("running")
