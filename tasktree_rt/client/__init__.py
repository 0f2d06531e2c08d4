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

From any program, without an event loop and with the standard library alone (`tasktree_rt.client.joining`)::

    step = join("build-7", hub="http://127.0.0.1:8000").node("compile")
    step.complete()

Answering, commanding and notifying: `open_api_client`. Everything raised on purpose is a `ClientError`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tasktree_rt.client.interactions.api_client import ApiClient, open_api_client
    from tasktree_rt.client.interactions.api_requests import EventPage, NotificationPage, Outcome, SearchPage
    from tasktree_rt.client.interactions.prompts import Answer, Asked
    from tasktree_rt.client.joining import Joined, Open, carry, in_context, join
    from tasktree_rt.client.joining.event_buffer import OutflowStatistics
    from tasktree_rt.client.producer.command_inbox import Command, Commands
    from tasktree_rt.client.producer.encode import EventLike
    from tasktree_rt.client.producer.job_queue import PublisherStatistics
    from tasktree_rt.client.producer.obey import Announcement, CommandRefused, Offer, obeys
    from tasktree_rt.client.producer.open_orchestrator import open_orchestrator
    from tasktree_rt.client.producer.orchestrator import Orchestrator, OrchestratorStatistics
    from tasktree_rt.client.producer.receipt import Acked, Receipt
    from tasktree_rt.client.producer.thread_publisher import Publisher
    from tasktree_rt.client.run.base import current_run
    from tasktree_rt.client.run.decorator import node
    from tasktree_rt.client.run.logging_handler import NodeHandler
    from tasktree_rt.client.run.node import Node, current_node
    from tasktree_rt.client.run.thread_run import Run
    from tasktree_rt.client.run.trio_run import TrioRun, open_run
    from tasktree_rt.client.transport.backoff import Backoff
    from tasktree_rt.client.transport.tokens import TokenSource
    from tasktree_rt.client.watcher.messages import (
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
    from tasktree_rt.client.watcher.tree_view import TreeView
    from tasktree_rt.client.watcher.watcher import Watcher, open_watcher
    from tasktree_rt.core.log import Position
    from tasktree_rt.core.protocol import Broadcast, Personal
    from tasktree_rt.errors import ClientError, ConnectionLost, PublishRefused, RequestRefused

    Desk, open_desk = ApiClient, open_api_client

__all__ = [
    "Acked",
    "Announcement",
    "Answer",
    "ApiClient",
    "Asked",
    "Backoff",
    "Behind",
    "Broadcast",
    "ClientError",
    "Command",
    "CommandRefused",
    "Commands",
    "Conflated",
    "Connected",
    "ConnectionLost",
    "Desk",
    "Disconnected",
    "EventLike",
    "EventPage",
    "Joined",
    "Node",
    "NodeHandler",
    "NotificationPage",
    "Offer",
    "Open",
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
    "SearchPage",
    "StateReplaced",
    "Subscribed",
    "SubscriptionRefused",
    "TokenSource",
    "TreeView",
    "TrioRun",
    "Unsubscribed",
    "WatchMessage",
    "Watcher",
    "carry",
    "current_node",
    "current_run",
    "in_context",
    "join",
    "node",
    "obeys",
    "open_api_client",
    "open_desk",
    "open_orchestrator",
    "open_run",
    "open_watcher",
]

_HOMES: Final = {
    "tasktree_rt.client.interactions.api_client": (
        "ApiClient",
        "Desk",
        "open_api_client",
        "open_desk",
    ),
    "tasktree_rt.client.interactions.api_requests": (
        "EventPage",
        "NotificationPage",
        "Outcome",
        "SearchPage",
    ),
    "tasktree_rt.client.interactions.prompts": (
        "Answer",
        "Asked",
    ),
    "tasktree_rt.client.joining": (
        "Joined",
        "Open",
        "carry",
        "in_context",
        "join",
    ),
    "tasktree_rt.client.joining.event_buffer": ("OutflowStatistics",),
    "tasktree_rt.client.producer.command_inbox": (
        "Command",
        "Commands",
    ),
    "tasktree_rt.client.producer.encode": ("EventLike",),
    "tasktree_rt.client.producer.job_queue": ("PublisherStatistics",),
    "tasktree_rt.client.producer.obey": (
        "Announcement",
        "CommandRefused",
        "Offer",
        "obeys",
    ),
    "tasktree_rt.client.producer.open_orchestrator": ("open_orchestrator",),
    "tasktree_rt.client.producer.orchestrator": (
        "Orchestrator",
        "OrchestratorStatistics",
    ),
    "tasktree_rt.client.producer.receipt": (
        "Acked",
        "Receipt",
    ),
    "tasktree_rt.client.producer.thread_publisher": ("Publisher",),
    "tasktree_rt.client.run.base": ("current_run",),
    "tasktree_rt.client.run.decorator": ("node",),
    "tasktree_rt.client.run.logging_handler": ("NodeHandler",),
    "tasktree_rt.client.run.node": (
        "Node",
        "current_node",
    ),
    "tasktree_rt.client.run.thread_run": ("Run",),
    "tasktree_rt.client.run.trio_run": (
        "TrioRun",
        "open_run",
    ),
    "tasktree_rt.client.transport.backoff": ("Backoff",),
    "tasktree_rt.client.transport.tokens": ("TokenSource",),
    "tasktree_rt.client.watcher.messages": (
        "Behind",
        "Conflated",
        "Connected",
        "Disconnected",
        "ProjectDeleted",
        "ProjectEvent",
        "StateReplaced",
        "Subscribed",
        "SubscriptionRefused",
        "Unsubscribed",
        "WatchMessage",
    ),
    "tasktree_rt.client.watcher.tree_view": ("TreeView",),
    "tasktree_rt.client.watcher.watcher": (
        "Watcher",
        "open_watcher",
    ),
    "tasktree_rt.core.log": ("Position",),
    "tasktree_rt.core.protocol": (
        "Broadcast",
        "Personal",
    ),
    "tasktree_rt.errors": (
        "ClientError",
        "ConnectionLost",
        "PublishRefused",
        "RequestRefused",
    ),
}
"""Modules, and what is public of each: loaded when it is first used, so that `joining` loads nothing else."""
_HOME_OF: Final = {name: module for module, names in _HOMES.items() for name in names}
_FORMER: Final = {"Desk": "ApiClient", "open_desk": "open_api_client"}
"""Names of the first releases."""


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_HOME_OF[name]), _FORMER.get(name, name))
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
