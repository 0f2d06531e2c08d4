"""All messages of the hub to a peer. A dialect turns each one into text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import Factory, frozen

from tasktree_rt.core.events import Json, Record
from tasktree_rt.core.executions import ExecutionStatus, LogLine, NodeStatus
from tasktree_rt.core.log import Position
from tasktree_rt.core.nodes import Node
from tasktree_rt.core.value_class import fixed

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
    """A subscription begins at `position`; `recovered` is None if the request named no position."""

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
    """The snapshot that the part is cut from; kept alive, and shared, while a part of it is sent."""


@frozen
class Conflated:
    """All changes from `after` to `position` in one message (docs/protocol.md, "conflated")."""

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
    """Sent when nothing else was for a while: the positions of this connection's projects."""

    timestamp: str
    positions: Mapping[str, Position]


@frozen
class Pong:
    """The answer to `Ping`; repeats its `original`."""

    id: RequestId
    original: Json | None = None


@frozen
class Unsubscribed:
    """The answer to `Unsubscribe`, or news that a subscription ended by itself, with the `reason`."""

    project_id: str
    id: RequestId = None
    reason: str | None = None


@frozen
class TopicSubscribed:
    """The answer to `SubscribeTopic` and `UnsubscribeTopic`. `kind` is that of the topic, if there is one."""

    method: str
    user: str
    kind: str | None
    name: str


@frozen
class Reply:
    """The answer to a request that has none of its own; to a command it gives its id."""

    id: RequestId
    command_id: str | None = None


@frozen
class Instruction:
    """A command for the orchestrator of a project: the data of its event."""

    project_id: str
    data: Json


@frozen
class Draining:
    """The hub will close with 1012; reconnect after `reconnect_after_ms` milliseconds."""

    reconnect_after_ms: int


@frozen
class TokenExpiring:
    """The connection's token expires in `expires_in_ms` milliseconds; then the hub closes with 4003."""

    expires_in_ms: int


@frozen
class Failure:
    """A request failed, or the hub cannot understand what it received."""

    code: str
    message: str
    id: RequestId = None
    field: str | None = None
    retry_after_ms: int | None = None
    outcome: Json | None = None
    topic: str | None = None
    """The project or user's log that cannot be watched; sent with `project_damaged`."""


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
class Ephemeral:
    """A live event: shown to the present watchers and not stored. It is whole, so that the newest says all.

    Attributes:
        topic: the live topic whose watchers are shown it.
        kind: what it is; a dialect without a word for it does not send it.
        data: its content, in the form of this kind.
        key: within the topic; of one key a slow reader gets the newest only.
        last: no more events of this key follow; it is sent after all that waits.
        user: the user it belongs to, if the topic does not say.
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
    | TopicSubscribed
    | Reply
    | Instruction
    | Draining
    | TokenExpiring
    | Failure
    | Acked
    | Broadcast
    | Ephemeral
    | Personal
    | ExecutionStatus
    | NodeStatus
    | LogLine
)
