"""A project's tree, or the state of a user's log, kept current from the messages of a watcher.

After every `StateReplaced` and `Conflated` it is exactly the hub's tree at `position`, and between
them it is kept so by the same reducer that the hub uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, cast

from tasktree_rt.client.watcher.messages import (
    Conflated,
    ProjectDeleted,
    ProjectEvent,
    StateReplaced,
    Subscribed,
    WatchMessage,
)
from tasktree_rt.core.events import Json
from tasktree_rt.core.log import Position
from tasktree_rt.core.nodes import EMPTY, Change, Node, Nodes
from tasktree_rt.core.reducer import reduce


class Fields(Mapping[str, Json]):
    """Node ids to fields, without a copy. The dicts are never to be mutated."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self._nodes = nodes

    def __getitem__(self, node_id: str) -> Json:
        return self._nodes[node_id].fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)


class TreeView:
    """One project as it is at `position` (None: no message of it yet).

    `exact`: whether the tree is the hub's: not so when watching began at some position without
    asking for the state, until a state or a new life of the project comes.
    """

    def __init__(self, project_id: str) -> None:
        self.project_id = project_id
        self.position: Position | None = None
        self.exact = False
        self._tree = Nodes()
        self._children: dict[str, list[str]] | None = None
        self._roots: list[str] = []

    @property
    def nodes(self) -> Mapping[str, Json]:
        """The fields of each node, by its id."""
        return Fields(self._tree.nodes)

    @property
    def state(self) -> str | None:
        """The project's own state."""
        return cast("str | None", self._tree.top["state"])

    @property
    def project(self) -> Json:
        """The project's own fields: title, group, labels, url …"""
        return cast(Json, self._tree.top["project"])

    @property
    def orchestrator(self) -> Json | None:
        """The data of the last ``orchestrator_…`` event: ``status``, ``error`` …"""
        return cast("Json | None", self._tree.top["orchestrator"])

    @property
    def coordination(self) -> Json | None:
        """The data of the last ``coordination_update``, if there was one."""
        return cast("Json | None", self._tree.top["coordination"])

    @property
    def prompts(self) -> list[Json]:
        """The questions that are open, the oldest first."""
        return cast("list[Json]", self._tree.top["prompts"])

    @property
    def read(self) -> int:
        """Of a user's log: the seq up to which they have read it."""
        return cast(int, self._tree.top.get("read", 0))

    def children(self, node_id: str) -> list[str]:
        """The nodes shown under this one, by ``order``, then id. From `roots` down each node is met once."""
        return list(self._shape()[0].get(node_id, ()))

    def roots(self) -> list[str]:
        """The nodes shown at the top: without a parent, with one that is not there, or in a cycle."""
        return list(self._shape()[1])

    def apply(self, message: WatchMessage) -> None:
        """Apply a message of the watcher; messages of other projects and kinds change nothing."""
        if getattr(message, "project_id", None) != self.project_id:
            return
        match message:
            case ProjectEvent():
                self._apply_event(message)
            case StateReplaced():
                self._replace(message)
            case Conflated():
                self._put(message.removed, message.nodes, message.top)
                self.position = message.position
            case ProjectDeleted():
                self._clear(message.position)
            case Subscribed(recovered=None, position=position) if position.seq == 0:
                self._clear(position)
            case _:
                pass

    def _apply_event(self, event: ProjectEvent) -> None:
        at, position = self.position, event.position
        if at is not None and position.epoch == at.epoch and position.seq <= at.seq:
            return
        if position.seq == 1:
            self._clear(position)
        change = reduce(self._tree, event.as_event(), 0, _unmeasured)
        self._apply(change)
        self.position = position

    def _replace(self, state: StateReplaced) -> None:
        self._clear(state.position)
        top = {
            "state": state.state,
            "project": state.project,
            "orchestrator": state.orchestrator,
            "coordination": state.coordination,
            "prompts": state.prompts,
            "read": state.read,
        }
        self._put([], state.nodes, top)

    def _put(self, removed: list[str], nodes: Mapping[str, Json], top: Json) -> None:
        put = {node_id: Node(fields, 0, 0) for node_id, fields in nodes.items()}
        self._apply(Change(tuple(removed), put, top))

    def _clear(self, position: Position) -> None:
        self._tree = Nodes()
        self._children = None
        self.position = position
        self.exact = True

    def _apply(self, change: Change) -> None:
        if self._children is not None and self._reshapes(change):
            self._children = None
        self._tree.apply(change)

    def _reshapes(self, change: Change) -> bool:
        if change.removed:
            return True
        known = self._tree.nodes
        for node_id, node in change.put.items():
            before = known.get(node_id)
            if before is None:
                return True
            if any(before.fields.get(name) != node.fields.get(name) for name in _SHAPING):
                return True
        return False

    def _shape(self) -> tuple[dict[str, list[str]], list[str]]:
        """Who is shown where, worked out when it is asked for and kept until a node moves, comes or goes."""
        if self._children is None:
            parents = _shown_parents(self._tree.nodes)
            children: dict[str, list[str]] = {}
            roots: list[str] = []
            for node_id in sorted(parents, key=self._place):
                parent = parents[node_id]
                (roots if parent is None else children.setdefault(parent, [])).append(node_id)
            self._children, self._roots = children, roots
        return self._children, self._roots

    def _place(self, node_id: str) -> tuple[bool, float, str]:
        order = self._tree.nodes.get(node_id, EMPTY).fields.get("order")
        if isinstance(order, (int, float)):
            return False, order, node_id
        return True, 0.0, node_id


_SHAPING: Final = ("parent_id", "order")


def _unmeasured(_: Json) -> int:
    """Only the hub bounds the size of a node."""
    return 0


def _shown_parents(nodes: Mapping[str, Node]) -> dict[str, str | None]:
    """Under which node each one is shown; None at the top. Each chain is walked once."""
    shown: dict[str, str | None] = {}
    for start in nodes:
        path: dict[str, str | None] = {}
        node_id: str | None = start
        while node_id is not None and node_id not in shown and node_id not in path:
            path[node_id] = parent = _parent(nodes, node_id)
            node_id = parent
        if node_id is not None and node_id in path:
            while node_id is not None:  # once around the cycle
                after = path[node_id]
                path[node_id] = None
                node_id = after
        shown.update(path)
    return shown


def _parent(nodes: Mapping[str, Node], node_id: str) -> str | None:
    parent = nodes[node_id].fields.get("parent_id")
    return parent if isinstance(parent, str) and parent in nodes else None
