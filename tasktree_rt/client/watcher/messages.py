"""The messages that a watcher receives, in order.

Apply each message to a `TreeView` (a `Watcher` does so itself) or switch on its class; the classes are
`WatchMessage`. Of a user's own log `project_id` is the topic, ``@`` and the user's id, which is no name of a
project. Dicts and lists in them are never to be mutated.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from tasktree_rt.core.events import Event, Json, ProjectId
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Broadcast, Personal


@frozen
class Connected:
    """The watcher is connected, and subscribes again what it watches."""

    connection_id: str
    heartbeat_interval: float


@frozen
class Disconnected:
    """The connection is gone: until the next message of a project what is shown may not be what the hub has.

    `code` is the WebSocket close code, if there was one; `retry_in` the seconds until the next try.
    """

    reason: str
    code: int | None
    retry_in: float


@frozen
class Behind:
    """What is shown of a project is not what the hub has, and it got no further for a while.

    The while is half as long again as the heartbeat interval. `told` is the position that the hub named, if
    it named one. The watcher subscribes the project again; the project's next message
    ends the state of being behind.
    """

    project_id: str
    told: Position | None


@frozen
class Subscribed:
    """The hub has subscribed the watcher to a project, from `position` on.

    `recovered`: True, everything after the position asked for follows; False, it cannot be had and a
    `StateReplaced` or `ProjectDeleted` follows; None, no position was asked for.
    """

    project_id: str
    position: Position
    recovered: bool | None


@frozen
class ProjectEvent:
    """An event, once and in order."""

    project_id: str
    position: Position
    type: str
    data: Json
    timestamp: str

    def as_event(self) -> Event:
        """As the reducer takes it."""
        return Event(self.type, ProjectId(self.project_id), self.data, self.timestamp)


@frozen
class StateReplaced:
    """The whole state of a project at `position`; forget what was there before.

    `reason` is ``initial``, ``gap`` or ``shed``; `nodes` are fields by node id; `read` is of a user's log.
    """

    project_id: str
    position: Position
    reason: str
    state: str | None
    project: Json
    orchestrator: Json | None
    coordination: Json | None
    prompts: list[Json]
    nodes: Mapping[str, Json]
    read: int = 0


@frozen
class Conflated:
    """Everything after seq `after` up to `position` in one step.

    Take out `removed`, put each of `nodes` in whole, set the fields named in `top` (state, project,
    orchestrator, coordination, prompts). `events` are the ones worth showing, already in the nodes;
    `logs_skipped` counts lines of output by node id.
    """

    project_id: str
    after: int
    position: Position
    removed: list[str]
    nodes: Mapping[str, Json]
    top: Json
    events: tuple[ProjectEvent, ...]
    logs_skipped: Mapping[str, int]


@frozen
class ProjectDeleted:
    """The project is gone, its tree empty. A later event begins a new life."""

    project_id: str
    position: Position
    data: Json
    timestamp: str


@frozen
class Unsubscribed:
    """The hub ended a subscription by itself, e.g. because it is not allowed any more."""

    project_id: str


@frozen
class SubscriptionRefused:
    """A project cannot be watched, for good; nothing of it will follow."""

    project_id: str
    code: str
    message: str
    field: str | None = None


WatchMessage = (
    Connected
    | Disconnected
    | Behind
    | Subscribed
    | ProjectEvent
    | StateReplaced
    | Conflated
    | ProjectDeleted
    | Unsubscribed
    | SubscriptionRefused
    | Broadcast
    | Personal
)
