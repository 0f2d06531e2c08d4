"""Everything that the hub can say to a peer. A dialect turns each message into text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import Factory, frozen

from tasktree_rt.core.events import Json, Record
from tasktree_rt.core.executions import ExecutionStatus, LogLine, NodeStatus
from tasktree_rt.core.fixed import fixed
from tasktree_rt.core.log import Position
from tasktree_rt.core.nodes import Node

RequestId = str | int | None
"""The `id` of a request, which the answer repeats; None if it has none."""


@frozen
class Welcome:
    """First message of a native connection. Times in seconds, sizes in bytes."""

    connection_id: str
    heartbeat_interval: float
    server_time: str
    max_message_size: int


@frozen
class Subscribed:
    """A subscription stands at `position`; `recovered` is None if no position was asked for."""

    project_id: str
    position: Position
    recovered: bool | None
    id: RequestId = None


@frozen
class StatePart:
    """One part of a project's whole state; `top` only in part 1."""

    project_id: str
    position: Position
    reason: str
    part: int
    parts: int
    top: Mapping[str, Any] | None
    nodes: tuple[tuple[str, Node], ...]
    origin: object = None
    """What it was cut from; kept alive, and shared, while someone sends it."""


@frozen
class Conflated:
    """Everything between `after` and `position` in one step (docs/protocol.md, "conflated")."""

    project_id: str
    after: int
    position: Position
    removed: list[str]
    nodes: list[tuple[str, Node]]
    top: Mapping[str, Any]
    events: tuple[Record, ...]
    logs_skipped: Mapping[str, int] = Factory(dict)


@frozen
class Heartbeat:
    """Nothing else was sent for a while; where this connection's projects stand."""

    timestamp: str
    positions: Mapping[str, Position]


@frozen
class Pong:
    """Answer to `Ping`."""

    id: RequestId
    original: Json | None = None


@frozen
class Unsubscribed:
    """Answer to `Unsubscribe`, or word that a subscription ended by itself."""

    project_id: str
    id: RequestId = None


@frozen
class Shown:
    """Answer to `Show` and `Unshow`. `kind` is that of the topic shown, or once shown, to `user`, if any."""

    method: str
    user: str
    kind: str | None
    name: str


@frozen
class Reply:
    """A request is done and has no answer of its own; a command has an id from now on."""

    id: RequestId
    command_id: str | None = None


@frozen
class Instruction:
    """A command, to the orchestrator that is to obey it: the data of its event."""

    project_id: str
    data: Json


@frozen
class Draining:
    """The hub is about to close with 1012; come back after so many milliseconds."""

    reconnect_after_ms: int


@frozen
class Failure:
    """A request failed, or something sent cannot be understood."""

    code: str
    message: str
    id: RequestId = None
    field: str | None = None
    retry_after_ms: int | None = None
    outcome: Json | None = None
    topic: str | None = None
    """The project or user's log that cannot be watched; told with `project_damaged`."""


@fixed
class Acked:
    """A publish is durable, applied and handed to every watcher's outbox. `seqs`: first and last."""

    id: RequestId
    project_id: str
    epoch: str
    first: int
    last: int
    duplicate: bool


@frozen
class Broadcast:
    """A message without a project: it goes to every watcher and is not stored."""

    type: str
    data: Json
    timestamp: str


@frozen
class Live:
    """Something that is shown to who watches now and kept by nobody: whole, so that the newest says all.

    Attributes:
        topic: who is shown it (`hub.live`).
        kind: what it is; a dialect has a word for it or says nothing.
        data: what it says, as this kind is made.
        key: within the topic; of one key a slow reader only gets the newest.
        last: nothing more comes of this key; it is sent behind all that waits.
        user: whose it is, if the topic does not say.
    """

    topic: str
    kind: str
    data: Any
    key: str
    last: bool = False
    user: str | None = None


@frozen
class Personal:
    """Any JSON object, as it is, to one connection."""

    message: Json


Message = (
    Welcome
    | Subscribed
    | StatePart
    | Conflated
    | Heartbeat
    | Pong
    | Unsubscribed
    | Shown
    | Reply
    | Instruction
    | Draining
    | Failure
    | Acked
    | Broadcast
    | Live
    | Personal
    | ExecutionStatus
    | NodeStatus
    | LogLine
)
