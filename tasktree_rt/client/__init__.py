"""The Python client: push to a hub, and watch what others push.

With Trio, pushing and watching::

    async with open_orchestrator("http://127.0.0.1:8000", "builder") as hub:
        await hub.node_update("build-7", "compile", title="Compile", status="running", progress=40)
    async with open_watcher("http://127.0.0.1:8000", "build-7") as watcher:
        async for message in watcher:
            print(message, watcher.view("build-7").nodes)

Without Trio, pushing from any thread::

    with Publisher("http://127.0.0.1:8000", "builder") as publisher:
        publisher.node_update("build-7", "compile", status="completed")
"""

from tasktree_rt.client.backoff import Backoff
from tasktree_rt.client.messages import (
    Broadcast,
    Conflated,
    Connected,
    Disconnected,
    Personal,
    ProjectDeleted,
    ProjectEvent,
    StateReplaced,
    Subscribed,
    SubscriptionRefused,
    Unsubscribed,
    WatchMessage,
)
from tasktree_rt.client.orchestrator import Orchestrator, OrchestratorStatistics, open_orchestrator
from tasktree_rt.client.payload import EventLike
from tasktree_rt.client.publisher import Publisher, PublisherStatistics
from tasktree_rt.client.receipts import Acked, Receipt
from tasktree_rt.client.view import TreeView
from tasktree_rt.client.watcher import Watcher, open_watcher
from tasktree_rt.core.log import Position
from tasktree_rt.errors import ClientError, ConnectionLost, PublishRefused

__all__ = [
    "Acked",
    "Backoff",
    "Broadcast",
    "ClientError",
    "Conflated",
    "Connected",
    "ConnectionLost",
    "Disconnected",
    "EventLike",
    "Orchestrator",
    "OrchestratorStatistics",
    "Personal",
    "Position",
    "ProjectDeleted",
    "ProjectEvent",
    "PublishRefused",
    "Publisher",
    "PublisherStatistics",
    "Receipt",
    "StateReplaced",
    "Subscribed",
    "SubscriptionRefused",
    "TreeView",
    "Unsubscribed",
    "WatchMessage",
    "Watcher",
    "open_orchestrator",
    "open_watcher",
]
