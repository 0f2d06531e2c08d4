"""Limit a rate: a token bucket."""

from __future__ import annotations

from typing import Final

from attrs import define

_NEARLY: Final = 1 - 1e-6
"""A whole token, but for what a wait computed in floating point may miss."""


@define
class TokenBucket:
    """A token bucket: `rate` a second, at most `burst` at once. `refused` counts refusals in a row.

    `take` never takes more than there is. `wait` and `charge` go together: a caller goes on once there is a
    token, and pays its cost afterwards, into debt if need be; so a cost may be larger than `burst`.
    """

    rate: float
    burst: float
    tokens: float
    at: float
    refused: int = 0

    def take(self, now: float, count: int = 1) -> bool:
        """Take `count` tokens; returns False if there are fewer, and takes those there are."""
        self._refill(now)
        if self.tokens < count:
            allowed = max(0, int(self.tokens))
            self.tokens -= allowed
            self.refused += count - allowed
            return False
        self.tokens -= count
        self.refused = 0
        return True

    def wait(self, now: float) -> float:
        """Return the seconds until there is a token; 0 if there is one."""
        self._refill(now)
        return 0.0 if self.tokens >= _NEARLY else (1 - self.tokens) / self.rate

    def charge(self, now: float, cost: float) -> None:
        """Take `cost` tokens, also those that come later."""
        self._refill(now)
        self.tokens -= cost

    def pay(self, now: float, cost: float) -> float:
        """`wait`, then `charge`."""
        tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at, self.tokens = now, tokens - cost
        return 0.0 if tokens >= _NEARLY else (1 - tokens) / self.rate

    def is_full(self, now: float) -> bool:
        """Return whether the bucket is as good as a new one."""
        return self.tokens + (now - self.at) * self.rate >= self.burst

    def _refill(self, now: float) -> None:
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
