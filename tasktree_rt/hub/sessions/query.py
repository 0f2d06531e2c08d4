"""The subscriptions that a connection asks for in its request's query."""

from __future__ import annotations

from collections.abc import Callable

import trio

from tasktree_rt.core.protocol import RequestId, Subscribe
from tasktree_rt.core.topics import WILDCARD
from tasktree_rt.errors import PeerError
from tasktree_rt.hub.delivery.socket_subscriber import SocketSubscriber
from tasktree_rt.hub.delivery.socket_writer import Start
from tasktree_rt.hub.hub import Hub


def _nothing() -> None:
    return


def _anything(wish: Subscribe) -> None:
    del wish


class Query:
    """Subscribe `subscriber` to `wishes`: at once to projects in memory, to the others in a task.

    `fail` takes the error of a subscription that is refused. `announce`: every project of ``*`` begins with a
    word of its own. `before` looks at a subscription before it is made, when its project is in memory; `done`
    is called when all are made or refused.
    """

    def __init__(
        self,
        hub: Hub,
        subscriber: SocketSubscriber,
        wishes: tuple[Subscribe, ...],
        fail: Callable[[PeerError, RequestId], None],
        *,
        announce: bool = True,
        before: Callable[[Subscribe], None] = _anything,
        done: Callable[[], None] = _nothing,
    ) -> None:
        self._hub = hub
        self._subscriber = subscriber
        self._wishes = wishes
        self._fail = fail
        self._announce = announce
        self._before = before
        self._done = done

    def begin(self, start: Start) -> trio.Event | None:
        """Subscribe; `start` runs the task. Returns what is set when the task is over, None without one."""
        waiting = [wish for wish in self._wishes if not self._watch_nowait(wish)]
        if not waiting:
            return None
        over = trio.Event()

        async def rest() -> None:
            await self._watch_all(waiting, over)

        start(rest)
        return over

    def _watch_nowait(self, wish: Subscribe) -> bool:
        subscriptions = self._hub.subscriptions
        if wish.project_id == WILDCARD:
            subscriptions.watch_all(self._subscriber, wish, announce=self._announce)
            return True
        try:
            if self._hub.cache.get(wish.project_id) is None:
                return False
            self._before(wish)
            return subscriptions.watch_nowait(self._subscriber, wish)
        except PeerError as error:
            self._fail(error, wish.id)
            return True

    async def _watch_all(self, wishes: list[Subscribe], over: trio.Event) -> None:
        try:
            for wish in wishes:
                await self._watch(wish)
            self._done()
        except Exception as error:
            self._hub.report_fault("subscribe", error)
            self._subscriber.abort()
        finally:
            over.set()

    async def _watch(self, wish: Subscribe) -> None:
        try:
            await self._hub.cache.load(wish.project_id)
            self._before(wish)
            await self._hub.subscriptions.watch(self._subscriber, wish)
        except PeerError as error:
            self._fail(error, wish.id)
