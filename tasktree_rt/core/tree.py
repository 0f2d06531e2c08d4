"""The tree: a project's state at a position, and what changed in it since when."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any
from weakref import ref

from attrs import frozen

from tasktree_rt.core.nodes import EMPTY, NO_CHANGE, Change, Lent, Node, Nodes


@frozen
class Difference:
    """What changed between two positions: exactly what a ``conflated`` message carries of the tree."""

    removed: list[str]
    nodes: list[tuple[str, Node]]
    top: dict[str, Any]


class Snapshot:
    """A tree at one position. Taking it copies nothing: it shares the nodes with the tree, which copies them
    before its next change.

    Attributes:
        bound: of all nodes together.
    """

    __slots__ = ("_lent", "_nodes", "_place", "_walk", "bound", "epoch", "seq", "top")

    def __init__(
        self,
        epoch: str,
        seq: int,
        top: dict[str, Any],
        nodes: dict[str, Node],
        bound: int,
        lent: Lent,
    ) -> None:
        self.epoch = epoch
        self.seq = seq
        self.top = top
        self.bound = bound
        self._nodes = nodes
        self._lent = lent
        self._place = 0
        self._walk: Iterator[tuple[str, Node]] = iter(self)

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[tuple[str, Node]]:
        """The nodes with their ids."""
        return iter(self._nodes.items())

    def has(self, node_id: str) -> bool:
        """Return whether there is a node of this id."""
        return node_id in self._nodes

    def node(self, node_id: str) -> Node:
        """One node; `EMPTY` if there is none of this id."""
        return self._nodes.get(node_id, EMPTY)

    @property
    def nodes(self) -> tuple[tuple[str, Node], ...]:
        """All of them at once."""
        return tuple(self)

    def slices(self, size: int) -> Iterator[tuple[tuple[str, Node], ...]]:
        """All nodes, `size` at a time."""
        walk = iter(self)
        while found := tuple(islice(walk, size)):
            yield found

    def share(self, start: int, end: int) -> tuple[tuple[str, Node], ...]:
        """The nodes from the `start`-th up to the `end`-th; best asked for in order."""
        if start != self._place:
            self._walk = islice(self, start, None)
        found = tuple(islice(self._walk, end - start))
        self._place = start + len(found)
        return found


class Tree(Nodes):
    """A project's state at a position, which also knows what changed since any position above its floor.

    `head` is the seq of the newest applied event; `floor` the oldest position `since` can answer for.
    """

    def __init__(self, epoch: str = "", head: int = 0) -> None:
        super().__init__()
        self.epoch = epoch
        self.head = head
        self.floor = head
        self._changed: dict[str, int] = {}
        self._removed: dict[str, int] = {}
        self._top_changed: dict[str, int] = {}

    def advance(self, change: Change) -> None:
        """Apply the change of the next event."""
        self.head = seq = self.head + 1
        if change is NO_CHANGE:
            return
        self.apply(change)
        changed, removed = self._changed, self._removed
        for node_id in change.removed:
            changed.pop(node_id, None)
            removed.pop(node_id, None)
            removed[node_id] = seq
        for node_id in change.put:
            changed.pop(node_id, None)
            changed[node_id] = seq
        for name in change.top:
            self._top_changed[name] = seq

    @property
    def removed(self) -> int:
        """How many removed nodes it remembers."""
        return len(self._removed)

    def forget(self, floor: int) -> None:
        """Forget when things changed at or before `floor` (the log was trimmed there)."""
        self.floor = max(self.floor, min(floor, self.head))
        _forget(self._removed, self.floor)
        _forget(self._changed, self.floor)

    def since(self, seq: int, most: int) -> Difference | None:
        """What changed after `seq`; None if that is beyond memory or touches more than `most` nodes."""
        if not self.floor <= seq <= self.head:
            return None
        put = _newer(self._changed, seq, most)
        gone = _newer(self._removed, seq, most)
        if put is None or gone is None:
            return None
        removed = [one for one in gone if one not in self.nodes]
        if len(put) + len(removed) > most:
            return None
        top = {name: self.top[name] for name, when in self._top_changed.items() if when > seq}
        return Difference(removed, [(one, self.nodes[one]) for one in put], top)

    def snapshot(self) -> Snapshot:
        """Return the whole state at the present position."""
        lent = self._lent() if self._lent is not None else None
        if lent is None:
            lent = Lent()
            self._lent = ref(lent)
        return Snapshot(self.epoch, self.head, self.top, self.nodes, self.bound, lent)


def _forget(changes: dict[str, int], floor: int) -> None:
    # Not one by one from the front: each look at the first key walks over all that are gone.
    old: list[str] = []
    for node_id, when in changes.items():
        if when > floor:
            break
        old.append(node_id)
    for node_id in old:
        del changes[node_id]


def _newer(changes: dict[str, int], seq: int, most: int) -> list[str] | None:
    found: list[str] = []
    for node_id in reversed(changes):
        if changes[node_id] <= seq:
            break
        found.append(node_id)
        if len(found) > most:
            return None
    found.reverse()
    return found
