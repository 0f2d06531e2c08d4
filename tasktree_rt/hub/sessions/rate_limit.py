"""Limit the rate at which a peer sends: a token bucket."""

from __future__ import annotations

from attrs import define


@define
class TokenBucket:
    """A token bucket: `rate` a second, at most `burst` at once. `refused` counts refusals in a row."""

    rate: float
    burst: int
    tokens: float
    at: float
    refused: int = 0

    def take(self, now: float, count: int = 1) -> bool:
        """Take `count` tokens; returns False if there are fewer, and takes those there are."""
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < count:
            allowed = int(self.tokens)
            self.tokens -= allowed
            self.refused += count - allowed
            return False
        self.tokens -= count
        self.refused = 0
        return True
