"""How large a run has made its nodes, counted as the hub will measure them.

A hub refuses a change that makes a node too large, and with it what was sent beside it. So the run counts,
and refuses the change where it is made.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.errors import InvalidInput

OWN: Final = 512
"""Bytes of a node that are reserved for the fields that the run itself sets: status, times, progress."""
SMALL: Final = 1024
"""Bytes of a node that has ended which are not worth to be remembered."""
MOST_NODES: Final = 10_000
"""Nodes whose sizes are remembered; beyond, the run forgets those of the node that it named first."""


class NodeSizes:
    """Bytes of each field of each node of one run; any thread may ask.

    What the hub had of a node before this run it does not know, and of more than `most_nodes` nodes it
    forgets some, so a count may be too low, never too high.
    """

    def __init__(self, most: int, most_nodes: int = MOST_NODES) -> None:
        self._most = most - OWN
        self._most_nodes = most_nodes
        self._fields: OrderedDict[str, dict[str, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Nodes whose sizes are remembered."""
        return len(self._fields)

    def check(self, node_id: str, changes: Json) -> int:
        """About how many bytes `changes` take in an event.

        Raises:
            InvalidInput: the node would be too large with them.
        """
        sizes = _sizes(changes)
        weight = sum(sizes.values())
        with self._lock:
            before = self._fields.get(node_id, {})
            total = 1 + weight + sum(size for name, size in before.items() if name not in changes)
        if total > self._most:
            raise InvalidInput(
                f"the node {node_id!r} would be larger than {self._most} bytes", code="node_too_large"
            )
        return weight

    def note(self, node_id: str, changes: Json) -> None:
        """Count the fields that the run sends."""
        sizes = _sizes(changes)
        with self._lock:
            if changes.get("deleted"):
                self._fields.pop(node_id, None)
                return
            kept = self._fields.setdefault(node_id, {})
            kept.update(sizes)
            for name, value in changes.items():
                if value is None:
                    del kept[name]
            if len(self._fields) > self._most_nodes:
                self._fields.popitem(last=False)

    def ended(self, node_id: str) -> None:
        """A node has ended: a small one is forgotten."""
        with self._lock:
            if sum(self._fields.get(node_id, {}).values()) <= SMALL:
                self._fields.pop(node_id, None)


def _sizes(changes: Json) -> dict[str, int]:
    """What each field takes in the object, its comma among it."""
    return {
        name: 0 if value is None else len(encode_json({name: value})) - 1 for name, value in changes.items()
    }
