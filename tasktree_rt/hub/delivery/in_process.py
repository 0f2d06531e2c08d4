"""Watch projects from within the hub's own process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tasktree_rt.core.access import OPEN, Grants
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Message, Policy, Subscribe
from tasktree_rt.core.topics import WILDCARD
from tasktree_rt.hub.delivery.connections import Connections
from tasktree_rt.hub.delivery.pull_subscriber import Objects
from tasktree_rt.hub.delivery.subscriptions import Subscriptions
from tasktree_rt.hub.resume.feed import Events


class InProcess:
    """Subscribe without a socket."""

    def __init__(self, connections: Connections, subscriptions: Subscriptions) -> None:
        self._connections = connections
        self._subscriptions = subscriptions

    @asynccontextmanager
    async def subscribe(
        self,
        project: str = WILDCARD,
        *,
        since: Position | None = None,
        state: bool = False,
        policy: Policy = Policy.CONFLATE,
        grants: Grants = OPEN,
    ) -> AsyncIterator[AsyncIterator[Message | Events]]:
        """Watch a project, or all, from within this process.

        Gives an async iterator of the messages that a native connection would get: `Subscribed`, `StatePart`,
        `Events`, `Conflated`, … `policy` says what happens to a reader that falls behind.
        """
        subscriber = self._connections.pull_subscriber(
            Objects(), policy=policy, grants=grants, address="in-process"
        )
        request = Subscribe(project, since=since, state=state)
        try:
            if project == WILDCARD:
                self._subscriptions.watch_all(subscriber, request)
            else:
                await self._subscriptions.watch(subscriber, request)
            yield subscriber.messages()
        finally:
            self._connections.detach(subscriber)
