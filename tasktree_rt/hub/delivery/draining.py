"""Drain the hub: commit what was accepted, tell every connection when to reconnect, and close it."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from tasktree_rt.core.protocol import Draining
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.delivery.connections import Connections
from tasktree_rt.hub.delivery.subscriber import Subscriber
from tasktree_rt.hub.projects.directory import ProjectDirectory
from tasktree_rt.hub.publish.committer import Committer
from tasktree_rt.hub.stopping import Stopping

DISMISSED: Final = 200
"""Connections that the draining hub closes in one turn of the loop."""


class Drain:
    """See the module's docstring. `store` saves, within some seconds, what the next process needs."""

    def __init__(
        self,
        context: HubContext,
        stopping: Stopping,
        committer: Committer,
        connections: Connections,
        directory: ProjectDirectory,
        store: Callable[[float], Awaitable[None]],
    ) -> None:
        self._drain = context.settings.drain
        self._stopping = stopping
        self._committer = committer
        self._connections = connections
        self._directory = directory
        self._store = store

    async def drain(self) -> None:
        """Commit what was accepted, tell every connection when to reconnect, and close it with 1012.

        Returns when the hub has closed every connection; the caller and this together take at most
        `settings.drain.timeout`. The hub refuses later publishes (``draining``).
        """
        self._stopping.begun = True
        with trio.move_on_after(self._drain.timeout / 2):
            await self._committer.quiet()
        for number, subscriber in enumerate(list(self._connections.values()), 1):
            self._dismiss(subscriber)
            if number % DISMISSED == 0:
                await trio.lowlevel.checkpoint()
        await self._store(self._drain.timeout / 4)
        self._directory.close()
        for subscriber in list(self._connections.values()):
            if not subscriber.closing:  # connected meanwhile
                self._dismiss(subscriber)
        self._stopping.over.set()

    def _dismiss(self, subscriber: Subscriber) -> None:
        """Tell a connection when to reconnect, at random within `settings.drain.window`, and close it."""
        window = int(self._drain.window * 1000)
        subscriber.reply(Draining(random.randint(0, window)))  # noqa: S311
        subscriber.close(subscriber.drain_closing)
