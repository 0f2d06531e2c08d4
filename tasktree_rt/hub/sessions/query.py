"""Make the subscriptions of a connection's query string."""

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


def _anything(request: Subscribe) -> None:
    del request


class Query:
    """Subscribe `subscriber` to `requests`: at once to projects in memory, to the others in a task.

    `fail` takes the error of a refused subscription. `announce`: a `Subscribed` announces every project of
    ``*``. `before` is called before each subscription, when its project is in memory; `done` is called when
    all are made or refused.
    """

    def __init__(
        self,
        hub: Hub,
        subscriber: SocketSubscriber,
        requests: tuple[Subscribe, ...],
        fail: Callable[[PeerError, RequestId], None],
        *,
        announce: bool = True,
        before: Callable[[Subscribe], None] = _anything,
        done: Callable[[], None] = _nothing,
    ) -> None:
        self._hub = hub
        self._subscriber = subscriber
        self._requests = requests
        self._fail = fail
        self._announce = announce
        self._before = before
        self._done = done

    def begin(self, start: Start) -> trio.Event | None:
        """Subscribe; `start` runs the task. Returns the event that its end sets; None without a task."""
        waiting = [request for request in self._requests if not self._watch_nowait(request)]
        if not waiting:
            return None
        over = trio.Event()

        async def rest() -> None:
            await self._watch_all(waiting, over)

        start(rest)
        return over

    def _watch_nowait(self, request: Subscribe) -> bool:
        subscriptions = self._hub.subscriptions
        if request.project_id == WILDCARD:
            subscriptions.watch_all(self._subscriber, request, announce=self._announce)
            return True
        try:
            if not subscriptions.asks:
                subscriptions.check(self._subscriber, request.project_id)
            if subscriptions.asks or subscriptions.found(self._subscriber, request.project_id) is None:
                return False
            self._before(request)
            return subscriptions.watch_nowait(self._subscriber, request)
        except PeerError as error:
            self._fail(error, request.id)
            return True

    async def _watch_all(self, requests: list[Subscribe], over: trio.Event) -> None:
        try:
            for request in requests:
                await self._watch(request)
            self._done()
        except Exception as error:
            self._hub.report_fault("subscribe", error)
            self._subscriber.abort("fault")
        finally:
            over.set()

    async def _watch(self, request: Subscribe) -> None:
        try:
            subscriptions = self._hub.subscriptions
            await subscriptions.admit(self._subscriber, request.project_id)
            await subscriptions.load(self._subscriber, request.project_id)
            self._before(request)
            await subscriptions.watch(self._subscriber, request)
        except PeerError as error:
            self._fail(error, request.id)
