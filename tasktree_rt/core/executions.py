"""Executions: a project seen as one piece of work with a status (docs/protocol.md, "Executions").

An execution is the project ``execution:<id>``. Its status follows from the project's state and nodes,
whoever pushed them::

    state                                       status
    draft, ready, pending, queued, …            pending
    completed, merged                           completed
    failed, cancelled                           failed
    any other                                   running
    none: no node has begun                     pending
    none: every root and every leaf finished    failed if a root failed, else completed
    none: otherwise                             running
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from attrs import frozen

from tasktree_rt.core.events import Json, ProjectId, project_id
from tasktree_rt.core.run_times import ran
from tasktree_rt.core.tree import Tree

PREFIX: Final = "execution:"
PENDING: Final = "pending"
RUNNING: Final = "running"
COMPLETED: Final = "completed"
FAILED: Final = "failed"
STATUSES: Final = (PENDING, RUNNING, COMPLETED, FAILED)
TERMINAL: Final = frozenset({COMPLETED, FAILED})
"""After these an execution's stream ends."""
TRANSITIONS: Final[dict[str, frozenset[str]]] = {
    PENDING: frozenset({RUNNING, COMPLETED, FAILED}),
    RUNNING: frozenset({PENDING, COMPLETED, FAILED}),
    FAILED: frozenset({PENDING}),
    COMPLETED: frozenset(),
}
"""What a worker may make of a status; the same once more always passes."""

_WAITING: Final = frozenset({"draft", "ready", "pending", "queued", "unclaimed", "up_next"})
_DONE: Final = frozenset({"completed", "merged"})
_BROKEN: Final = frozenset({"failed", "cancelled"})


@frozen
class ExecutionStatus:
    """The status of an execution. `progress` is 0-100, `execution_time` in seconds, None before it began."""

    execution_id: str
    status: str
    progress: float
    message: Any = None
    result: Any = None
    error: Any = None
    execution_time: float | None = None


@frozen
class NodeStatus:
    """A node of an execution, whole; `fields` is None if it is gone."""

    execution_id: str
    node_id: str
    fields: Json | None


@frozen
class LogLine:
    """A line of an execution's output. `node_id` and `stream` are None where the event names none."""

    execution_id: str
    level: str
    message: str
    timestamp: str
    node_id: str | None = None
    stream: str | None = None


def project_of(execution_id: str) -> ProjectId:
    """The project that an execution is.

    Raises:
        InvalidInput: ``invalid_project_id`` at ``execution_id``.
    """
    return project_id(execution_id and f"{PREFIX}{execution_id}", "execution_id")


def execution_of(project: str) -> str | None:
    """The execution that a project is; None if it is none."""
    return (project[len(PREFIX) :] or None) if project.startswith(PREFIX) else None


# --- counting nodes -------------------------------------------------------------------------------

_EVERY: Final = 1 << 62
_SLICE: Final = 500
_Seen = tuple[str | None, int]
"""A node's parent and marks."""
_LEAF, _FINISHED, _ROOT, _BAD, _BEGUN = 1, 2, 4, 8, 16


class Tally:
    """How many nodes are leaves, finished, roots, …; kept up with a tree at the cost of what changed.

    A root is a node without a parent's name, a leaf one that no other names as its parent.
    """

    def __init__(self) -> None:
        self._epoch = ""
        self._seq = -1
        self._seen: dict[str, _Seen] = {}
        self._counts: dict[int, int] = {}

    def follow(self, tree: Tree) -> None:
        """Count what changed in `tree` since the last time; all of it, if that is not known any more."""
        difference = tree.since(self._seq, _EVERY) if tree.epoch == self._epoch else None
        if difference is None:
            for _ in self.recount(tree):
                pass
        else:
            self._look(tree, [*difference.removed, *(node_id for node_id, _ in difference.nodes)])
            self._seq = tree.head

    def recount(self, tree: Tree) -> Iterator[None]:
        """Count everything anew, as it is now, yielding about every millisecond.

        The tree may change meanwhile: `follow` then looks at what did.
        """
        snapshot = tree.snapshot()
        seen, counts, parents = dict[str, _Seen](), dict[int, int](), set[str]()
        for nodes in snapshot.slices(_SLICE):
            parents.update(filter(None, (_parent(one.fields) for _, one in nodes)))
            yield
        for nodes in snapshot.slices(_SLICE):
            for node_id, node in nodes:
                bits = _bits(node.fields) | (0 if node_id in parents else _LEAF)
                seen[node_id] = (_parent(node.fields), bits)
                counts[bits] = counts.get(bits, 0) + 1
            yield
        self._seen, self._counts, self._epoch, self._seq = seen, counts, snapshot.epoch, snapshot.seq

    def count(self, marks: int) -> int:
        """Nodes that bear all of `marks`."""
        return sum(number for bits, number in self._counts.items() if bits & marks == marks)

    @property
    def progress(self) -> int:
        """The share of finished leaves in percent, rounded down; 0 without any."""
        leaves = self.count(_LEAF)
        return 100 * self.count(_LEAF | _FINISHED) // leaves if leaves else 0

    @property
    def status(self) -> str:
        """Return the status that follows from the nodes alone."""
        if not self.count(_BEGUN):
            return PENDING
        roots = self.count(_ROOT)
        over = roots and self.count(_ROOT | _FINISHED) == roots
        if over and self.count(_LEAF | _FINISHED) == self.count(_LEAF):
            return FAILED if self.count(_ROOT | _BAD) else COMPLETED
        return RUNNING

    def _look(self, tree: Tree, changed: Iterable[str]) -> None:
        concerned: dict[str, None] = {}
        for node_id in changed:
            was = self._seen.get(node_id)
            for one in (node_id, was and was[0], _parent(tree.fields(node_id))):
                if one is not None:
                    concerned[one] = None
        for node_id in concerned:
            self._mark(tree, node_id)

    def _mark(self, tree: Tree, node_id: str) -> None:
        before = self._seen.pop(node_id, None)
        if before is not None:
            self._counts[before[1]] -= 1
        if node_id in tree.nodes:
            fields = tree.fields(node_id)
            bits = _bits(fields) | (0 if tree.is_parent(node_id) else _LEAF)
            self._seen[node_id] = (_parent(fields), bits)
            self._counts[bits] = self._counts.get(bits, 0) + 1


def _parent(fields: Json) -> str | None:
    parent = fields.get("parent_id")
    return parent if type(parent) is str else None


def _bits(fields: Json) -> int:
    bits = 0 if _parent(fields) else _ROOT
    status = fields.get("status")
    if type(status) is not str:
        return bits
    if status not in _WAITING:
        bits |= _BEGUN
    if status in _BROKEN:
        bits |= _BAD
    return bits | _FINISHED if status in _DONE or status in _BROKEN else bits


# --- what follows from a project ------------------------------------------------------------------

Count = Callable[[], Tally]
"""Counts the nodes; called only where they decide something."""


def status_word(state: object, tally: Count) -> str:
    """One of `STATUSES`; see the module's docstring."""
    return tally().status if type(state) is not str else state_word(state)


def state_word(state: str) -> str:
    """Return the execution status for a project's state."""
    if state in _WAITING:
        return PENDING
    if state in _DONE:
        return COMPLETED
    return FAILED if state in _BROKEN else RUNNING


def status_of(execution_id: str, top: Mapping[str, Any], tally: Count, received: int) -> ExecutionStatus:
    """Return the status of an execution.

    `top` are the project's own fields. `received` is the time of its newest event in microseconds: without
    ``ended_at`` the running time ends there.
    """
    project = top["project"]
    status = status_word(top["state"], tally)
    return ExecutionStatus(
        execution_id,
        status,
        _progress(status, project, tally),
        project.get("message"),
        project.get("result"),
        _error(status, top),
        _running_time(project, received),
    )


def needs_count(top: Mapping[str, Any]) -> bool:
    """Return True if the status depends on the nodes."""
    state = top["state"]
    if type(state) is not str:
        return True
    return state_word(state) != COMPLETED and _own_progress(top["project"]) is None


def _progress(status: str, project: Json, tally: Count) -> float:
    if status == COMPLETED:
        return 100
    own = _own_progress(project)
    return tally().progress if own is None else own


def _own_progress(project: Json) -> float | None:
    given = project.get("progress")
    good = isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given <= 100
    return given if good else None


def _error(status: str, top: Mapping[str, Any]) -> object:
    error = top["project"].get("error")
    if error is not None or status != FAILED:
        return error
    if top["state"] == "cancelled":
        return "cancelled"
    orchestrator = top["orchestrator"]
    return orchestrator.get("error") if orchestrator else None


def _running_time(project: Json, received: int) -> float | None:
    started, ended = ran(project)
    if started is None:
        return None
    return round(max(0.0, (received / 1_000_000 if ended is None else ended) - started), 6)
