"""The Python client: push to a hub, watch what others push, ask people and be told what to do.

A program's own blocks as the nodes of a project (`open_run` with Trio, `Run` with threads and asyncio)::

    async with open_run("http://127.0.0.1:8000", "build-7", title="Build 7") as run:
        with run.node("compile") as step:
            step.progress(40)
            if not await run.ask("Deploy to production?"):
                step.log("not deployed")

With Trio, pushing and watching by hand::

    async with open_orchestrator("http://127.0.0.1:8000", "builder") as hub:
        await hub.node_update("build-7", "compile", title="Compile", status="running", progress=40)
    async with open_watcher("http://127.0.0.1:8000", "build-7") as watcher:
        async for message in watcher:
            print(message, watcher.view("build-7").nodes)

Without Trio, pushing from any thread::

    with Publisher("http://127.0.0.1:8000", "builder") as publisher:
        publisher.node_update("build-7", "compile", status="completed")

Answering, commanding and notifying: `open_desk`. Everything raised on purpose is a `ClientError`.
"""

from tasktree_rt.client.api_requests import EventPage, NotificationPage, Outcome
from tasktree_rt.client.asking import Answer, Asked
from tasktree_rt.client.backoff import Backoff
from tasktree_rt.client.base_run import current_run
from tasktree_rt.client.decorator import node
from tasktree_rt.client.desk import Desk, open_desk
from tasktree_rt.client.handler import NodeHandler
from tasktree_rt.client.job_queue import PublisherStatistics
from tasktree_rt.client.messages import (
    Behind,
    Conflated,
    Connected,
    Disconnected,
    ProjectDeleted,
    ProjectEvent,
    StateReplaced,
    Subscribed,
    SubscriptionRefused,
    Unsubscribed,
    WatchMessage,
)
from tasktree_rt.client.nodes import Node, current_node
from tasktree_rt.client.obeying import Command, Commands
from tasktree_rt.client.opening import open_orchestrator
from tasktree_rt.client.orchestrator import Orchestrator, OrchestratorStatistics
from tasktree_rt.client.outflow import OutflowStatistics
from tasktree_rt.client.payload import EventLike
from tasktree_rt.client.publisher import Publisher
from tasktree_rt.client.receipts import Acked, Receipt
from tasktree_rt.client.run import Run
from tasktree_rt.client.triorun import TrioRun, open_run
from tasktree_rt.client.view import TreeView
from tasktree_rt.client.watcher import Watcher, open_watcher
from tasktree_rt.core.commands import Broadcast, Personal
from tasktree_rt.core.log import Position
from tasktree_rt.errors import ClientError, ConnectionLost, PublishRefused, RequestRefused

__all__ = [
    "Acked",
    "Answer",
    "Asked",
    "Backoff",
    "Behind",
    "Broadcast",
    "ClientError",
    "Command",
    "Commands",
    "Conflated",
    "Connected",
    "ConnectionLost",
    "Desk",
    "Disconnected",
    "EventLike",
    "EventPage",
    "Node",
    "NodeHandler",
    "NotificationPage",
    "Orchestrator",
    "OrchestratorStatistics",
    "Outcome",
    "OutflowStatistics",
    "Personal",
    "Position",
    "ProjectDeleted",
    "ProjectEvent",
    "PublishRefused",
    "Publisher",
    "PublisherStatistics",
    "Receipt",
    "RequestRefused",
    "Run",
    "StateReplaced",
    "Subscribed",
    "SubscriptionRefused",
    "TreeView",
    "TrioRun",
    "Unsubscribed",
    "WatchMessage",
    "Watcher",
    "current_node",
    "current_run",
    "node",
    "open_desk",
    "open_orchestrator",
    "open_run",
    "open_watcher",
]
