"""Stop the hub politely: finish what was accepted, and tell every connection when to come back."""

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
"""Connections that are told to come back in one turn of the loop, when the hub stops."""


class Drain:
    """See the module's docstring. `keep` stores, in so many seconds, what the next hub takes up."""

    def __init__(
        self,
        context: HubContext,
        stopping: Stopping,
        committer: Committer,
        connections: Connections,
        directory: ProjectDirectory,
        keep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._drain = context.settings.drain
        self._stopping = stopping
        self._committer = committer
        self._connections = connections
        self._directory = directory
        self._keep = keep

    async def drain(self) -> None:
        """Stop politely: finish what was accepted, tell everyone when to come back, close with 1012.

        Returns when every connection is told; bounded by `settings.drain.timeout` together with the
        caller. Later publishes are refused (``draining``).
        """
        self._stopping.begun = True
        with trio.move_on_after(self._drain.timeout / 2):
            await self._committer.quiet()
        for number, subscriber in enumerate(list(self._connections.values()), 1):
            self._dismiss(subscriber)
            if number % DISMISSED == 0:
                await trio.lowlevel.checkpoint()
        await self._keep(self._drain.timeout / 4)
        self._directory.close()
        for subscriber in list(self._connections.values()):
            if not subscriber.closing:  # it came meanwhile
                self._dismiss(subscriber)
        self._stopping.over.set()

    def _dismiss(self, subscriber: Subscriber) -> None:
        """Tell a connection when to come back (within the window of the settings), and close it."""
        window = int(self._drain.window * 1000)
        subscriber.reply(Draining(random.randint(0, window)))  # noqa: S311
        subscriber.close(subscriber.farewell)
