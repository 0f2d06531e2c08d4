"""The composition root: settings in, a running hub out. For ``serve``, ``demo``, tests and embedders.

::

    async with trio.open_nursery() as nursery:
        running = await nursery.start(start_hub, settings, shutdown)
        ...
        shutdown.set()
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import trio
from attrs import frozen

from tasktree_rt.compat.aiecs.routes import AiecsSystem
from tasktree_rt.compat.autogpt.routes import AutoGptSystem
from tasktree_rt.composition.reloading import Reloads
from tasktree_rt.composition.stores import make_broker
from tasktree_rt.hub.hub import Hub, open_hub
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Settings
from tasktree_rt.web.app import create_app
from tasktree_rt.web.auth.hooks import open_hooks
from tasktree_rt.web.auth.key_ring import rings_of
from tasktree_rt.web.foreign_routes import ForeignSystem, addresses_of
from tasktree_rt.web.server.listeners import open_all
from tasktree_rt.web.server.server import raise_open_files_limit, serve, tune_gc
from tasktree_rt.web.server.tls.certificates import Certificates


@frozen
class Running:
    """A hub that accepts connections.

    Attributes:
        addresses: its URLs.
        store: the store's name, for people.
    """

    hub: Hub
    addresses: tuple[str, ...]
    store: str

    @property
    def address(self) -> str:
        """Return the first of `addresses`."""
        return self.addresses[0]


async def run_hub(
    settings: Settings,
    *,
    shutdown: trio.Event,
    started: Callable[[Running], object] = lambda running: None,
    reloads: Reloads | None = None,
) -> None:
    """Run a hub until `shutdown` is set and it has drained; `started` is called once it accepts connections.

    `reloads` gets the parts that can read their files again while the hub runs.

    Cancelling ends it without a drain; acknowledged events are on disk all the same.

    Raises:
        SettingsError: the hub cannot listen on the address, or cannot make the store's folder.
        StoreUnusable: the store cannot be opened.
    """
    # The sockets first: a port in use is an error before the hub makes or recovers a database.
    systems = foreign_systems()
    metrics = Metrics()
    certificates = _certificates(settings, metrics, reloads)
    listeners = open_all(settings, addresses_of(systems, settings))
    try:
        broker = make_broker(settings)
        raise_open_files_limit()
        async with (
            open_hooks(settings.auth) as hooks,
            open_hub(broker, settings, meter=metrics, access=hooks) as hub,
            _bridges(hub, settings, metrics),
            trio.open_nursery() as nursery,
        ):
            app = create_app(settings, hub, metrics, compat=systems)
            if reloads is not None:
                reloads.add("keys of tokens", rings_of(app).reload)
            tune_gc()
            server = partial(
                serve,
                app,
                hub,
                settings,
                sockets=listeners,
                shutdown=shutdown.wait,
                meter=metrics,
                certificates=certificates,
            )
            addresses = await nursery.start(server)
            started(Running(hub, tuple(addresses), broker.name))
    finally:
        for listener in listeners:
            listener.close()


def _certificates(settings: Settings, metrics: Metrics, reloads: Reloads | None) -> Certificates | None:
    if not settings.tls.on:
        return None
    found = Certificates(settings.tls, metrics)
    if reloads is not None:
        reloads.add("certificate", found.reload)
    return found


def foreign_systems() -> tuple[ForeignSystem, ...]:
    """Return all foreign systems that a hub can serve: AIECS and AutoGPT. For `web.app.create_app`
    (``compat``)."""
    return (AiecsSystem(), AutoGptSystem())


async def start_hub(
    settings: Settings,
    shutdown: trio.Event,
    *,
    task_status: trio.TaskStatus[Running] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a hub as `run_hub` does, for ``nursery.start``: return once the hub accepts connections."""
    await run_hub(settings, shutdown=shutdown, started=task_status.started)


@asynccontextmanager
async def _bridges(hub: Hub, settings: Settings, metrics: Metrics) -> AsyncIterator[None]:
    """Read the events of other systems for as long as the block lasts.

    The hub subscribes there before it accepts connections here, so no client misses earlier events.
    """
    async with trio.open_nursery() as nursery:
        if settings.autogpt.redis_url:
            # Imported late: the Redis client takes a quarter of a hub's start time.
            from tasktree_rt.compat.autogpt.redis_source import RedisSource

            bridge = RedisSource(
                hub,
                settings.autogpt.redis_url,
                password=settings.autogpt.redis_password,
                api_url=settings.autogpt.api_url,
                mirror=settings.mirrors_autogpt,
                max_event_size=settings.autogpt.max_event_size,
                window=settings.drain.window,
                meter=metrics,
            )
            await nursery.start(bridge.run)
        yield
        nursery.cancel_scope.cancel()
