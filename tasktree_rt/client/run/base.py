"""What a run is, whatever sends its events: its nodes, its state, the run of the current context."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, Token
from typing import Any, Final, Generic, TypeVar

from tasktree_rt.client.interactions.prompts import Asked
from tasktree_rt.client.joining import context
from tasktree_rt.client.joining.context import FROM_CONTEXT, FromContext
from tasktree_rt.client.joining.delivery import warn_once
from tasktree_rt.client.joining.event_buffer import EventBuffer, OutflowStatistics
from tasktree_rt.client.joining.fields import fit_node_id
from tasktree_rt.client.joining.known_nodes import KnownNodes
from tasktree_rt.client.joining.open_node import Open
from tasktree_rt.client.joining.outcome import WAITING, is_cancellation, is_success
from tasktree_rt.client.joining.plain_json import weight
from tasktree_rt.client.producer.checks import HubLimits
from tasktree_rt.client.producer.split_batch import described
from tasktree_rt.client.run.checks import Sayable
from tasktree_rt.client.run.node import Node, current_node
from tasktree_rt.core.events import Json, is_node_id, project_id
from tasktree_rt.errors import ClientError, InvalidInput

N_co = TypeVar("N_co", bound=Node, covariant=True)
FLUSH: Final = 0.1
"""Seconds between two publishes, about: ten times a second a node's progress may be seen to move."""
LEAST_MESSAGE: Final = 60
"""Characters of the message of a node that is as large as it may be."""
_NO_ID: Final = "expected 1-512 characters without control characters"

_run: ContextVar[BaseRun[Any] | None] = ContextVar("tasktree_rt_run", default=None)
_logger: Final = logging.getLogger("tasktree_rt.client")


Parent = Open | str | None | FromContext
_entered: Final[list[BaseRun[Any]]] = []
"""The runs that this process is within."""


def current_run() -> BaseRun[Any] | None:
    """The run of the current node; else the one within whose block this is running.

    In a thread that knows neither, the run that this process entered last.
    """
    node = current_node()
    run = _run.get() if node is None else node.run
    if run is None and _entered:
        return _entered[-1]
    return run if isinstance(run, BaseRun) else None


class BaseRun(Generic[N_co]):
    """What `Run` and `TrioRun` have in common.

    Args:
        own: the project's own fields, without those that are None.
        make: makes a node, of this run and an id, a parent's id and fields.
        wake: called, from any thread, when there is something to send.
        strict: raise ValueError for what the program does wrong.
        owner: say what becomes of the project, at the beginning and the end.
        parent: the id of the node that nodes are under by default.
    """

    def __init__(
        self,
        name: str,
        own: Json,
        limits: HubLimits,
        make: Callable[..., N_co],
        *,
        wake: Callable[[], None],
        strict: bool = False,
        owner: bool = True,
        parent: str | None = None,
    ) -> None:
        self.project_id = checked_project(name)
        self.owner = owner
        self.parent = parent
        self.strict = strict
        self._limits = limits
        self._wake_sender = wake
        self._own_fields = {name: value for name, value in own.items() if value is not None}
        self._make = make
        self._anew()
        self._token: Token[BaseRun[Any] | None] | None = None

    def _anew(self) -> None:
        self.outflow = EventBuffer(self.project_id, self._wake_sender)
        self._sayable = Sayable(self.project_id, self._limits, strict=self.strict)
        self._attempts = KnownNodes()

    def node(self, id: str, *, parent: Parent = FROM_CONTEXT, **fields: Any) -> N_co:
        """A node, to be entered or begun. `fields` are those of `Node.update`: ``title``, ``kind`` …

        `parent` is a node, its id, or None for the top; by default the current node, if it is of this
        project, else the run's `parent`. Without either, a node that the hub has already stays where it
        is, a new one goes to the top.

        Raises:
            ValueError: strict, and not an id, or not what a node can have.
        """
        if self.strict and not is_node_id(id):
            raise ValueError(f"{_NO_ID} as a node's id, got {id!r}")
        name = fit_node_id(id)
        sound, _ = self._sayable.fields(name, fields)
        above = self._parent_id(parent, name)
        if above is not None or parent is None:
            sound["parent_id"] = above
        return self._make(self, name, above, sound)

    def plan(self, id: str, *, parent: Parent = FROM_CONTEXT, **fields: Any) -> None:
        """Show a node that is to come as ``ready``; `node` with the same id begins it.

        Raises:
            ValueError: as `node`.
        """
        made = self.node(id, parent=parent, **fields)
        planned = {**made.fields, "status": "ready"}
        self._attempts.describe(made.id, planned)
        self.put(made.id, planned)

    def log(self, message: object, *, level: str = "info") -> None:
        """A line of output of the run itself."""
        self.outflow.line(str(message), level=level, node_id=None, extra={})

    def update(self, **changes: Any) -> None:
        """Set the project's own fields: ``title``, ``group``, ``labels``, ``url``, ``series``, ``run`` …

        Raises:
            ValueError: strict, and not what a project can have.
        """
        data = self._sayable.project(changes)
        if data["changes"]:
            self.outflow.say("project_update", data, weight(data))

    def statistics(self) -> OutflowStatistics:
        """Counts of the run's events at this moment."""
        return self.outflow.statistics()

    # --- for nodes ----------------------------------------------------------------------------------

    def begin(self, node: Open, attempt: int | None) -> tuple[int, Json]:
        """Not for the program's use: see `open_node.Host`."""
        if node.status is None and self._attempts.is_open(node.id):
            self.misused(f"node {node.id!r} is running already; the next one gets a number")
            node.id = self._attempts.free(node.id)
        return self._attempts.start(node.id, node.fields, attempt, self.put)

    def ended(self, node: Open, status: str) -> None:
        """Not for the program's use: see `open_node.Host`."""
        self._attempts.end(node.id, status)
        if status != WAITING:
            self._sayable.sizes.ended(node.id)

    def put(self, node_id: str, changes: Json, size: int | None = None) -> None:
        """Not for the program's use: fields of a node that are known to be sound, of about `size` bytes.

        A status needs room in the buffer; where there is none, the change is lost.
        """
        message = changes.get("message")
        if message is not None and not self._sayable.fits(node_id, changes):
            changes = {**changes, "message": message[:LEAST_MESSAGE]}
        if "status" in changes and not self.outflow.room:
            self.outflow.lose()
            return
        self._sayable.sizes.note(node_id, changes)
        self.outflow.change(node_id, changes, weight(changes) if size is None else size)

    def set(self, node_id: str, changes: Json) -> None:
        """Not for the program's use: see `open_node.Host`."""
        sound, size = self._sayable.fields(node_id, changes)
        if sound:
            self._attempts.describe(node_id, sound)
            self.put(node_id, sound, size)

    def line(self, message: str, *, level: str, node_id: str | None, extra: Json) -> None:
        """Not for the program's use: see `open_node.Host`."""
        self.outflow.line(message, level=level, node_id=node_id, extra=extra)

    def misused(self, what: str) -> None:
        """Not for the program's use: see `open_node.Host`."""
        if self.strict:
            raise ValueError(what)
        warn_once(f"misused {what}", "%s", what)

    def part_lost(self, event: Json, error: ClientError) -> None:
        """Not for the program's use: an event of the run, or a part of one, did not get to the hub."""
        self.outflow.lose()
        _logger.warning("lost: %s: %s", described(event), error)

    def deletion(self) -> Json:
        """Not for the program's use: the event that empties the project."""
        return {"type": "project_deleted", "project_id": self.project_id, "data": {}}

    def _parent_id(self, parent: Parent, own: str) -> str | None:
        if isinstance(parent, FromContext):
            return context.node_above(self.project_id, own) or self.parent
        if parent is None:
            return None
        name = parent if isinstance(parent, str) else parent.id
        if self.strict and not is_node_id(name):
            raise ValueError(f"{_NO_ID} as the parent's id, got {name!r}")
        return fit_node_id(name)

    # --- beginning and end --------------------------------------------------------------------------

    def _begin(self) -> None:
        self._token = _run.set(self)
        _entered.append(self)
        if self._own_fields:
            self.update(**self._own_fields)
        if self.owner:
            self._pass("running")

    def _end(self, error: BaseException | None) -> None:
        token, self._token = self._token, None
        if token is not None:
            with suppress(ValueError):  # as in Node.__exit__
                _run.reset(token)
        with suppress(ValueError):
            _entered.remove(self)
        if not self.owner:
            return
        if is_success(error) or error is None:
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
