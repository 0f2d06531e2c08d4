"""State shared by all parts of a hub: settings, clock, metrics, new epochs, and where faults are reported."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.core.events import micros_to_time
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Settings

log: Final[BoundLogger] = get_logger("tasktree_rt.hub")


def system_clock() -> int:
    """Read the system's clock: microseconds since the Unix epoch."""
    return time.time_ns() // 1000


def random_epochs() -> Callable[[], str]:
    """Make a source of epochs, 48 random bits each.

    Every publish carries one, in case it begins a log. To ask the system for each would cost more than the
    rest of accepting a publish, so the system is asked once.
    """
    bits = Random(secrets.randbits(256)).getrandbits  # noqa: S311 - must differ, not be secret
    return lambda: f"{bits(48):012x}"


class HubContext:
    """Hold what every part of a hub needs and none owns.

    Attributes:
        settings: of the hub.
        meter: counts what happens.
        wall: returns the time now, in microseconds since the Unix epoch.
        new_epoch: returns a new epoch.
    """

    __slots__ = ("_on_error", "meter", "new_epoch", "settings", "wall")

    def __init__(
        self,
        settings: Settings,
        meter: Metrics,
        *,
        on_error: Callable[[str, BaseException], None] | None = None,
        wall: Callable[[], int] = system_clock,
        new_epoch: Callable[[], str] | None = None,
    ) -> None:
        self.settings = settings
        self.meter = meter
        self.wall = wall
        self.new_epoch = new_epoch or random_epochs()
        self._on_error = on_error

    def timestamp(self) -> str:
        """Return the time now as events carry it."""
        return micros_to_time(self.wall())

    def report_fault(self, where: str, error: BaseException) -> None:
        """Log and count a fault of the hub's own, and hand it to `on_error`. The hub goes on."""
        log.error("fault", where=where, exc_info=error)
        self.meter.failed(where)
        if self._on_error is not None:
            self._on_error(where, error)

    async def run_vital(self, where: str, task: Callable[[], Awaitable[None]]) -> None:
        """Run the committer or the fan-out. A fault in them ends the hub: their work is half done, and to go
        on would leave watchers with an unnoticed gap. What was acknowledged is in the store: the
        next hub goes on from there.
        """
        try:
            await task()
        except Exception as error:
            self.report_fault(where, error)
            raise
