"""The worker: listeners, lifespan, connections, supervision, drain.

Made of Hypercorn's parts rather than of its `worker_serve`, because a drain comes before Hypercorn's shutdown
and because nothing that crashes may leave a server behind that answers but does no work.
"""

from __future__ import annotations

import gc
import resource
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.worker_context import WorkerContext
from structlog import get_logger

from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Settings
from tasktree_rt.web.server.acceptor import Acceptor
from tasktree_rt.web.server.app_addresses import addresses_in
from tasktree_rt.web.server.http_connection import hypercorn_config
from tasktree_rt.web.server.listeners import Listener, accept_from, open_all
from tasktree_rt.web.server.syscalls import KERNEL, Syscalls

if TYPE_CHECKING:
    from hypercorn.config import Config
    from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope
    from quart_trio import QuartTrio

log = get_logger(__name__)

_LAST_WORDS: Final = 0.2
"""The share of `drain.timeout` kept for the end of the app's lifespan."""
_MOST_FILES: Final = 1 << 20


class Drainable(Protocol):
    """What the server knows of the hub."""

    async def drain(self) -> None:
        """Finish publishes in flight, tell every watcher, close every socket with 1012. It may take as long
        as it likes: the server cancels it in time."""


class LifespanEnded(Exception):
    """The app's own task group ended while the server was running: the app does no work any more."""


async def serve(
    app: QuartTrio,
    hub: Drainable,
    settings: Settings,
    *,
    sockets: Sequence[Listener] | None = None,
    shutdown: Callable[[], Awaitable[object]] = trio.sleep_forever,
    meter: Metrics | None = None,
    io: Syscalls = KERNEL,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `app` until `shutdown` returns, then drain.

    Args:
        sockets: listening sockets (`open_all`), closed at the end; without them the server opens those of
            the settings and of the app's foreign systems.
        shutdown: awaited; when it returns the drain begins, which is over within
            ``settings.drain.timeout`` whatever any peer does. `trio.Event.wait` does.
        task_status: told the URLs served, once connections are accepted and the app has started.

    Cancelling it ends everything at once, without a drain.

    Raises:
        SettingsError: ``settings.bind`` cannot be had.
        LifespanEnded: the app's task group crashed; the cause is chained.
    """
    listeners = list(sockets) if sockets is not None else open_all(settings, addresses_in(app))
    server = _Server(app, settings, meter or Metrics(), io)
    try:
        await server.run(hub, listeners, shutdown, task_status)
    finally:
        for listener in listeners:
            listener.close()


class _Server:
    def __init__(self, app: QuartTrio, settings: Settings, meter: Metrics, io: Syscalls) -> None:
        self._settings = settings
        self._config: Config = hypercorn_config(settings)
        self._state: dict[str, Any] = {}
        self._context = WorkerContext(None)
        self._app = _Watched(app)
        self._lifespan = Lifespan(self._app, self._config, self._state)
        self._door = Acceptor(app, self._app, settings, self._config, self._context, self._state, meter, io)
        self._stopping = False

    async def run(
        self,
        hub: Drainable,
        listeners: list[Listener],
        shutdown: Callable[[], Awaitable[object]],
        task_status: trio.TaskStatus[list[str]],
    ) -> None:
        async with trio.open_nursery() as life:
            life.start_soon(self._live)
            await self._lifespan.wait_for_startup()
            async with trio.open_nursery() as connections:
                self._door.open(connections)
                async with trio.open_nursery() as accepting:
                    for listener in listeners:
                        accepting.start_soon(accept_from, listener, self._door.arrived)
                    task_status.started([listener.url for listener in listeners])
                    await shutdown()
                    accepting.cancel_scope.cancel()
                for listener in listeners:
                    listener.close()
                end = trio.current_time() + self._settings.drain.timeout * (1 - _LAST_WORDS)
                await self._drain(hub, end)
                # What is left is the last words of responses and closing handshakes.
                patience = trio.current_time() + self._settings.delivery.close_timeout
                connections.cancel_scope.deadline = min(end, patience)
            await self._end_lifespan()
            life.cancel_scope.cancel()

    async def _drain(self, hub: Drainable, end: float) -> None:
        self._stopping = True
        await self._context.terminated.set()
        try:
            with trio.CancelScope(deadline=end) as bound:
                await hub.drain()
            if bound.cancelled_caught:
                log.warning("drain cut short", after=self._settings.drain.timeout)
        except Exception:
            log.exception("drain failed")

    async def _live(self) -> None:
        """The app's lifespan. When it ends before its time, so does the server."""
        await self._lifespan.handle_lifespan()
        if not self._stopping:
            raise LifespanEnded("the app's lifespan ended while it was being served") from self._app.cause

    async def _end_lifespan(self) -> None:
        self._config.shutdown_timeout = self._settings.drain.timeout * _LAST_WORDS
        try:
            await self._lifespan.wait_for_shutdown()
        except Exception:
            log.exception("the app did not end in order")


class _Watched(ASGIWrapper):
    """The app as Hypercorn calls it; remembers why its lifespan ended, which Hypercorn only logs."""

    cause: BaseException | None = None

    async def __call__(
        self,
        scope: Scope,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        sync_spawn: Callable[..., Any],
        call_soon: Callable[..., Any],
    ) -> None:
        try:
            await super().__call__(scope, receive, send, sync_spawn, call_soon)
        except BaseException as error:
            if scope["type"] == "lifespan":
                self.cause = error
            raise


def tune_gc() -> None:
    """After start-up: what exists stays, and collections of all but the youngest objects become rare.

    Those of the youngest are many and small: each looks at what was made since the last one, which for 50,000
    objects is a pause of 20 ms, while a large state is read say. A connection leaves no reference cycles, so
    that the others have little to find.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 100, 100)


def raise_open_files_limit() -> int:
    """Raise the soft limit of open files as far as the hard one; returns what is in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            return soft
        return wanted
    return soft
