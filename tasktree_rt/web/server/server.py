"""Run the server: listeners, the app's lifespan, connections, supervision, drain.

The server uses Hypercorn's parts instead of its `worker_serve`: the drain comes before Hypercorn's shutdown,
and after a crash of the app the server must not go on answering without doing any work.
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
from tasktree_rt.web.server.hypercorn_config import hypercorn_config
from tasktree_rt.web.server.listeners import Listener, accept_from, open_all
from tasktree_rt.web.server.syscalls import REAL, Syscalls
from tasktree_rt.web.server.tls.certificates import Certificates

if TYPE_CHECKING:
    from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope
    from quart_trio import QuartTrio

log = get_logger(__name__)

_LIFESPAN_SHARE: Final = 0.2
"""The share of `drain.timeout` that is reserved for the end of the app's lifespan."""
_MOST_FILES: Final = 1 << 20


class Drainable(Protocol):
    """The part of the hub that the server uses."""

    async def drain(self) -> None:
        """Finish the publishes in flight, notify every watcher, close every socket with 1012. The server
        cancels it when its time is up.
        """


class LifespanEnded(Exception):
    """The app's task group ended while the server was running, so the app does no work any more."""


async def serve(
    app: QuartTrio,
    hub: Drainable,
    settings: Settings,
    *,
    sockets: Sequence[Listener] | None = None,
    shutdown: Callable[[], Awaitable[object]] = trio.sleep_forever,
    meter: Metrics | None = None,
    syscalls: Syscalls = REAL,
    certificates: Certificates | None = None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `app` until `shutdown` returns, then drain.

    Args:
        sockets: listening sockets (`open_all`), which the server closes at the end. Without them it opens
            the addresses of the settings and of the app's foreign systems.
        shutdown: the server awaits it, e.g. `trio.Event.wait`. When it returns, the drain begins; the drain
            takes at most ``settings.drain.timeout`` seconds, whatever the peers do.
        certificates: of the TLS that the listeners speak. Without it the server reads those of the settings.
        task_status: receives the URLs once the app has started and the server accepts connections.

    Cancelling `serve` ends all connections at once, without a drain.

    Raises:
        SettingsError: the server cannot listen on ``settings.bind``, or cannot use ``settings.tls``.
        LifespanEnded: the app's task group crashed; the cause is chained.
    """
    meter = meter or Metrics()
    if certificates is None and settings.tls.on:
        certificates = Certificates(settings.tls, meter)
    listeners = list(sockets) if sockets is not None else open_all(settings, addresses_in(app))
    server = _Server(app, settings, meter, syscalls, certificates)
    try:
        await server.run(hub, listeners, shutdown, task_status)
    finally:
        for listener in listeners:
            listener.close()


class _Server:
    def __init__(
        self,
        app: QuartTrio,
        settings: Settings,
        meter: Metrics,
        syscalls: Syscalls,
        certificates: Certificates | None,
    ) -> None:
        self._settings = settings
        self._certificates = certificates
        self._config = hypercorn_config(settings)
        self._state: dict[str, Any] = {}
        self._context = WorkerContext(None)
        self._supervised = _Supervised(app)
        self._lifespan = Lifespan(self._supervised, self._config, self._state)
        self._acceptor = Acceptor(
            app,
            ASGIWrapper(app),
            settings,
            self._config,
            self._context,
            self._state,
            meter,
            syscalls,
            certificates,
        )
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
                self._acceptor.open(connections)
                async with trio.open_nursery() as accepting:
                    for listener in listeners:
                        accepting.start_soon(accept_from, listener, self._acceptor.arrived)
                    if self._certificates is not None:
                        accepting.start_soon(self._certificates.watch)
                    task_status.started([listener.url for listener in listeners])
                    await shutdown()
                    accepting.cancel_scope.cancel()
                for listener in listeners:
                    listener.close()
                end = trio.current_time() + self._settings.drain.timeout * (1 - _LIFESPAN_SHARE)
                await self._drain(hub, end)
                # Ends of responses and closing handshakes are still to come.
                last = trio.current_time() + self._settings.delivery.close_timeout
                connections.cancel_scope.deadline = min(end, last)
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
        """Run the app's lifespan. If it ends before the drain, the server ends too."""
        await self._lifespan.handle_lifespan()
        if not self._stopping:
            cause = self._supervised.cause
            raise LifespanEnded("the app's lifespan ended while the server was running") from cause

    async def _end_lifespan(self) -> None:
        self._config.shutdown_timeout = self._settings.drain.timeout * _LIFESPAN_SHARE
        try:
            await self._lifespan.wait_for_shutdown()
        except Exception:
            log.exception("the app's shutdown failed")


class _Supervised(ASGIWrapper):
    """The app as Hypercorn's lifespan calls it. It stores the cause of the end, which Hypercorn only logs."""

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
            self.cause = error
            raise


def tune_gc() -> None:
    """Tune garbage collection after start-up: freeze the existing objects, and make collections of older
    generations rare.

    Collections of the youngest generation stay small and frequent: at 50,000 new objects (e.g. a large state)
    one pauses the hub for 20 ms. Connections leave no reference cycles, so older generations hold little
    garbage.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 100, 100)


def raise_open_files_limit() -> int:
    """Raise the soft limit of open files to the hard limit; return the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            return soft
        return wanted
    return soft
