"""Stores notifications that came from Redis.

Reading from Redis never waits for the store, so that executions' events go on. A notification waits here,
within bounds. If there is no room, or the store refuses it, the hub sends it without storing it and counts it
as ``not_kept``; the log shows when that begins, and the number at the end.
"""

from __future__ import annotations

from typing import Final

import trio
from attrs import define, field, frozen
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.compat.autogpt.intake import Intake
from tasktree_rt.compat.autogpt.notifications import from_autogpt
from tasktree_rt.core.access import OPEN
from tasktree_rt.core.events import Json
from tasktree_rt.core.protocol import Ephemeral
from tasktree_rt.core.topics import user_topic
from tasktree_rt.errors import PeerError
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.interactions.notifications import NOTIFICATION
from tasktree_rt.metrics import Metrics

log: Final[BoundLogger] = get_logger("tasktree_rt.autogpt")
LANES: Final = 16
"""Tasks that store. All notifications of a user go through the same task, which keeps their order."""
LANE_COUNT: Final = 1_000
LANE_BYTES: Final = 4_194_304
"""Bounds of a lane: notifications, and their bytes. A single notification may be larger."""
LAST_WAIT: Final = 2.0
"""Seconds that the store has for waiting notifications when the hub stops."""
NO_ROOM: Final = "too many wait for the store"
STOPPED: Final = "the hub stopped"


@frozen
class Waiting:
    """A notification to store, and its size in bytes."""

    user: str
    payload: Json
    size: int


@define(eq=False)
class Lane:
    """The queue of one task."""

    send: trio.MemorySendChannel[Waiting]
    receive: trio.MemoryReceiveChannel[Waiting]
    held: int = 0
    """Bytes waiting and being stored."""


@define
class Spell:
    """A time in which the hub stores no notifications."""

    count: int = 0
    since: float = field(factory=trio.current_time)


class NotificationIntake:
    """Stores notifications in the background, those of a user in order, from bounded queues."""

    def __init__(self, hub: Hub, intake: Intake, meter: Metrics, system: str) -> None:
        self._hub = hub
        self._intake = intake
        self._meter = meter
        self._system = system
        self._lanes = [Lane(*trio.open_memory_channel[Waiting](LANE_COUNT)) for _ in range(LANES)]
        self._scope = trio.CancelScope(shield=True)
        self._spell: Spell | None = None

    def take(self, user: str, payload: Json, size: int) -> None:
        """Queue a notification to be stored and sent; without room only send it. Never blocks."""
        lane = self._lanes[hash(user) % LANES]
        if lane.held and lane.held + size > LANE_BYTES:
            self._show_only(user, payload, NO_ROOM)
            return
        try:
            lane.send.send_nowait(Waiting(user, payload, size))
        except trio.WouldBlock:
            self._show_only(user, payload, NO_ROOM)
        except trio.ClosedResourceError:
            self._show_only(user, payload, STOPPED)
        else:
            lane.held += size

    async def run(self) -> None:
        """Store queued notifications until cancelled; then take no new ones, and store or drop the rest."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._store)
            try:
                await trio.sleep_forever()
            finally:
                self._scope.deadline = trio.current_time() + LAST_WAIT
                for lane in self._lanes:
                    lane.send.close()

    async def _store(self) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery:
                for lane in self._lanes:
                    nursery.start_soon(self._keep, lane)
        if left := sum(self._leave(lane) for lane in self._lanes):
            log.warning("notifications not kept", count=left, reason=STOPPED)

    async def _keep(self, lane: Lane) -> None:
        """Store the notifications of some users, in order."""
        async for one in lane.receive:
            stored = False
            try:
                await self._intake.notify(one.user, one.payload, grants=OPEN)
                stored = True
            except PeerError as error:
                self._show_only(one.user, one.payload, str(error))
            except Exception as error:
                self._hub.report_fault("autogpt", error)
                self._show_only(one.user, one.payload, "a fault of the hub's")
            lane.held -= one.size
            if stored and not any(each.held for each in self._lanes):
                self._kept()

    # --- not kept ---------------------------------------------------------------------------------

    def _show_only(self, user: str, payload: Json, reason: str) -> None:
        self._meter.bridge_message(self._system, "not_kept")
        if self._spell is None:
            self._spell = Spell()
            log.warning("notifications are shown, but not kept", reason=reason)
        self._spell.count += 1
        whole = from_autogpt(payload)
        self._hub.ephemeral_topics.publish(
            Ephemeral(user_topic(user), NOTIFICATION, whole, f"lost:{id(payload)}")
        )

    def _kept(self) -> None:
        """Log how many notifications were not kept, now that the store works again."""
        if self._spell is not None:
            spell, self._spell = self._spell, None
            lasted = round(trio.current_time() - spell.since, 3)
            log.warning("notifications are kept again", not_kept=spell.count, seconds=lasted)

    def _leave(self, lane: Lane) -> int:
        """Count the notifications left unstored at the end; return their number."""
        left = 0
        while lane.held:
            try:
                lane.held -= lane.receive.receive_nowait().size
            except (trio.EndOfChannel, trio.ClosedResourceError):
                lane.held = 0  # the notification being stored
            left += 1
            self._meter.bridge_message(self._system, "not_kept")
        return left
