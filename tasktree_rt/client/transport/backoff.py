"""How long to wait before the next try: exponential, with full jitter.

Full jitter means a delay drawn evenly from nothing to the bound, so that a thousand clients that lost
one hub at the same instant do not come back at the same instant. The bound doubles with every failure
in a row up to a cap; what the hub itself advised is waited for first.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from attrs import define, field, frozen, validators

LONGEST: Final = 300.0
"""Seconds that a hub can advise at most: a client comes back by then, whatever it was told."""


@frozen
class Backoff:
    """Bounds of the delay between tries, in seconds: `base`, 2 `base`, 4 `base` … up to `cap`."""

    base: float = field(default=0.25, validator=validators.ge(0))
    cap: float = field(default=30.0, validator=validators.ge(0))


@define
class Retry:
    """Counts failures in a row. `draw` gives numbers from 0 to 1."""

    backoff: Backoff
    draw: Callable[[], float] = random.random
    failures: int = 0

    def reset(self) -> None:
        """Begin with the shortest delay again: a try succeeded."""
        self.failures = 0

    def delay(self, advised: float | None = None) -> float:
        """Seconds to wait after one more failure; `advised` is what the hub asked for, up to `LONGEST`."""
        bound = min(self.backoff.cap, self.backoff.base * 2.0 ** min(self.failures, 60))
        self.failures += 1
        return min(max(advised or 0.0, 0.0), LONGEST) + bound * self.draw()
