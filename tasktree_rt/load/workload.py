"""What a load test publishes: numbered events, and the tree that they make.

Every event and every tree is a function of a number. So any process of the test can tell, without hearing
from the publisher, what a watcher must have received and which tree a hub must show.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from attrs import frozen

from tasktree_rt.core.events import Json

_canonical: Final = msgspec.json.Encoder(order="deterministic").encode
OVERHEAD: Final = 330
"""Bytes of a `node_update` on the wire without its text: names, numbers, position, time."""


@frozen
class Workload:
    """Events that change one node each, in turn.

    Attributes:
        nodes: how many there are in a project.
        size: bytes of an event on the wire, about; at least those that the names and numbers take.
    """

    nodes: int
    size: int

    def node_id(self, number: int) -> str:
        """Return the node that event `number` changes."""
        return f"n{number % self.nodes}"

    def changes(self, number: int) -> Json:
        """Return the fields that event `number` sets: always the same ones."""
        return {
            "title": f"Node {number % self.nodes}",
            "status": "running",
            "progress": number % 101,
            "number": number,
            "message": self.text,
        }

    @property
    def text(self) -> str:
        """The text that gives an event its size."""
        return "x" * max(0, self.size - OVERHEAD)

    def event(self, project: str, number: int, due: int) -> Json:
        """Return event `number`. `due`: when it should be published, in µs of the monotonic clock."""
        data = {"node_id": self.node_id(number), "t": due, "changes": self.changes(number)}
        return {"type": "node_update", "project_id": project, "data": data}

    def latest(self, node_id: str, number: int) -> int | None:
        """Return which event up to `number` changed `node_id` last; None if none did."""
        try:
            node = int(node_id.removeprefix("n"))
        except ValueError:
            return None
        if not 0 <= node < self.nodes or node > number:
            return None
        return number - (number - node) % self.nodes

    def tree(self, number: int) -> dict[str, Json]:
        """Return the nodes of a project after event `number`, by id."""
        first = max(0, number - self.nodes + 1)
        return {self.node_id(one): self.changes(one) for one in range(first, number + 1)}

    def changed(self, after: int, number: int) -> set[str]:
        """Return the nodes that the events after `after` up to `number` changed."""
        return {self.node_id(one) for one in range(max(after + 1, number - self.nodes + 1), number + 1)}


def tree_hash(nodes: Mapping[str, Json]) -> str:
    """Return the hash of a tree, whatever order its nodes and fields have."""
    return hashlib.sha256(_canonical(nodes)).hexdigest()


def nodes_of(listed: Iterable[Mapping[str, object]]) -> dict[str, Json]:
    """Return the nodes of a state on the wire (``[{"node_id": …, …fields}]``) by id.

    Raises:
        KeyError, TypeError: it is something else.
    """
    return {
        str(one["node_id"]): {key: value for key, value in one.items() if key != "node_id"} for one in listed
    }
