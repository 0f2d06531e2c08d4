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
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tasktree_rt.client.joining.fields import fit_node_id
from tasktree_rt.client.joining.outcome import WAITING
from tasktree_rt.client.joining.plain_json import Json, now_text, weight
from tasktree_rt.core.default_limits import MIB

DESCRIBING: Final = frozenset({"title", "kind", "order", "depends_on", "parent_id"})
"""Fields that say what a node is; all others say how an attempt goes."""
MOST_NODES: Final = 100_000
MOST_NUMBERED: Final = 10_000
MOST_DESCRIBED: Final = 8 * MIB
REPLACED: Final = frozenset({"completed", "cancelled", "skipped"})
"""Statuses after which a node is deleted to be entered again."""
_RUNNING: Final = "running"


@dataclass(eq=False, slots=True)
class _Known:
    """One node: how often it was entered, the last status, and its describing fields.

    `deletions`: how many the run had made when the node was last described or left.
    """

    entered: int = 0
    deletions: int = 0
    status: str | None = None
    described: Json = field(default_factory=dict)
    size: int = 0


@dataclass(slots=True)
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
        self._numbers: dict[str, int] = {}
        self._deletions = 0
        self._described = 0
        """Characters of all descriptions of `_closed`."""
        self._lock = threading.RLock()

    def __len__(self) -> int:
        """How many nodes are remembered, open ones included."""
        return len(self._open) + len(self._closed)

    def is_open(self, node_id: str) -> bool:
        """Whether a node was begun here and has not ended."""
        return node_id in self._open

    def free(self, node_id: str) -> str:
        """An id like `node_id` that no open node has: with a number."""
        with self._lock:
            if len(self._numbers) >= MOST_NUMBERED:
                self._numbers.clear()
            number = self._numbers.get(node_id, 1) + 1
            while self.is_open(found := fit_node_id(f"{node_id}#{number}")):
                number += 1
            self._numbers[node_id] = number
            return found

    def begin(self, node_id: str) -> Entry:
        """Note that a node is entered; one that is open goes on."""
        with self._lock:
            if node_id in self._open:
                return Entry(self._open[node_id].entered, WAITING, {})
            known = self._take(node_id) or _Known()
            before, known.status = known.status, _RUNNING
            known.entered += before != WAITING
            self._open[node_id] = known
            self._deletions += before in REPLACED
            gone = known.deletions != self._deletions
            return Entry(known.entered, before, dict(known.described) if gone else {})

    def start(
        self, node_id: str, fields: Json, attempt: int | None, put: Callable[[str, Json], None]
    ) -> tuple[int, Json]:
        """Begin a node that was made with `fields`; returns which attempt this is, and what to send.

        `put` sends what the lifecycle wants before.
        """
        entry = self.begin(node_id)
        self.describe(node_id, fields)
        number = entry.attempt if attempt is None else max(1, int(attempt))
        if entry.before in REPLACED:
            put(node_id, {"deleted": True, "status": None})
        elif entry.before != WAITING and (entry.before is not None or number > 1):
            put(node_id, {"status": "ready"})
        return number, _first_fields(entry, number, fields)

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
        """Note that a node ended with `status`, or waits; one that was begun in a process before this too."""
        with self._lock:
            known = self._open.pop(node_id, None) or self._take(node_id) or _Known(entered=1)
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


def _first_fields(entry: Entry, attempt: int, fields: Json) -> Json:
    """What is sent with the ``running`` of a node that was made with `fields`."""
    if entry.before == WAITING:
        return fields
    begun: Json = {**entry.described, **fields, "started_at": now_text()}
    if attempt > 1:
        begun |= {"attempt": attempt, "ended_at": None, "message": fields.get("message")}
        begun.setdefault("progress", None)
    return begun


def _describe(known: _Known, said: Json) -> None:
    for name, value in said.items():
        if value is None:
            known.described.pop(name, None)
        else:
            known.described[name] = value
    known.size = weight(known.described)
