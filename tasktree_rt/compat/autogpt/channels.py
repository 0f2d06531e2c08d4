"""What can be subscribed to at AutoGPT, and how it is called there: by its clients, and on its Redis.

The live topic behind it is `core.topics.live_topic` of the user that was authenticated, never of what a
client says.
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
"""The same by its older name."""

_CHANNELS: Final = {
    EXECUTION: "{}|graph_exec#{}",
    GRAPH: "{}|graph#{}|executions",
    GRAPH_BEFORE: "{}|graph_execs#{}",
}


def channel(user: str, kind: str, name: str) -> str:
    """What the client knows it as."""
    return _CHANNELS[kind].format(user, name)


# --- on Redis -----------------------------------------------------------------------------------------

EVENTS: Final = "execution_event/"
NOTIFICATIONS: Final = "notification_event/"


class Through(Enum):
    """For whom an event was published."""

    ALL = "all"
    """Published once, for watchers of the execution and of its graph: older releases."""
    EXECUTION = "execution"
    GRAPH = "graph"


@frozen
class Place:
    """Where executions' events are published.

    Attributes:
        execution: None: of every execution of the graph.
    """

    user: str
    graph: str
    execution: str | None
    through: Through = Through.ALL

    @property
    def redis_channel(self) -> str:
        """Its name in sharded pub/sub; what is in braces, which stay, decides on the shard."""
        where = "all" if self.execution is None else f"exec/{self.execution}"
        return f"{EVENTS}{{{self.user}/{self.graph}}}/{where}"


def read_place(redis_channel: str) -> Place:
    """The place of a channel of older releases, ``execution_event/<user>/<graph>/<execution>``.

    Raises:
        InvalidInput: it is none.
    """
    parts = redis_channel.removeprefix(EVENTS).split("/")
    if len(parts) != 3 or not all(parts):
        raise InvalidInput(f"expected {EVENTS}<user>/<graph>/<execution>", field="channel")
    return Place(parts[0], parts[1], parts[2])
