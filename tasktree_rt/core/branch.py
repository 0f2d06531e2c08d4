"""A branch: one node of a project and every node whose chain of parents reaches it, as a tree of its own.

`follow` says what an event of the project changes in the branch; it costs as much as the change, not as the
project. The branch hides what names other nodes: the ``parent_id`` of its root, the entries of ``depends_on``
that are not in the branch, and prompts of other nodes. The project's own fields are not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from tasktree_rt.core.events import Json, is_node_id
from tasktree_rt.core.nodes import NO_CHANGE, Change, Node, Nodes
from tasktree_rt.core.tree import Tree

_HIDING: Final = frozenset({"parent_id", "depends_on"})


class Branch:
    """See the module's docstring.

    Attributes:
        root: the id of the node; the branch is empty while there is no such node and none names it as parent.
        tree: its nodes as its readers see them.
    """

    def __init__(self, root: str, tree: Tree) -> None:
        self.root = root
        self.tree = tree
        self._depends: dict[str, tuple[str, ...]] = {}
        self._dependents: dict[str, dict[str, None]] = {}

    def __contains__(self, node_id: object) -> bool:
        return node_id in self.tree.nodes or node_id == self.root

    def load(self, nodes: Iterable[tuple[str, Node]], top: Json, inside: Callable[[str], bool]) -> None:
        """Add nodes of the project that are `inside`, and the prompts of its own fields `top`."""
        found = []
        for node_id, node in nodes:
            self._index(node_id, node)
            found.append((node_id, self._shown(node_id, node, inside)))
        self.tree.load(found, {"prompts": _prompts(top, inside)})

    def touched(self, change: Change) -> bool:
        """Return whether a change of the project may be one of the branch. Runs for each event and branch."""
        mine, root = self.tree.nodes, self.root
        for node_id, node in change.put.items():
            parent = node.fields.get("parent_id")
            if node_id in mine or node_id == root:
                return True
            if type(parent) is str and (parent in mine or parent == root):
                return True
        return "prompts" in change.top or not mine.keys().isdisjoint(change.removed)

    def follow(self, full: Nodes, change: Change) -> Change:
        """Return what a change of the project changes in the branch. `full` is the project's tree after it.

        The caller applies it to `tree`.
        """
        mine, gone = self.tree.nodes, self._leaving(full, change)
        put = {one: None for one in change.put if one == self.root or (one in mine and one not in gone)}
        put.update(self._entering(full, change))
        moved = [*(one for one in put if one not in mine), *gone]

        def inside(node_id: str) -> bool:
            return node_id == self.root or node_id in put or (node_id in mine and node_id not in gone)

        for target in moved:
            put.update((one, None) for one in self._dependents.get(target, ()) if one not in gone)
        top = self._top(full, inside) if "prompts" in change.top or moved else {}
        if not (gone or put or top):
            return NO_CHANGE
        given = {}
        for node_id in put:
            node = full.nodes[node_id]
            self._index(node_id, node)
            given[node_id] = self._shown(node_id, node, inside)
        for node_id in gone:
            self._index(node_id, None)
        return Change(tuple(gone), given, top)

    def conceals(self, fields: Json, node_id: str) -> bool:
        """Return whether the fields that an event sets of a node name nodes outside of the branch."""
        if _HIDING.isdisjoint(fields):
            return False
        parent = fields.get("parent_id", self.root)
        if type(parent) is not str or parent not in self or (node_id == self.root and "parent_id" in fields):
            return True
        needs = fields.get("depends_on", [])
        return type(needs) is not list or not all(type(one) is str and one in self for one in needs)

    def without_others(self, node_id: str, changes: Json) -> Json:
        """Return the fields that a past event set of a node, without the names of nodes outside."""
        if _HIDING.isdisjoint(changes):
            return changes
        parent = changes.get("parent_id")
        if parent is not None and (type(parent) is not str or parent not in self):
            changes = {name: value for name, value in changes.items() if name != "parent_id"}
        found = shown(self.root, node_id, changes, self.__contains__)
        return changes if found is None else found

    def _leaving(self, full: Nodes, change: Change) -> dict[str, None]:
        """The nodes of the branch that are in it no longer."""
        mine, gone = self.tree.nodes, dict[str, None]()
        for node_id in change.removed:
            if node_id not in change.put:
                if node_id in mine:
                    gone[node_id] = None
                if node_id != self.root:
                    gone.update((one, None) for one in self._below(full, node_id) if one in mine)
        for node_id, node in change.put.items():
            if node_id == self.root or node_id not in mine:
                continue
            before = mine[node_id].fields.get("parent_id")
            if node.fields.get("parent_id") != before and not self._reaches(full, node_id):
                gone[node_id] = None
                gone.update((one, None) for one in self._below(full, node_id) if one in mine)
        return gone

    def _entering(self, full: Nodes, change: Change) -> dict[str, None]:
        """The nodes that are in the branch and were not, its root excepted."""
        found = dict[str, None]()
        single = len(change.put) == 1 and not change.removed
        for node_id, node in change.put.items():
            if node_id in self:
                continue
            parent = node.fields.get("parent_id")
            # A chain of parents that is in the branch does not change with a node outside of it.
            if parent in self if single and type(parent) is str else self._reaches(full, node_id):
                found.update(dict.fromkeys(full.subtrees((node_id,))))
        return found

    def _below(self, full: Nodes, node_id: str) -> Iterable[str]:
        """The nodes whose chain of parents reaches a node, and not the root before it."""
        seen, waiting = {node_id, self.root}, [node_id]
        while waiting:
            for child in full.children(waiting.pop()):
                if child not in seen:
                    seen.add(child)
                    waiting.append(child)
                    yield child

    def _reaches(self, full: Nodes, node_id: str) -> bool:
        """Return whether the chain of a node's parents reaches the root."""
        seen = set[str]()
        at: str | None = node_id
        while at is not None and at != self.root and at not in seen:
            seen.add(at)
            at = full.parent(at)
        return at == self.root

    def _top(self, full: Nodes, inside: Callable[[str], bool]) -> dict[str, Any]:
        prompts = _prompts(full.top, inside)
        return {} if prompts == self.tree.top["prompts"] else {"prompts": prompts}

    def _shown(self, node_id: str, node: Node, inside: Callable[[str], bool]) -> Node:
        """A node as readers of the branch see it."""
        found = shown(self.root, node_id, node.fields, inside)
        return node if found is None else Node(found, node.bound, 0)

    def _index(self, node_id: str, node: Node | None) -> None:
        """Note what a node depends on, in the branch or not; None: it is in the branch no longer."""
        needs = None if node is None else node.fields.get("depends_on")
        now = tuple(one for one in needs if type(one) is str) if type(needs) is list else ()
        was = self._depends.get(node_id, ())
        if was == now:
            return
        for target in was:
            others = self._dependents.get(target)
            if others is not None:
                others.pop(node_id, None)
                if not others:
                    del self._dependents[target]
        for target in now:
            self._dependents.setdefault(target, {})[node_id] = None
        if now:
            self._depends[node_id] = now
        else:
            del self._depends[node_id]


def shown(root: str, node_id: str, fields: Json, inside: Callable[[str], bool]) -> Json | None:
    """Return a node's fields without what names nodes outside of the branch; None if nothing does."""
    hidden = {"parent_id"} if node_id == root and "parent_id" in fields else set[str]()
    needs = fields.get("depends_on")
    if needs is not None and type(needs) is not list:
        hidden.add("depends_on")
    found = {name: value for name, value in fields.items() if name not in hidden}
    if type(needs) is list:
        found["depends_on"] = [one for one in needs if is_node_id(one) and inside(one)]
    return None if found == fields else found


def _prompts(top: Json, inside: Callable[[str], bool]) -> list[Json]:
    """The open prompts of the nodes that are `inside`."""
    return [one for one in top["prompts"] if type(one.get("node_id")) is str and inside(one["node_id"])]
