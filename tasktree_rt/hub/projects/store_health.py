"""Whether the store takes what it is given: one log line when it begins to fail, and one when that ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.errors import StoreUnavailable, Unavailable

log: Final[BoundLogger] = get_logger("tasktree_rt.store")
RETRY_AFTER: Final = 1.0
"""Seconds until a peer may try again, and between two looks of the hub's own."""
CALM: Final = 10.0
"""Seconds without a refusal after which the store is said to work again."""


def unavailable(error: StoreUnavailable, what: str = "the store cannot take it") -> Unavailable:
    """What a peer is told; a fault that does not pass comes without a time to try again."""
    if error.lasting:
        return Unavailable(f"{what}: {error}")
    return Unavailable(f"{what} now: {error}", retry_after=RETRY_AFTER)


class StoreHealth:
    """How the store of the hub does.

    A full disk may take a small publish and refuse a large one: that the store works again is logged once it
    has refused nothing for `CALM` seconds, and until then another refusal is no new line.

    Attributes:
        fault: why it takes nothing now; None while it works.
    """

    def __init__(self, name: str, now: Callable[[], float] = trio.current_time) -> None:
        self._name = name
        self._now = now
        self._since = 0.0
        self._until = 0.0
        self._told: StoreUnavailable | None = None
        self.fault: StoreUnavailable | None = None

    def failed(self, fault: StoreUnavailable) -> None:
        """The store refused. Only the first of a row of refusals is logged, and the first that lasts."""
        self.fault = fault
        if self._told is None:
            self._since = self._now()
        if self._told is None or (fault.lasting and not self._told.lasting):
            self._told = fault
            say = log.error if fault.lasting else log.warning
            say("store fails", store=self._name, reason=str(fault), lasting=fault.lasting)

    def works(self) -> None:
        """The store took something, or is where it was."""
        if self.fault is not None:
            self.fault, self._until = None, self._now()
        elif self._told is not None and self._now() - self._until >= CALM:
            self._told = None
            log.warning("store works again", store=self._name, seconds=round(self._until - self._since, 3))
