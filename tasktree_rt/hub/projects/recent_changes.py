"""Remember which projects changed last, so that heartbeats can name them to watchers of ``*`` in turn."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Final

from attrs import define, field

MOVED: Final = 16_384
"""Projects that are remembered, the last that changed."""
WALK: Final = 2_048
"""So many names a heartbeat looks at, whether its watcher wants them or not."""


class RecentChanges:
    """The time of the last change of the projects that changed last."""

    def __init__(self) -> None:
        self._times: dict[str, float] = {}
        self._order: list[str] = []
        self._complete = True

    def note(self, name: str, now: float) -> None:
        """Note that a project changed."""
        if self._times.pop(name, None) is None:
            self._complete = False
        self._times[name] = now
        if len(self._times) > MOVED:
            del self._times[next(iter(self._times))]

    def newest(self, then: float, wanted: Callable[[str], bool], most: int) -> list[str] | None:
        """The `wanted` projects that moved since `then`; None if there are more than `most` or `WALK`."""
        found: list[str] = []
        for looked, name in enumerate(reversed(self._times)):
            if self._times[name] < then:
                break
            if looked == WALK or len(found) > most:
                return None
            if wanted(name):
                found.append(name)
        return found if len(found) <= most else None

    def following(
        self, cursor: str, then: float, wanted: Callable[[str], bool], most: int
    ) -> tuple[list[str], str]:
        """At most `most` of the same, by name after `cursor`, and the cursor to go on from; "" at the end."""
        names = self._names()
        start = bisect_right(names, cursor)
        found: list[str] = []
        for name in names[start : start + WALK]:
            cursor = name
            if self._times.get(name, -1.0) >= then and wanted(name):
                found.append(name)
                if len(found) == most:
                    break
        return found, "" if not names or cursor >= names[-1] else cursor

    def _names(self) -> list[str]:
        """All names in order. Most were in order before: sorting them again costs little."""
        if not self._complete:
            known = [name for name in self._order if name in self._times]
            self._order = sorted([*known, *(self._times.keys() - set(known))])
            self._complete = True
        return self._order


@define
class Turns:
    """How far heartbeats have named changed projects to a watcher of ``*``.

    Where more moved than one heartbeat names, they are named in the order of their names, in rounds: what
    moves again behind the cursor is named in the next round, so that each comes to its turn.

    Attributes:
        since: what moved before this time was told of.
        owed: named in vain: they were on their way at that moment.
    """

    since: float = 0.0
    owed: list[str] = field(factory=list)
    _cursor: str = ""
    _round: float = 0.0

    def next(self, moves: RecentChanges, wanted: Callable[[str], bool], now: float, most: int) -> list[str]:
        """The projects whose turn it is."""
        owed, self.owed = [name for name in self.owed if wanted(name)], []
        few = None if self._cursor else moves.newest(self.since, wanted, most - len(owed))
        if few is not None:
            self.since = now
            return [*owed, *(name for name in few if name not in owed)]
        if not self._cursor:
            self._round = now
        found, self._cursor = moves.following(self._cursor, self.since, wanted, max(1, most - len(owed)))
        if not self._cursor:
            self.since = self._round
        return [*owed, *(name for name in found if name not in owed)]
