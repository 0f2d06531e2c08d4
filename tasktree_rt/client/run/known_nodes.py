"""What a run remembers of its nodes: which are open, how the others ended, and what describes them.

A node that is entered again needs this:

- one that is open must not be entered a second time;
- one that failed passes through ``ready``, as the lifecycle demands;
- one that was completed or cancelled is deleted at the hub with its subtree and made anew, so what describes
  it (`DESCRIBING`) must be sent again;
- its `attempt` counts on.

Open nodes are all remembered. Of the others the run remembers the latest `MOST_NODES`, as many as a hub with
default settings keeps in a project, and of their descriptions `MOST_DESCRIBED` characters. The run treats a
forgotten node as a new one: `attempt` begins at 1, and a hub that enforces the lifecycle and has the node as
ended refuses its ``running``.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from attrs import define, field

from tasktree_rt.core.default_limits import MIB
from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import encode_json

DESCRIBING: Final = frozenset({"title", "kind", "order", "depends_on", "parent_id"})
"""Fields that say what a node is; all others say how an attempt goes."""
MOST_NODES: Final = 100_000
MOST_DESCRIBED: Final = 8 * MIB
REPLACED: Final = frozenset({"completed", "cancelled"})
"""Statuses after which a node is deleted to be entered again."""
_RUNNING: Final = "running"


@define(eq=False)
class _Known:
    """One node: how often it was entered, the last status, and its describing fields.

    `deletions`: how many the run had made when the node was last described or left.
    """

    entered: int = 0
    deletions: int = 0
    status: str | None = None
    described: Json = field(factory=dict)
    size: int = 0


@define
class Entry:
    """What entering a node comes to.

    Attributes:
        attempt: 1 for the first time.
        before: how the last attempt ended; None if there was none.
        described: the fields that described the node, if the hub may have lost them: where the node, or
            since then any other (which the node may have been under), was deleted to be made anew.
    """

    attempt: int
    before: str | None
    described: Json


class KnownNodes:
    """The nodes of one run; any thread may call."""

    def __init__(self, most_nodes: int = MOST_NODES, most_described: int = MOST_DESCRIBED) -> None:
        self._most_nodes = most_nodes
        self._most_described = most_described
        self._open: dict[str, _Known] = {}
        self._closed: OrderedDict[str, _Known] = OrderedDict()
        self._deletions = 0
        self._described = 0
        """Characters of all descriptions of `_closed`."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many nodes are remembered, open ones included."""
        return len(self._open) + len(self._closed)

    def begin(self, node_id: str) -> Entry:
        """Note that a node is entered.

        Raises:
            ValueError: it is open already.
        """
        with self._lock:
            if node_id in self._open:
                raise ValueError(f"node {node_id!r} is running already")
            known = self._take(node_id) or _Known()
            before, known.status = known.status, _RUNNING
            known.entered += 1
            self._open[node_id] = known
            self._deletions += before in REPLACED
            gone = known.deletions != self._deletions
            return Entry(known.entered, before, dict(known.described) if gone else {})

    def describe(self, node_id: str, changes: Json) -> None:
        """Remember the describing ones of fields that the run sends; None forgets a field."""
        said = {name: value for name, value in changes.items() if name in DESCRIBING}
        if not said:
            return
        with self._lock:
            known = self._open.get(node_id)
            if known is not None:
                _describe(known, said)
                return
            known = self._take(node_id) or _Known()
            _describe(known, said)
            self._keep(node_id, known)

    def end(self, node_id: str, status: str) -> None:
        """Note that an open node ended with `status`."""
        with self._lock:
            known = self._open.pop(node_id)
            known.status = status
            self._keep(node_id, known)

    def _take(self, node_id: str) -> _Known | None:
        known = self._closed.pop(node_id, None)
        if known is not None:
            self._described -= known.size
        return known

    def _keep(self, node_id: str, known: _Known) -> None:
        known.deletions = self._deletions
        self._closed[node_id] = known
        self._described += known.size
        while len(self._closed) > self._most_nodes or self._described > self._most_described:
            _, oldest = self._closed.popitem(last=False)
            self._described -= oldest.size


def _describe(known: _Known, said: Json) -> None:
    for name, value in said.items():
        if value is None:
            known.described.pop(name, None)
        else:
            known.described[name] = value
    known.size = len(encode_json(known.described))
