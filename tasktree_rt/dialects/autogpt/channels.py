"""What can be subscribed to at AutoGPT, and how it is called there.

The live topic behind it is `core.topics.live_topic` of the user that was authenticated, never of what a
client says.
"""

from __future__ import annotations

from typing import Final

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
