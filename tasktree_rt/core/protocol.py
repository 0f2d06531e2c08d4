"""Commands of a peer to the hub and, from `core.messages`, messages of the hub: the vocabulary of every
dialect.

A dialect turns text into one of the commands and each message into text; the hub knows neither JSON nor
frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from attrs import frozen

from tasktree_rt.core.events import Json
from tasktree_rt.core.log import Position
from tasktree_rt.core.messages import (
    Acked,
    Broadcast,
    Conflated,
    Draining,
    Ephemeral,
    Failure,
    Heartbeat,
    Instruction,
    Message,
    Personal,
    Pong,
    Reply,
    RequestId,
    StatePart,
    Subscribed,
    TokenExpiring,
    TopicSubscribed,
    Unsubscribed,
    Welcome,
)

__all__ = [
    "Ack",
    "Acked",
    "Answer",
    "Broadcast",
    "CancelTask",
    "Command",
    "Conflated",
    "Draining",
    "Ephemeral",
    "Failure",
    "Heartbeat",
    "Instruct",
    "Instruction",
    "Message",
    "Personal",
    "Ping",
    "Policy",
    "Pong",
    "Received",
    "Refresh",
    "Reply",
    "RequestId",
    "StatePart",
    "Subscribe",
    "SubscribeTopic",
    "Subscribed",
    "TokenExpiring",
    "TopicSubscribed",
    "Unsubscribe",
    "UnsubscribeTopic",
    "Unsubscribed",
    "Welcome",
]


class Policy(Enum):
    """The hub's action when a subscription's outbox is full."""

    CONFLATE = "conflate"
    """Skip, then one message with what changed."""
    RESYNC = "resync"
    """Skip, then the whole state."""
    DISCONNECT = "disconnect"
    """Close 4008 with the position."""
    NEWEST = "newest"
    """Of live events the newest of each key, whole; not to be chosen: it goes with the language."""


@frozen
class Subscribe:
    """Watch a project, or ``*``. `since` is one position, or with ``*`` one per project; `token` is a
    subscription token for the project.
    """

    project_id: str
    id: RequestId = None
    since: Position | Mapping[str, Position] | None = None
    policy: Policy | None = None
    state: bool = False
    token: str | None = None


@frozen
class Unsubscribe:
    """Stop watching a project, or ``*``."""

    project_id: str
    id: RequestId = None


@frozen
class Ping:
    """Ask for a `Pong`, which repeats `original` if the language does."""

    id: RequestId = None
    original: Json | None = None


@frozen
class Ack:
    """Report the position up to which a client has rendered a project (its watermark), or a user has read the
    log of their own.
    """

    project_id: str
    seq: int
    id: RequestId = None


@frozen
class Refresh:
    """Give a connection a new token before its grants expire."""

    token: str
    id: RequestId = None


@frozen
class Answer:
    """Answer a prompt; `given` holds ``proceed``, ``value?``, ``feedback?``, and `within` its topics,
    which tell it from others with the same id.
    """

    prompt_id: str
    given: Json
    id: RequestId = None
    within: tuple[str, ...] = ()


@frozen
class Instruct:
    """Send a command to the orchestrator of a project; `given` holds ``name``, ``node_id?`` and ``args?``."""

    project_id: str
    given: Json
    id: RequestId = None


@frozen
class Received:
    """Acknowledge a message that asked for it."""

    message_id: str


@frozen
class CancelTask:
    """Cancel a task that is not known as a project's node."""

    user_id: str
    task_id: str


@frozen
class SubscribeTopic:
    """Begin to show a live topic of the user's (`topics.live_topic`); `TopicSubscribed` repeats `method`."""

    kind: str
    name: str
    method: str


@frozen
class UnsubscribeTopic:
    """Stop showing the live topics of this name; the answer names the first of `kinds` that was shown."""

    kinds: tuple[str, ...]
    name: str
    method: str


Command = (
    Subscribe
    | Unsubscribe
    | Ping
    | Ack
    | Refresh
    | Answer
    | Instruct
    | Received
    | CancelTask
    | SubscribeTopic
    | UnsubscribeTopic
)
