"""A program, or one process of it, that shows itself in a project and owns nothing of it."""

from __future__ import annotations

import os
import socket
import time
from types import TracebackType
from typing import Any, Self

from tasktree_rt.client.joining import context, environment, process
from tasktree_rt.client.joining.context import FROM_CONTEXT, FromContext
from tasktree_rt.client.joining.delivery import OnError, warn_once
from tasktree_rt.client.joining.event_buffer import OutflowStatistics
from tasktree_rt.client.joining.fields import Faults, fit_node_id, fit_project, node_fields, project_fields
from tasktree_rt.client.joining.http_post import Poster
from tasktree_rt.client.joining.known_nodes import KnownNodes
from tasktree_rt.client.joining.open_node import Open
from tasktree_rt.client.joining.plain_json import Json, text_of, weight
from tasktree_rt.client.joining.sender import Sender, say

Parent = Open | context.Placed | str | None | FromContext


class Joined:
    """What `join` gives: nodes of a project, beside those of other processes. Any thread may call.

    Nothing of it raises, blocks or delays, whatever the hub does: what is said waits here, bounded, and a
    thread, which is made at the first event, sends it. Without a hub or a project it does nothing, quickly.

    Attributes:
        project_id: the project; "" without one.
        hub: the hub's address; "" without one.
        parent: the id of the node that nodes are under by default; None: the top.
    """

    def __init__(
        self,
        project: str | None,
        hub: str | None,
        *,
        parent: str | None = None,
        token: str | None = None,
        exit_timeout: float | None = None,
        on_error: OnError | None = None,
        strict: bool = False,
        producer_id: str | None = None,
    ) -> None:
        self._strict = strict
        self._token = token
        self._producer_id = producer_id
        self._known = KnownNodes()
        self.hub = hub or ""
        self.project_id = fit_project(project) if project else ""
        self.parent = None if not parent else fit_node_id(parent)
        if project and self.project_id != project:
            self.misused(f"{project!r} cannot name a project; it is {self.project_id!r} here")
        self._poster = self._made_poster()
        self._sender: Sender | None = None
        if self._poster is not None:
            self._sender = Sender(
                self.hub,
                self.project_id,
                self._poster,
                exit_timeout=process.EXIT if exit_timeout is None else exit_timeout,
                on_error=on_error,
                forked=self._after_fork,
            )

    def _made_poster(self) -> Poster | None:
        if not self.hub or not self.project_id:
            if self._strict:
                raise ValueError("expected a hub and a project (TASKTREE_RT_HUB, TASKTREE_RT_PROJECT)")
            return None
        try:
            return Poster(self.hub, self.project_id, self._token, {"Producer-Id": self._producer()})
        except ValueError as error:
            self.misused(f"nothing is sent: {error}")
            return None

    def _producer(self) -> str:
        """A name that no other process has: the hub counts and judges each for itself."""
        own = f"{os.getpid()}-{os.urandom(3).hex()}"
        return f"{self._producer_id or socket.gethostname()}:{own}"

    def _after_fork(self) -> None:
        """In a forked child: the nodes that the parent began are not known here."""
        self._known = KnownNodes()
        if self._poster is not None:
            self._poster.headers["Producer-Id"] = self._producer()

    @property
    def active(self) -> bool:
        """Whether there is a hub and a project; else nothing is sent."""
        return self._sender is not None

    # --- nodes ---------------------------------------------------------------------------------------

    def node(
        self,
        id: str,
        *,
        parent: Parent = FROM_CONTEXT,
        title: str | None = None,
        kind: str | None = None,
        attempt: int | None = None,
        **fields: Any,
    ) -> Open:
        """Begin a node: it is ``running`` at once. It ends by its own methods, or as a block.

        A node of that id that ended in this process is tried again; one that waits goes on; beside one that
        is open, the new one gets a number (``fetch#2``).

        Args:
            parent: a node, its id, or None for the top; by default the current node, if it is of this
                project, else the one that this process was given.
            attempt: which attempt this is, if it is known: of a task that another process tried before.
        """
        given = {"title": title, "kind": kind, **fields}
        try:
            made = self._made(id, parent, {name: one for name, one in given.items() if one is not None})
            return made.start(attempt)
        except Exception as error:
            self._failed(error)
            return Open(self, fit_node_id(id), None, {})

    def plan(self, id: str, *, parent: Parent = FROM_CONTEXT, **fields: Any) -> None:
        """Show a node that is to come as ``ready``; `node` with the same id begins it."""
        try:
            made = self._made(id, parent, fields)
            planned = {**made.fields, "status": "ready"}
            self._known.describe(made.id, planned)
            self.put(made.id, planned)
        except Exception as error:
            self._failed(error)

    def log(
        self,
        message: object,
        *,
        node: Open | str | None = None,
        level: str = "info",
        stream: str | None = None,
    ) -> None:
        """Send a line of output of a node; without one, of what this process is under."""
        name = self.parent if node is None else self._parent_id(node, "")
        extra = {} if stream is None else {"stream": stream}
        self.line(text_of(message), level=level, node_id=name, extra=extra)

    def state(self, to: str, **project_fields_: Any) -> None:
        """Say what became of the project (``running``, ``completed`` …), and its fields.

        Who owns the project says so; joining alone never does.
        """
        self.update(**project_fields_)
        self._say("state_transition", {"from": None, "to": text_of(to), "context": {}})

    def update(self, **fields: Any) -> None:
        """Set the project's own fields: ``title``, ``group``, ``labels``, ``url``, ``series``, ``run`` …"""
        try:
            faults: Faults = []
            changes = project_fields(fields, faults)
            self._told(faults, "the project")
            if changes:
                self._say("project_update", {"changes": changes})
        except Exception as error:
            self._failed(error)

    def environment(self, parent: Open | str | None = None) -> dict[str, str]:
        """Variables for a child process, whose `join` then finds hub, project and parent.

        The parent is by default the current node, else the parent of this process.
        """
        if not self.active:
            return {}
        above = self._parent_id(FROM_CONTEXT if parent is None else parent, "")
        return environment.for_child(self.hub, self.project_id, token=self._token, parent=above)

    # --- ends ----------------------------------------------------------------------------------------

    def flush(self, timeout: float) -> bool:
        """Wait until the hub has all events so far, at most `timeout` seconds; returns whether it has.

        Needed before `os._exit`, and at the end of a task in a worker that ends so.
        """
        return True if self._sender is None else self._sender.flush(timeout)

    def close(self, timeout: float | None = None) -> None:
        """Flush for at most `timeout` seconds (default `exit_timeout`), then stop.

        The end of the process does it by itself. What is lost is counted, and said on standard error.
        """
        if self._sender is None:
            return
        if timeout is not None:
            self._sender.hurry(time.monotonic() + timeout)
        process.finish([self._sender])

    def statistics(self) -> OutflowStatistics:
        """Counts of events at this moment."""
        return OutflowStatistics(0, 0, 0, 0, 0) if self._sender is None else self._sender.statistics()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- for nodes -----------------------------------------------------------------------------------

    def begin(self, node: Open, attempt: int | None) -> tuple[int, Json]:
        """Not for the program's use: see `open_node.Host`."""
        return self._known.start(node.id, node.fields, attempt, self.put)

    def ended(self, node: Open, status: str) -> None:
        """Not for the program's use: see `open_node.Host`."""
        self._known.end(node.id, status)

    def put(self, node_id: str, changes: Json) -> None:
        """Not for the program's use: see `open_node.Host`."""
        if self._sender is not None:
            say(self._sender.buffer, node_id, changes, weight(changes))

    def set(self, node_id: str, changes: Json) -> None:
        """Not for the program's use: see `open_node.Host`."""
        try:
            faults: Faults = []
            sound = node_fields(changes, faults)
            self._told(faults, f"node {node_id!r}")
            if sound:
                self._known.describe(node_id, sound)
                self.put(node_id, sound)
        except Exception as error:
            self._failed(error)

    def line(self, message: str, *, level: str, node_id: str | None, extra: Json) -> None:
        """Not for the program's use: see `open_node.Host`."""
        if self._sender is not None:
            self._sender.buffer.line(message, level=level, node_id=node_id, extra=extra)

    def misused(self, what: str) -> None:
        """Not for the program's use: see `open_node.Host`."""
        if self._strict:
            raise ValueError(what)
        warn_once(f"misused {what}", "%s", what)

    def _made(self, id: object, parent: Parent, given: Json) -> Open:
        faults: Faults = []
        fields = node_fields(given, faults)
        name = fit_node_id(id)
        if name != id:
            faults.append("its id was mended")
        self._told(faults, f"node {name!r}")
        above = self._parent_id(parent, name)
        if above is not None or parent is None:
            fields["parent_id"] = above
        return Open(self, self._free(name), above, fields)

    def _free(self, name: str) -> str:
        """An id that no open node of this process has."""
        if not self._known.is_open(name):
            return name
        self.misused(f"node {name!r} is open already; the next one gets a number")
        return self._known.free(name)

    def _parent_id(self, parent: Parent, own: str) -> str | None:
        if isinstance(parent, FromContext):
            return context.node_above(self.project_id, own) or self.parent
        if parent is None:
            return None
        return fit_node_id(parent if isinstance(parent, str) else parent.id)

    def _say(self, kind: str, data: Json) -> None:
        if self._sender is not None:
            self._sender.buffer.say(kind, data, weight(data))

    def _told(self, faults: Faults, of: str) -> None:
        if faults and self._strict:
            raise ValueError(f"{of}: {'; '.join(faults)}")
        if faults:
            warn_once(f"unfit {self.project_id}", "%s: %s (told once a project)", of, "; ".join(faults))

    def _failed(self, error: Exception) -> None:
        if self._strict:
            raise error
        kind = type(error).__name__
        warn_once(f"fault {kind}", "nothing was said of a node: %s: %s", kind, error)
