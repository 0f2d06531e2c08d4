"""Limit repeated log lines: one a minute for each key, with a count of those left out.

Memory and lines are bounded: all keys beyond `REMEMBERED` in one minute share a line.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final

import trio
from attrs import define

EVERY: Final = 60.0
"""Minimum seconds between two lines about the same key."""
REMEMBERED: Final = 256
"""Maximum number of keys that get their own lines."""


@define
class _Repeated:
    logged: float
    times: int = 0
    """Occurrences since the line at `logged`."""


class LineLimit:
    """See the module's docstring. `others` logs the line that all other keys share; it takes the count."""

    def __init__(self, others: Callable[[int], None], clock: Callable[[], float] = trio.current_time) -> None:
        self._log_others = others
        self._clock = clock
        self._known: dict[Hashable, _Repeated] = {}
        self._others: _Repeated | None = None

    def due(self, key: Hashable) -> int:
        """Count one occurrence; return the number since the last line, 0 if no line is due."""
        now = self._clock()
        known = self._known.get(key)
        if known is None:
            if not self._has_room(now):
                self._other(now)
                return 0
            known = self._known[key] = _Repeated(now - EVERY)
        known.times += 1
        times = _counted(known, now)
        if times:
            self._known[key] = self._known.pop(key)  # keeps the order of the last lines
        return times

    def _has_room(self, now: float) -> bool:
        if len(self._known) < REMEMBERED:
            return True
        oldest = next(iter(self._known))
        if now - self._known[oldest].logged < EVERY:
            return False
        del self._known[oldest]
        return True

    def _other(self, now: float) -> None:
        others = self._others = self._others or _Repeated(now - EVERY)
        others.times += 1
        times = _counted(others, now)
        if times:
            self._log_others(times)


def _counted(one: _Repeated, now: float) -> int:
    if now - one.logged < EVERY:
        return 0
    times, one.times, one.logged = one.times, 0, now
    return times
