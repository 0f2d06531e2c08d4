"""AutoGPT's own Redis as one way that its events come into the hub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import trio
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.bridges.intake import Intake
from tasktree_rt.bridges.keeping import Keeping
from tasktree_rt.bridges.meter import Meter
from tasktree_rt.bridges.redis.connection import Patience
from tasktree_rt.bridges.redis.listener import Listener
from tasktree_rt.core.closing import RESTART
from tasktree_rt.core.commands import Failure
from tasktree_rt.dialects.autogpt import NAME
from tasktree_rt.dialects.autogpt.bodies import Execution, read_execution, read_notification, too_large
from tasktree_rt.errors import InvalidInput
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.subscriber import Subscriber

log: Final[BoundLogger] = get_logger("tasktree_rt.autogpt")
SYSTEM: Final = "autogpt_redis"
"""How it is called in metrics and at ``/readyz``."""
EVENTS: Final = "execution_event/"
NOTIFICATIONS: Final = "notification_event/"
MISSED: Final = "Events may have been missed: the event bus was out of reach. Reload, then subscribe again"
RESYNC: Final = "events may have been missed"
UP: Final = "up"


class RedisBridge:
    """Listens to AutoGPT's Redis, as the platform's own WebSocket server does."""

    def __init__(
        self,
        hub: Hub,
        url: str,
        *,
        password: str = "",
        mirror: bool,
        max_event_size: int,
        window: float,
        meter: Meter,
        patience: Patience | None = None,
    ) -> None:
        self._hub = hub
        self._intake = Intake(hub, mirror=mirror)
        self._most = max_event_size
        self._window = window
        self._meter = meter
        self._keeping = Keeping(hub, self._intake, meter, SYSTEM)
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
        self._say("not connected yet")

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """The bridge's tasks; started after the first attempt to connect. Cancelled, it first stores what it
        has read."""
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self.keep)
            await self._listener.run(task_status=task_status)

    async def keep(self) -> None:
        """Store the notifications that were received; cancelled, it first stores what waits."""
        await self._keeping.run()

    # --- messages ---------------------------------------------------------------------------------

    def received(self, channel: bytes, body: bytes) -> None:
        """Show what was published, and have stored what is to be kept. Never raises, whatever it is."""
        name = channel.decode(errors="replace")
        try:
            if name.startswith(NOTIFICATIONS):
                user, payload = read_notification(body, name.removeprefix(NOTIFICATIONS))
                self._meter.message(SYSTEM, "notification")
                self._keeping.take(user, payload, len(body))
            else:
                self._intake.event(self._read_event(name, body))
        except InvalidInput as error:
            self._meter.message(SYSTEM, "malformed")
            log.debug("malformed", channel=name[:200], reason=str(error))
        except Exception as error:
            self._hub.failed("autogpt", error)

    def _read_event(self, name: str, body: bytes) -> Execution:
        user, graph, execution = _named(name)
        if len(body) > self._most:
            self._meter.message(SYSTEM, "too_large")
            return too_large((user, graph, execution), len(body), self._most)
        event = read_execution(body, (user, graph, execution))
        self._meter.message(SYSTEM, "event")
        return event

    # --- up and down ------------------------------------------------------------------------------

    def _up(self) -> None:
        """The subscription stands: whoever was connected before cannot know what there was meanwhile."""
        self._say(UP)
        concerned = [one for one in self._hub.connections.values() if one.dialect.name == NAME]
        if concerned:
            self._nursery.start_soon(self._tell, concerned)

    def _down(self, reason: str) -> None:
        self._say(f"down: {reason}")

    def _say(self, state: str) -> None:
        self._hub.outside[SYSTEM] = state
        self._meter.up(SYSTEM, state == UP)

    async def _tell(self, concerned: Sequence[Subscriber]) -> None:
        """AutoGPT's client reloads what it shows when it connects, and at no other time: let it, one after
        the other."""
        log.info("told of a gap", connections=len(concerned))
        for one in concerned:
            if not one.closing:
                one.reply(Failure("gone", MISSED))
                one.close(RESTART, RESYNC)
            await trio.sleep(self._window / len(concerned))


def _named(channel: str) -> tuple[str, str, str]:
    parts = channel.removeprefix(EVENTS).split("/")
    if len(parts) != 3 or not all(parts):
        raise InvalidInput(f"expected {EVENTS}<user>/<graph>/<execution>", field="channel")
    return parts[0], parts[1], parts[2]
