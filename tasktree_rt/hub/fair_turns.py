"""Turns by cost: between producers and between projects, before the commit and before reading.

What waits belongs to one or several flows: its producer's and those of its projects. Within a flow the order
stays as it came; between flows the one goes first that will have had least (fair queueing by the end, on a
clock that shows the start of the newest one taken). So a producer at full speed waits behind its own
publishes, and a quiet one behind none of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable
from heapq import heapify, heappop, heappush
from typing import Final, Generic, TypeVar

import trio

T = TypeVar("T")

_Entry = tuple[int, int, int, T, Collection[Hashable]]
"""Where it ends and starts by what its flows have had, its number, itself, and its flows."""

KEPT: Final = 1_024
"""Flows that may be known, and entries kept, although nothing of them waits."""
TURN: Final = 64 * 1024
"""Bytes of publishes that are read in one turn of the loop, of all producers together: some milliseconds. A
producer with 64 small ones unanswered has them read in one turn, so that they are committed together."""
MESSAGE: Final = 256
"""Bytes that a message costs beside its own."""
LOT: Final = 8 * 1024
"""Bytes that a producer may read when its turn comes: to wait costs as much as to read some."""


class FairQueue(Generic[T]):
    """See the module's docstring. True while something waits."""

    def __init__(self) -> None:
        # The same entries are in both; the numbers of those taken from the other one are in `_taken`.
        self._heap: list[_Entry[T]] = []
        self._arrived: deque[_Entry[T]] = deque()
        self._taken: set[int] = set()
        self._ends: dict[Hashable, int] = {}
        self._now = 0
        self._count = 0
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    @property
    def known(self) -> int:
        """How many flows and entries are kept."""
        return len(self._ends) + len(self._heap) + len(self._arrived) + len(self._taken)

    def push(self, item: T, cost: int, flows: Collection[Hashable]) -> None:
        """Queue `item`, which costs at least 1, behind all that waits of its `flows`."""
        ends, start = self._ends, self._now
        for one in flows:
            had = ends.get(one, 0)
            if had > start:
                start = had
        end = start + cost
        for one in flows:
            ends[one] = end
        self._count += 1
        self._waiting += 1
        entry = (end, start, self._count, item, flows)
        heappush(self._heap, entry)
        self._arrived.append(entry)

    def pop(self) -> T:
        """The next in turn."""
        entry = heappop(self._heap)
        while entry[2] in self._taken:
            self._taken.discard(entry[2])
            entry = heappop(self._heap)
        self._now = max(self._now, entry[1])
        return self._take(entry)

    def pop_oldest(self) -> T:
        """What has waited longest. Nothing of its flows can wait before it."""
        entry = self._arrived.popleft()
        while entry[2] in self._taken:
            self._taken.discard(entry[2])
            entry = self._arrived.popleft()
        return self._take(entry)

    def _take(self, entry: _Entry[T]) -> T:
        self._waiting -= 1
        if not self._waiting:
            self._forget()
        else:
            self._taken.add(entry[2])
            if len(self._taken) + len(self._ends) > KEPT + 4 * self._waiting:
                self._prune()
        return entry[3]

    def _forget(self) -> None:
        """Nothing waits: all that went before is even."""
        for kept in (self._heap, self._arrived, self._taken, self._ends):
            kept.clear()
        self._now = 0

    def _prune(self) -> None:
        """Forget what was taken, and flows of which nothing waits."""
        self._heap = [one for one in self._heap if one[2] not in self._taken]
        heapify(self._heap)
        self._arrived = deque(one for one in self._arrived if one[2] not in self._taken)
        self._taken.clear()
        self._ends = {flow: self._ends[flow] for entry in self._heap for flow in entry[4]}


class FairTurns(trio.abc.Instrument):
    """Shares the loop's turns among those who read publishes: `TURN` bytes in each, by fair turns.

    An instrument of Trio's, since Trio reports every turn to instruments only.
    """

    def __init__(self) -> None:
        self._queue: FairQueue[tuple[trio.Event, Hashable, int]] = FairQueue()
        self._left = TURN
        self._wake = trio.Event()
        self._given: dict[Hashable, int] = {}
        self._to_give: dict[Hashable, int] = {}

    def after_io_wait(self, timeout: float) -> None:
        """A turn of the loop begins; what was read beyond the last one's share counts against it."""
        self._left = min(TURN, self._left + TURN)
        self._given, self._to_give = self._to_give, {}

    async def take(self, who: Hashable, size: int) -> None:
        """Wait until `who` may read a message of `size` bytes; at once if no other peer reads much."""
        cost = size + MESSAGE
        given = self._given.get(who, 0)
        if given >= cost:
            self._given[who] = given - cost
            return
        if self._left > 0 and not self._queue:
            self._left -= cost
            return
        turn, lot = trio.Event(), max(cost, LOT)
        self._queue.push((turn, who, cost), lot, (who,))
        self._wake.set()
        await turn.wait()

    async def run(self) -> None:
        """Give the turns; runs until cancelled."""
        trio.lowlevel.add_instrument(self)
        try:
            while True:
                await self._wake.wait()
                self._wake = trio.Event()
                while self._queue:
                    await trio.lowlevel.checkpoint()
                    self._give()
        finally:
            trio.lowlevel.remove_instrument(self)

    def _give(self) -> None:
        """Let producers read, in the next turn of the loop, as far as the share of this one goes."""
        while self._queue and self._left > 0:
            turn, who, cost = self._queue.pop()
            lot = max(cost, LOT)
            self._left -= lot
            self._to_give[who] = lot - cost
            turn.set()
