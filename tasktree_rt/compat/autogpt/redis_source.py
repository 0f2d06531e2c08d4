"""Reads AutoGPT's events from the platform's own Redis.

Older releases publish each event once on one server, and the hub subscribes to patterns. Newer releases use
sharded pub/sub on a Redis Cluster, and the hub subscribes to the watched channels (`cluster_views`). The
server reports its kind each time that the hub connects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import trio
from attrs import define
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.brokers.redis.connection import Patience
from tasktree_rt.brokers.redis.pubsub import Listener, Unfit
from tasktree_rt.brokers.redis.sharded_pubsub import ShardCallbacks, Shards
from tasktree_rt.compat.autogpt.channels import EVENTS, NOTIFICATIONS, Place, Through, read_place
from tasktree_rt.compat.autogpt.cluster_views import ClusterViews
from tasktree_rt.compat.autogpt.dialect import NAME
from tasktree_rt.compat.autogpt.graph_owners import Graphs
from tasktree_rt.compat.autogpt.intake import Intake
from tasktree_rt.compat.autogpt.notification_intake import NotificationIntake
from tasktree_rt.compat.autogpt.payloads import read_execution, read_notification, too_large
from tasktree_rt.core.close_codes import RESTART
from tasktree_rt.core.protocol import Failure
from tasktree_rt.errors import InvalidInput
from tasktree_rt.hub.delivery.ephemeral_sources import EverySource
from tasktree_rt.hub.delivery.subscriber import Subscriber
from tasktree_rt.hub.hub import Hub
from tasktree_rt.metrics import Metrics

log: Final[BoundLogger] = get_logger("tasktree_rt.autogpt")
SYSTEM: Final = "autogpt_redis"
"""The name in metrics and at ``/readyz``."""
MISSED: Final = "Events may have been missed: the event bus was out of reach. Reload, then subscribe again"
RESYNC: Final = "events may have been missed"
UP: Final = "up"


@define
class Once:
    """A task status that accepts `started` more than once."""

    status: trio.TaskStatus[None]
    told: bool = False

    def started(self, value: None = None) -> None:
        """Report the start, on the first call only."""
        if not self.told:
            self.told = True
            self.status.started()


class RedisSource:
    """Listens to AutoGPT's Redis, as the platform's own WebSocket server does."""

    def __init__(
        self,
        hub: Hub,
        url: str,
        *,
        password: str = "",
        api_url: str = "",
        mirror: bool,
        max_event_size: int,
        window: float,
        meter: Metrics,
        patience: Patience | None = None,
    ) -> None:
        self._hub = hub
        self._intake = Intake(hub, mirror=mirror)
        self._most = max_event_size
        self._window = window
        self._meter = meter
        self._keeping = NotificationIntake(hub, self._intake, meter, SYSTEM)
        self._nursery: trio.Nursery
        self._listener = Listener(
            url,
            (f"{EVENTS}*", f"{NOTIFICATIONS}*"),
            self.received,
            on_up=self._up,
            on_down=self._down,
            password=password,
            patience=patience,
        )
        callbacks = ShardCallbacks(
            message=self.carried, gap=self._gap, up=lambda: self._say(UP), down=self._down
        )
        self._shards = Shards(url, callbacks, password=password, patience=patience)
        self._views = ClusterViews(hub, self._shards, Graphs(api_url, meter))
        self._say("not connected yet")

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the bridge's tasks; started after the first attempt to connect. When cancelled, it first stores
        the notifications read so far."""
        once = Once(task_status)
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self.keep)
            while True:
                try:
                    await self._listener.run(task_status=once)
                except Unfit:
                    await self._run_cluster(once)

    async def _run_cluster(self, once: Once) -> None:
        self._views.begin()
        try:
            await self._shards.run(task_status=once)
        finally:
            self._views.end()
            self._hub.view_source = EverySource()

    async def keep(self) -> None:
        """Store received notifications; when cancelled, first store those that wait."""
        await self._keeping.run()

    # --- messages ---------------------------------------------------------------------------------

    def received(self, channel: bytes, body: bytes) -> None:
        """Send a published event to its watchers, or queue a notification to be stored. Never raises."""
        name = channel.decode(errors="replace")
        if name.startswith(NOTIFICATIONS):
            self._take(name, lambda: self._notification(name.removeprefix(NOTIFICATIONS), body))
        else:
            self._take(name, lambda: self._event(read_place(name), body))

    def carried(self, channel: bytes, body: bytes) -> None:
        """As `received`, for a channel subscribed to by its name."""
        carried = self._views.carried(channel)
        name = channel.decode(errors="replace")
        if isinstance(carried, Place):
            self._take(name, lambda: self._event(carried, body))
        elif carried is not None:
            self._take(name, lambda: self._notification(carried, body))

    def _take(self, name: str, take: Callable[[], None]) -> None:
        try:
            take()
        except InvalidInput as error:
            self._meter.bridge_message(SYSTEM, "malformed")
            log.debug("malformed", channel=name[:200], reason=str(error))
        except Exception as error:
            self._hub.report_fault("autogpt", error)

    def _notification(self, named: str, body: bytes) -> None:
        user, payload = read_notification(body, named)
        self._meter.bridge_message(SYSTEM, "notification")
        self._keeping.take(user, payload, len(body))

    def _event(self, place: Place, body: bytes) -> None:
        if len(body) > self._most:
            self._meter.bridge_message(SYSTEM, "too_large")
            self._intake.event(too_large(place, len(body), self._most))
            return
        event = read_execution(body, place)
        self._meter.bridge_message(SYSTEM, "event")
        self._views.learn(event.user, event.execution, event.graph)
        twice = place.through is Through.GRAPH and self._views.hears_execution(
            event.user, event.graph, event.execution
        )
        self._intake.event(event, mirror=not twice)

    # --- up and down ------------------------------------------------------------------------------

    def _up(self) -> None:
        """Note the confirmed subscription; clients connected before may have missed events."""
        self._say(UP)
        self._tell_soon([one for one in self._hub.connections.values() if one.dialect.name == NAME])

    def _gap(self, channels: Sequence[bytes]) -> None:
        """Note channels subscribed to again; clients that watch them may have missed events."""
        topics, live = self._views.topics(channels), self._hub.ephemeral_topics
        everyone = [one for one in self._hub.connections.values() if one.dialect.name == NAME]
        self._tell_soon([one for one in everyone if not topics.isdisjoint(live.topics(one))])

    def _tell_soon(self, concerned: Sequence[Subscriber]) -> None:
        if concerned:
            self._nursery.start_soon(self._tell, concerned)

    def _down(self, reason: str) -> None:
        self._say(f"down: {reason}")

    def _say(self, state: str) -> None:
        self._hub.health.outside[SYSTEM] = state
        self._meter.bridge_up(SYSTEM, state == UP)

    async def _tell(self, concerned: Sequence[Subscriber]) -> None:
        """Close these connections, one after the other: AutoGPT's client reloads its data only when it
        connects."""
        log.info("told of a gap", connections=len(concerned))
        for one in concerned:
            if not one.closing:
                one.reply(Failure("gone", MISSED))
                one.close(RESTART, RESYNC)
            await trio.sleep(self._window / len(concerned))
