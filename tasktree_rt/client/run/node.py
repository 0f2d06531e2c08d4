"""Nodes of a run as the program's own blocks: begun on entering, ended on leaving, found by what is within.

What is the current node is a context variable. So it is inherited by the Trio and asyncio tasks that are
started within the block, and by what `trio.to_thread.run_sync` and `asyncio.to_thread` run. A thread of
`threading.Thread` or a pool's begins without: `in_context` and `carry` hand it on, or the node itself does,
by `Node.child`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from tasktree_rt.client.joining import context
from tasktree_rt.client.joining.open_node import Host, Open
from tasktree_rt.client.joining.outcome import WAITING
from tasktree_rt.core.events import Json

N = TypeVar("N", bound="Node")


def current_node() -> Node | None:
    """The node of a run within whose block this is running."""
    found = context.current()
    return found if isinstance(found, Node) else None


class Node(Open):
    """One node of a run, made by `node` of the run or `child` of a node.

    It is entered with ``with`` or ``async with``, or begun by `start` and ended by `complete`, `fail`,
    `cancel` or `skip`, from any thread (`Open`):

    - beginning says ``running`` and `started_at`. If a node of that id was in this run before, it keeps its
      title, kind, order, dependencies and parent unless others are given. One that failed passes through
      ``ready`` and keeps its other fields and its subtree too; completed or cancelled it loses them;
    - leaving says ``completed`` and `ended_at`; after an exception ``failed``, with the last line of the
      traceback as `message` and, at the innermost node, all of it as a line of output; after a cancellation
      (of the Trio or asyncio task, Ctrl+C) ``cancelled``; ``sys.exit(0)`` is no failure. The exception goes
      on.

    Its methods may be called from any thread; they wait for nothing, and raise only if the run is strict.
    """

    def __init__(self, run: Host, id: str, parent_id: str | None, fields: Json) -> None:
        super().__init__(run, id, parent_id, fields)
        self.run = run

    def child(self: N, id: str, **fields: Any) -> N:
        """A node under this one, to be entered or begun, whatever thread or task this is; as `run.node`."""
        return cast(N, super().child(id, **fields))

    @contextmanager
    def _in_review(self) -> Iterator[None]:
        """While a person is asked."""
        if self.status != "running":
            yield
            return
        self.wait()
        try:
            yield
        finally:
            if self.status == WAITING:
                self.resume()
