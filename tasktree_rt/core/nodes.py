"""A project's nodes and its own fields, without the positions at which they changed.

A change has two steps. `reducer.reduce` looks at `Nodes` and says what an event would change, without
changing anything; `Nodes.apply` (or `Tree.advance`, which also remembers when) does it. So an event is
judged and reduced once, on the newest accepted state, and the same `Change` is applied later to the
state that watchers see, when it is on disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from weakref import ref

from attrs import define

from tasktree_rt.core.events import Json, as_name
from tasktree_rt.core.usage import ENDED_USAGE, NOTHING, SPENDING, Spent, UsageSums, spent

TOP_FIELDS: Final = ("state", "project", "orchestrator", "coordination", "prompts")
EMPTY_TOP: Final[dict[str, Any]] = {
    "state": None,
    "project": {},
    "orchestrator": None,
    "coordination": None,
    "prompts": [],
}
"""Own fields of an empty project. Values are replaced, never mutated."""
_NUMBERED: Final = re.compile(r"t([0-9]+)|([0-9]+)-(.+)", re.DOTALL)
COPIED: Final = 256
"""Parents whose children are copied in one step."""


class Node:
    """One node's fields and their size. Immutable.

    Attributes:
        bound: no less than the bytes of the encoded `whole` node, and no more than 1 KiB or twice them.
        exact: no more than those bytes; 0 where nothing was measured.
    """

    __slots__ = ("bound", "exact", "fields")

    def __init__(self, fields: Json, bound: int, exact: int) -> None:
        self.fields = fields
        self.bound = bound
        self.exact = exact

    def __repr__(self) -> str:
        return f"Node({self.fields!r})"


EMPTY: Final = Node({}, 32, 0)


_NONE: Final[dict[str, Any]] = {}
"""What a change leaves as it is: most events change one node, and would make two empty dicts."""


@define
class Change:
    """What one event changes: nodes taken out, then nodes put in whole, then top-level fields replaced.

    Never mutated.
    """

    removed: tuple[str, ...] = ()
    put: dict[str, Node] = _NONE
    top: dict[str, Any] = _NONE


NO_CHANGE: Final = Change()


class Lent:
    """Lives as long as any snapshot does that shares a tree's nodes."""

    __slots__ = ("__weakref__",)


class Nodes:
    """Nodes by id with an index of children and of task ids, and the project's own fields."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.bound = 0
        """No less than the bytes of all nodes, encoded."""
        self.top: dict[str, Any] = dict(EMPTY_TOP)
        self._children: dict[str, dict[str, None]] = {}
        self._task_ids: dict[str, dict[str, None]] = {}
        self._tasks: dict[str, None] = {}
        self._counts: dict[str, int] = {}
        self.recounted = 0
        """How often `counts` has changed."""
        self._usage: UsageSums | None = None
        """Made for the first node that has used anything."""
        self._lent: ref[Lent] | None = None
        """What every snapshot holds on to that `nodes` are shared with."""

    def __len__(self) -> int:
        return len(self.nodes)

    def apply(self, change: Change) -> None:
        """Apply one change to the nodes."""
        if self._lent is not None:
            self._take_back()
        for node_id in change.removed:
            self._take_out(node_id)
        for node_id, node in change.put.items():
            self._put(node_id, node)
        if change.top:
            self.top = {**self.top, **change.top}

    def fields(self, node_id: str) -> Json:
        """A node's fields; empty if there is no such node."""
        return self.nodes.get(node_id, EMPTY).fields

    def is_parent(self, node_id: str) -> bool:
        """Return True if a node names `node_id` as its parent."""
        return node_id in self._children

    def parent(self, node_id: str) -> str | None:
        """The parent that a node names; None for a node without one."""
        return _parent(self.fields(node_id))

    def children(self, node_id: str) -> Iterable[str]:
        """The nodes that name a parent."""
        return self._children.get(node_id, ())

    def subtrees(self, roots: Iterable[str]) -> list[str]:
        """The roots that exist and every node whose parent chain reaches one, cycles and orphans included."""
        found = dict.fromkeys(roots)
        waiting = list(found)
        while waiting:
            for child in self._children.get(waiting.pop(), ()):
                if child not in found:
                    found[child] = None
                    waiting.append(child)
        return [one for one in found if one in self.nodes]

    def tasks(self) -> list[str]:
        """The nodes of kind ``task``, oldest first."""
        return list(self._tasks)

    def counts(self) -> Mapping[str, int]:
        """How many nodes there are of each status; ``""`` are those without one. A view: do not keep it."""
        return self._counts

    def used(self) -> Spent:
        """What all nodes together have used."""
        return NOTHING if self._usage is None else self._usage.total

    def used_in(self, node_id: str) -> Spent:
        """What a node and everything below it have used."""
        return NOTHING if self._usage is None else self._usage.branch(self, node_id)

    def task_node(self, reference: str, project_id: str) -> str:
        """The node id that a task event means by `reference`; of a node yet to be, if there is none.

        Of several tasks with the same ``id`` field it is the one with the smallest node id, which does
        not depend on what happened before: a tree loaded from a checkpoint must go on alike.
        """
        if reference in self.nodes:
            return reference
        named = self._task_ids.get(reference)
        return min(named) if named else _task_number(reference, project_id) or reference

    def copy_from(self, other: Nodes) -> None:
        """Copy everything from `other`."""
        for _ in self.copying(other):
            pass

    def copying(self, other: Nodes) -> Iterator[None]:
        """Copy everything from `other` in steps, each of some `COPIED` parents; `other` must not change until
        the last one."""
        self.nodes = dict(other.nodes)
        self.bound = other.bound
        self.top = dict(other.top)
        self._tasks = dict(other._tasks)
        self._counts = dict(other._counts)
        self._usage = None if other._usage is None else other._usage.copy()
        self._children, self._task_ids = {}, {}
        for mine, others in ((self._children, other._children), (self._task_ids, other._task_ids)):
            for index, (name, nodes) in enumerate(others.items()):
                if index % COPIED == 0:
                    yield
                mine[name] = nodes.copy()

    def load(self, nodes: Iterable[tuple[str, Node]], top: dict[str, Any]) -> None:
        """Fill an empty one from a checkpoint."""
        if self._lent is not None:
            self._take_back()
        for node_id, node in nodes:
            self._put(node_id, node)
        self.top = {**self.top, **top}

    def _take_back(self) -> None:
        """Leave the nodes to their snapshot, if one still exists."""
        if self._lent is not None and self._lent() is not None:
            self.nodes = dict(self.nodes)
        self._lent = None

    def _put(self, node_id: str, node: Node) -> None:
        before, fields = self.nodes.get(node_id), node.fields
        if before is None:
            was = EMPTY.fields
            self.bound += node.bound
            self._count(None, _status(node))
            self._index(node_id, was, fields)
        else:
            was = before.fields
            self.bound += node.bound - before.bound
            status, status_was = fields.get("status"), was.get("status")
            if status is not status_was and status != status_was:
                self._count(_status(before), _status(node))
            # What an event does not change is the same object in both.
            if (
                fields.get("parent_id") is not was.get("parent_id")
                or fields.get("kind") is not was.get("kind")
                or fields.get("id") is not was.get("id")
            ):
                self._index(node_id, was, fields)
        self.nodes[node_id] = node
        if self._usage is not None or "usage" in fields or "cost_usd" in fields or ENDED_USAGE in fields:
            self._tally(node_id, was, fields)

    def _take_out(self, node_id: str) -> None:
        node = self.nodes.pop(node_id, None)
        if node is not None:
            self.bound -= node.bound
            self._count(_status(node), None)
            self._index(node_id, node.fields, EMPTY.fields)
            if self._usage is not None:
                self._tally(node_id, node.fields, EMPTY.fields)

    def _tally(self, node_id: str, was: Json, now: Json) -> None:
        """Keep the sums of usage after a change of a node's fields."""
        if self._usage is None:
            self._usage = UsageSums()
        used = NOTHING if SPENDING.isdisjoint(now) else spent(now)
        if was.get("parent_id") is not now.get("parent_id") or used != self._usage.own.get(node_id, NOTHING):
            self._usage.changed(self, node_id, _parent(was), _parent(now), used)

    def _count(self, was: str | None, now: str | None) -> None:
        """Count a change of status; None: the node did not exist, or no longer exists."""
        if was == now:
            return
        self.recounted += 1
        counts = self._counts
        if was is not None:
            counts[was] -= 1
            if not counts[was]:
                del counts[was]
        if now is not None:
            counts[now] = counts.get(now, 0) + 1

    def _index(self, node_id: str, was: Json, now: Json) -> None:
        old_parent, parent = was.get("parent_id"), now.get("parent_id")
        if old_parent is not parent:
            _move(self._children, node_id, old_parent, parent)
        is_task, was_task = now.get("kind") == "task", was.get("kind") == "task"
        if is_task or was_task:
            old_id = as_name(was.get("id")) if was_task else None
            _move(self._task_ids, node_id, old_id, as_name(now.get("id")) if is_task else None)
        if is_task:
            self._tasks[node_id] = None
        elif was_task:
            del self._tasks[node_id]


def _parent(fields: Json) -> str | None:
    """The parent that a node names."""
    parent = fields.get("parent_id")
    return parent if type(parent) is str else None


def _status(node: Node) -> str:
    """What a node is counted under."""
    status = node.fields.get("status")
    return status if type(status) is str else ""


def _move(index: dict[str, dict[str, None]], node_id: str, before: object, after: object) -> None:
    """Move `node_id` from one key of an index to another; only strings are keys."""
    old = before if type(before) is str else None
    new = after if type(after) is str else None
    if old == new:
        return
    if old is not None:
        del index[old][node_id]
        if not index[old]:
            del index[old]
    if new is not None:
        index.setdefault(new, {})[node_id] = None


def _task_number(reference: str, project_id: str) -> str | None:
    """n of ``t<n>`` or of ``<n>-<project_id>``."""
    match = _NUMBERED.fullmatch(reference)
    if match is None or match[1] is not None:
        return match and match[1]
    return match[2] if match[3] == project_id else None


def whole(node_id: str, node: Node) -> Json:
    """A node as it goes over the wire."""
    return {"node_id": node_id, **node.fields}


def wholes(nodes: Iterable[tuple[str, Node]]) -> Iterator[Json]:
    """Yield each node as it goes over the wire."""
    return (whole(node_id, node) for node_id, node in nodes)
