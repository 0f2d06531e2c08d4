"""One life of the hub's process: the real hub on the real broker, until its drain or its death."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import trio

from tasktree_rt.brokers.sqlite import SqliteBroker
from tasktree_rt.compat.aiecs.direct_messages import DirectMessages
from tasktree_rt.errors import StoreUnavailable
from tasktree_rt.hub.hub import Hub, open_hub
from tests.hub.world import relay_of

if TYPE_CHECKING:
    from tests.simulation.world import World


class Process:
    """See the module's docstring.

    Attributes:
        running: the hub, from its opening to its end.
        relay: AIECS' messages and heartbeats of that hub.
        accepts: whether new connections are taken.
        dead: it was killed; whatever its tasks still do on their way out, nobody sees it.
        over: nothing is left of it.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.running: Hub | None = None
        self.relay: DirectMessages
        self.accepts = False
        self.dead = False
        self.over = trio.Event()
        self.draining = False
        self._stop = trio.Event()
        self._scope = trio.CancelScope()
        self._connections: trio.Nursery | None = None

    async def run(self) -> None:
        """From the opening of the store to the end of the last task."""
        try:
            with self._scope:
                await self._live()
        except* StoreUnavailable as group:
            self._world.note(f"not opened, {len(group.exceptions)}")
        finally:
            self.accepts = False
            self._connections = self.running = None
            self.over.set()

    async def _live(self) -> None:
        world = self._world
        broker = SqliteBroker(world.disk.path, run=world.disk.run, connect=world.disk.connect)
        async with open_hub(broker, world.settings, on_error=self._fault) as hub:
            self.running, self.relay = hub, relay_of(hub)
            world.disk.begin_audit()
            async with trio.open_nursery() as self._connections:
                self._connections.start_soon(self.relay.run)
                self.accepts = True
                await self._stop.wait()
                await self._drain(hub)
            if not self.dead:
                world.disk.end_audit()

    async def _drain(self, hub: Hub) -> None:
        """As `web.server` does it."""
        settings = self._world.settings
        assert self._connections is not None
        self.accepts = False
        end = trio.current_time() + settings.drain.timeout * 0.8
        with trio.CancelScope(deadline=end):
            await hub.drain()
        patience = trio.current_time() + settings.delivery.close_timeout
        self._connections.cancel_scope.deadline = min(end, patience)

    def _fault(self, where: str, error: BaseException) -> None:
        if not self.dead:
            self._world.fault(f"{where}: {error!r}")

    def start(self, task: Callable[[], Awaitable[Any]]) -> None:
        """Run a connection."""
        assert self._connections is not None
        self._connections.start_soon(task)

    @property
    def hub(self) -> Hub:
        """The hub, for those it accepts."""
        assert self.running is not None
        return self.running

    def stop(self) -> None:
        """Drain, and end in order."""
        self.draining = True
        self.accepts = False
        self._stop.set()

    def kill(self) -> None:
        """End at once: not a byte leaves it any more, neither to a socket nor to the disk."""
        if not self.dead and not self.over.is_set():
            self.dead = True
            self.accepts = False
            self._world.note("killed")
            self._world.disk.kill()
            self._world.network.cut_all()
            self._scope.cancel()
