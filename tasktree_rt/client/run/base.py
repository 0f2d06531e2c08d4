"""What a run is, whatever sends its events: its nodes, its state, the run of the current context."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, Token
from typing import Any, Final, Generic, TypeVar

from tasktree_rt.client.interactions.prompts import Asked
from tasktree_rt.client.joining.event_buffer import EventBuffer, OutflowStatistics
from tasktree_rt.client.joining.known_nodes import REPLACED, KnownNodes, first_fields
from tasktree_rt.client.joining.outcome import is_cancellation, is_success
from tasktree_rt.client.producer.checks import HubLimits
from tasktree_rt.client.producer.split_batch import described
from tasktree_rt.client.run.checks import Sayable
from tasktree_rt.client.run.node import Node, current_node
from tasktree_rt.core.events import Json, is_node_id, project_id
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.errors import ClientError, InvalidInput

N_co = TypeVar("N_co", bound=Node, covariant=True)
FLUSH: Final = 0.1
"""Seconds between two publishes, about: ten times a second a node's progress may be seen to move."""
_NO_ID: Final = "expected 1-512 characters without control characters"

_run: ContextVar[BaseRun[Any] | None] = ContextVar("tasktree_rt_run", default=None)
_logger: Final = logging.getLogger("tasktree_rt.client")


class _FromContext:
    def __repr__(self) -> str:
        return "<the current node>"


FROM_CONTEXT: Final = _FromContext()
Parent = Node | str | None | _FromContext


def current_run() -> BaseRun[Any] | None:
    """The run of the current node; else the one within whose block this is running."""
    node = current_node()
    run = _run.get() if node is None else node.run
    return run if isinstance(run, BaseRun) else None


class BaseRun(Generic[N_co]):
    """What `Run` and `TrioRun` have in common.

    Args:
        own: the project's own fields, without those that are None.
        make: makes a node, of this run and an id, a parent's id and fields.
        wake: called, from any thread, when there is something to send.
        wait_for_room: called where the buffer has no room for a node's status; returns False if that change
            is to be given up.
    """

    def __init__(
        self,
        name: str,
        own: Json,
        limits: HubLimits,
        make: Callable[..., N_co],
        *,
        wake: Callable[[], None],
        wait_for_room: Callable[[], bool],
    ) -> None:
        self.project_id = checked_project(name)
        self.outflow = EventBuffer(self.project_id, wake)
        self._wait_for_room = wait_for_room
        self._sayable = Sayable(self.project_id, limits)
        self._own_fields = {name: value for name, value in own.items() if value is not None}
        self._make = make
        self._attempts = KnownNodes()
        self._token: Token[BaseRun[Any] | None] | None = None

    def node(self, id: str, *, parent: Parent = FROM_CONTEXT, **fields: Any) -> N_co:
        """A node, to be entered. `fields` are those of `Node.update`: ``title``, ``kind``, ``model`` …

        `parent` is a node, its id, or None for the top; by default the current node, if it is of this run.
        Without a current node, a node that the hub has already stays where it is, a new one goes to the top.

        Raises:
            ValueError: not an id, or not what a node can have.
        """
        if not is_node_id(id):
            raise ValueError(f"{_NO_ID} as a node's id, got {id!r}")
        sound, _ = self._sayable.fields(id, fields)
        above = _parent_id(self, parent)
        if above is not None or parent is None:
            sound["parent_id"] = above
        return self._make(self, id, above, sound)

    def plan(self, id: str, *, parent: Parent = FROM_CONTEXT, **fields: Any) -> None:
        """Show a node that is to come as ``ready``; `node` with the same id begins it.

        Raises:
            ValueError: as `node`.
        """
        made = self.node(id, parent=parent, **fields)
        planned = {**made.fields, "status": "ready"}
        self._attempts.describe(id, planned)
        self.put(id, planned, self.weight(planned))

    def log(self, message: object, *, level: str = "info") -> None:
        """A line of output of the run itself."""
        self.outflow.line(str(message), level=level, node_id=None, extra={})

    def update(self, **changes: Any) -> None:
        """Set the project's own fields: ``title``, ``group``, ``labels``, ``url``, ``series``, ``run`` …

        Raises:
            ValueError: not what a project can have.
        """
        data = self._sayable.data("project_update", {"changes": changes})
        self.outflow.say("project_update", data, self.weight(data))

    def statistics(self) -> OutflowStatistics:
        """Counts of the run's events at this moment."""
        return self.outflow.statistics()

    # --- for nodes ----------------------------------------------------------------------------------

    def begin(self, node: Node) -> Json:
        """Not for the program's use: a node is entered; returns its first fields.

        Raises:
            ValueError: it is open, or this very object was entered before.
        """
        if node.status is not None:
            raise ValueError(f"node {node.id!r} is running already, or was")
        entry = self._attempts.begin(node.id)
        self._attempts.describe(node.id, node.fields)
        if entry.before in REPLACED:
            self.put(node.id, {"deleted": True, "status": None}, 0)
        elif entry.before is not None:
            self.put(node.id, {"status": "ready"}, 0)
        return first_fields(entry, entry.attempt, node.fields)

    def end(self, node: Node) -> None:
        """Not for the program's use: a node is left."""
        self._attempts.end(node.id, node.status or "cancelled")
        self._sayable.sizes.ended(node.id)

    def put(self, node_id: str, changes: Json, size: int) -> None:
        """Not for the program's use: fields of a node that are known to be sound.

        A status needs room in the buffer; where there is none and none is waited for, the change is lost.
        """
        if "status" in changes and not self.outflow.room and not self._wait_for_room():
            self.outflow.lose()
            return
        self._sayable.sizes.note(node_id, changes)
        self.outflow.change(node_id, changes, size)

    def set(self, node_id: str, changes: Json) -> None:
        """Not for the program's use: fields of a node as the program gave them."""
        sound, weight = self._sayable.fields(node_id, changes)
        self._attempts.describe(node_id, sound)
        self.put(node_id, sound, weight)

    def fits(self, node_id: str, changes: Json) -> bool:
        """Not for the program's use: whether a node has room for these fields."""
        return self._sayable.fits(node_id, changes)

    def part_lost(self, event: Json, error: ClientError) -> None:
        """Not for the program's use: an event of the run, or a part of one, did not get to the hub."""
        self.outflow.lose()
        _logger.warning("lost: %s: %s", described(event), error)

    def weight(self, data: Json) -> int:
        """Not for the program's use: about how many characters it takes."""
        return len(encode_json(data))

    def deletion(self) -> Json:
        """Not for the program's use: the event that empties the project."""
        return {"type": "project_deleted", "project_id": self.project_id, "data": {}}

    async def have_room(self) -> None:
        """Not for the program's use: before a node is entered with ``async with``."""

    # --- beginning and end --------------------------------------------------------------------------

    def _begin(self) -> None:
        self._token = _run.set(self)
        if self._own_fields:
            self.update(**self._own_fields)
        self._pass("running")

    def _end(self, error: BaseException | None) -> None:
        token, self._token = self._token, None
        if token is not None:
            with suppress(ValueError):  # as in Node.__exit__
                _run.reset(token)
        if error is None or is_success(error):
            self._pass("completed")
        else:
            self._pass("cancelled" if is_cancellation(error) else "failed")

    def _pass(self, state: str) -> None:
        self.outflow.say("state_transition", {"from": None, "to": state, "context": {}})


def about(run: BaseRun[Any], asked: Asked) -> Asked:
    """What is asked in a run is of its project, unless a user is named, and about the run's current node."""
    if asked.get("project_id") is None and asked.get("user_id") is None:
        asked["project_id"] = run.project_id
    node = current_node()
    if node is not None and node.run is run and asked.get("project_id") == run.project_id:
        asked.setdefault("node_id", node.id)
    return asked


def checked_project(name: str) -> str:
    """The id of the run's project.

    Raises:
        ValueError: `name` cannot be a project's id.
    """
    try:
        return project_id(name)
    except InvalidInput as error:
        raise ValueError(str(error)) from None


def _parent_id(run: BaseRun[Any], parent: Parent) -> str | None:
    if isinstance(parent, _FromContext):
        node = current_node()
        return node.id if node is not None and node.run is run else None
    if isinstance(parent, Node):
        return parent.id
    if parent is None:
        return None
    if not is_node_id(parent):
        raise ValueError(f"{_NO_ID} as the parent's id, got {parent!r}")
    return parent
