"""Limit what the peer of one connection sends: by the connection's own rate, and by those of its caller."""

from __future__ import annotations

from typing import Final

import trio

from tasktree_rt.core.access import Grants
from tasktree_rt.hub.limits.accounts import Kind
from tasktree_rt.hub.limits.caller import caller_of
from tasktree_rt.hub.limits.rates import RateLimits
from tasktree_rt.hub.limits.token_bucket import TokenBucket
from tasktree_rt.settings import Limits

LOT: Final = 16 * 1024
"""Bytes of messages that are counted together: to count costs as much as to receive some hundred."""


class PeerRates:
    """The rates of one connection's peer, made when it first sends something.

    Attributes:
        caller: whom the rates of address and subject count for.
        paused: whether the hub does not read from the peer, so that its silence means nothing.
    """

    __slots__ = ("_bucket", "_lot", "_rates", "_refused", "_uncounted", "caller", "paused")

    def __init__(self, rates: RateLimits, limits: Limits, grants: Grants, address: str) -> None:
        rate, burst = limits.max_messages_per_second, limits.message_burst
        self._bucket = TokenBucket(rate, burst, burst, trio.current_time())
        self._rates = rates
        self._refused = 0
        self._uncounted = 0
        self._lot = min(LOT, rates.most_at_once(Kind.BYTES) / 100)
        self.caller = caller_of(grants, address)
        self.paused = False

    def count_messages(self, count: int) -> float:
        """Count messages or frames; return 0 if the rates allow them, else the seconds until they do."""
        now = trio.current_time()
        if not self._bucket.take(now, count):
            return self._bucket.wait(now) or 1 / self._bucket.rate
        wait = self._rates.wait(Kind.MESSAGES, self.caller)
        if wait:
            self._refused += count
        else:
            self._refused = 0
            self._rates.charge(Kind.MESSAGES, self.caller, count)
        return wait

    def is_idle(self, now: float) -> bool:
        """Return whether this object is as good as a new one."""
        return not self.refused and self._bucket.is_full(now)

    @property
    def refused(self) -> int:
        """How many messages and frames in a row were too many."""
        return max(self._bucket.refused, self._refused)

    def pace_messages(self) -> float:
        """Count one message of a peer that is never refused; return the seconds for which it has to wait."""
        now = trio.current_time()
        wait = self._bucket.wait(now)
        self._bucket.charge(now, 1)
        return max(wait, self._rates.pace(Kind.MESSAGES, self.caller))

    def pace_bytes(self, message: str | bytes) -> float:
        """Count a message's bytes; return the seconds for which the peer has to wait. Small messages are
        counted together.
        """
        if isinstance(message, str) and not message.isascii():
            message = message.encode()
        self._uncounted += len(message)
        if self._uncounted < self._lot:
            return 0.0
        size, self._uncounted = self._uncounted, 0
        return self._rates.pace(Kind.BYTES, self.caller, size)

    def pace_events(self, project: str, count: int) -> float:
        """Count the events of a publish; return the seconds for which the peer has to wait."""
        return self._rates.pace(Kind.EVENTS, self.caller, count, project=project)
