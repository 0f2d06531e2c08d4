"""Names of AutoGPT's subscriptions: for its clients, and on its Redis.

The ephemeral topic behind a name is `core.topics.live_topic` of the authenticated user, never of a user that
the client names.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from attrs import frozen

from tasktree_rt.errors import InvalidInput

EXECUTION: Final = "autogpt.graph_exec"
"""One execution of a graph."""
GRAPH: Final = "autogpt.graph"
"""Every execution of a graph."""
GRAPH_BEFORE: Final = "autogpt.graph_execs"
"""The older name of `GRAPH`."""

_CHANNELS: Final = {
    EXECUTION: "{}|graph_exec#{}",
    GRAPH: "{}|graph#{}|executions",
    GRAPH_BEFORE: "{}|graph_execs#{}",
}


def channel(user: str, kind: str, name: str) -> str:
    """Return the name of a subscription for the client."""
    return _CHANNELS[kind].format(user, name)


# --- on Redis -----------------------------------------------------------------------------------------

EVENTS: Final = "execution_event/"
NOTIFICATIONS: Final = "notification_event/"


class Through(Enum):
    """The watchers for whom an event was published."""

    ALL = "all"
    """Older releases publish an event once, for watchers of the execution and of its graph."""
    EXECUTION = "execution"
    GRAPH = "graph"


@frozen
class Place:
    """A channel of executions' events.

    Attributes:
        execution: None for every execution of the graph.
    """

    user: str
    graph: str
    execution: str | None
    through: Through = Through.ALL

    @property
    def redis_channel(self) -> str:
        """The name in sharded pub/sub. The braces are part of it; the text in them chooses the shard."""
        where = "all" if self.execution is None else f"exec/{self.execution}"
        return f"{EVENTS}{{{self.user}/{self.graph}}}/{where}"


def read_place(redis_channel: str) -> Place:
    """Read a channel name of older releases, ``execution_event/<user>/<graph>/<execution>``.

    Raises:
        InvalidInput: the name has another form.
    """
    parts = redis_channel.removeprefix(EVENTS).split("/")
    if len(parts) != 3 or not all(parts):
        raise InvalidInput(f"expected {EVENTS}<user>/<graph>/<execution>", field="channel")
    return Place(parts[0], parts[1], parts[2])
