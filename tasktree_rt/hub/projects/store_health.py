"""Know whether the store works: one log line when it begins to fail, and one when it works again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.errors import StoreUnavailable, Unavailable

log: Final[BoundLogger] = get_logger("tasktree_rt.store")
RETRY_AFTER: Final = 1.0
"""Seconds until a peer may try again, and between two checks of the hub."""
CALM: Final = 10.0
"""Seconds without a refusal after which the hub logs that the store works again."""


def unavailable(error: StoreUnavailable, what: str = "the store cannot take it") -> Unavailable:
    """Return the error for a peer; it has no `retry_after` if the fault is lasting."""
    if error.lasting:
        return Unavailable(f"{what}: {error}")
    return Unavailable(f"{what} now: {error}", retry_after=RETRY_AFTER)


class StoreHealth:
    """The state of the hub's store.

    A full disk may take a small publish and refuse a large one: that the store works again is logged once it
    has refused nothing for `CALM` seconds, and until then another refusal is no new line.

    Attributes:
        fault: why it fails now; None while it works.
    """

    def __init__(self, name: str, now: Callable[[], float] = trio.current_time) -> None:
        self._name = name
        self._now = now
        self._since = 0.0
        self._until = 0.0
        self._told: StoreUnavailable | None = None
        self.fault: StoreUnavailable | None = None

    def failed(self, fault: StoreUnavailable) -> None:
        """Note that the store refused; log the first refusal of a row, and the first lasting one."""
        self.fault = fault
        if self._told is None:
            self._since = self._now()
        if self._told is None or (fault.lasting and not self._told.lasting):
            self._told = fault
            say = log.error if fault.lasting else log.warning
            say("store fails", store=self._name, reason=str(fault), lasting=fault.lasting)

    def works(self) -> None:
        """Note that the store works."""
        if self.fault is not None:
            self.fault, self._until = None, self._now()
        elif self._told is not None and self._now() - self._until >= CALM:
            self._told = None
            log.warning("store works again", store=self._name, seconds=round(self._until - self._since, 3))
