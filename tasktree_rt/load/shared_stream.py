"""Bytes that many watchers must get alike, so that a delivery is checked by comparing memory.

Watchers of one project in one language get the same frames. The first watcher that gets a frame has it parsed
and checked; its bytes are kept here with the event's position. Every other watcher's bytes are compared with
them at the place where it is. Equal bytes at the right place are the right events, in order.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final

from attrs import define, field

from tasktree_rt.load.languages.base import Event

KEPT: Final = 4 << 20
"""Bytes; when there are twice as many, the older half goes."""


@define(eq=False)
class SharedStream:
    """Frames of one topic in one language, in order.

    Attributes:
        data: the frames, one behind the other.
        ends: where each ends in `data`.
        positions, dues: of each, as in `Event`.
        numbers: the last number up to each: an event of another program has none.
        contiguous: whether each position is the one before and one more.
    """

    contiguous: bool
    data: bytearray = field(factory=bytearray)
    ends: list[int] = field(factory=list)
    positions: list[int] = field(factory=list)
    numbers: list[int | None] = field(factory=list)
    dues: list[int] = field(factory=list)

    def append(self, frame: bytes | bytearray, event: Event) -> bool:
        """Add a frame that was checked, if it is the next one; return False if it lies beyond that."""
        if self.positions:
            last = self.positions[-1]
            if event.position <= last:
                return True
            if self.contiguous and event.position != last + 1:
                return False
        self.data += frame
        self.ends.append(len(self.data))
        self.positions.append(event.position)
        before = self.numbers[-1] if self.numbers else None
        self.numbers.append(before if event.number is None else event.number)
        self.dues.append(event.due)
        return True

    def place(self, following: int) -> int | None:
        """Return the place in `data` where position `following` begins; None if it is not here."""
        positions = self.positions
        if not positions or following < positions[0]:
            return None
        index = bisect_left(positions, following)
        if self.contiguous and following > positions[-1] + 1:
            return None
        return self.ends[index - 1] if index else 0

    def before(self, at: int) -> int:
        """Return the index behind the last frame that ends at or before `at`."""
        return bisect_right(self.ends, at)

    def begin(self, index: int) -> int:
        """Return where frame number `index` begins in `data`."""
        return self.ends[index - 1] if index else 0

    @property
    def long(self) -> bool:
        """Whether it holds too much."""
        return len(self.data) >= 2 * KEPT

    @property
    def cut_at(self) -> int:
        """The place up to which `cut` drops it."""
        return self.ends[bisect_left(self.ends, len(self.data) - KEPT)]

    def cut(self) -> int:
        """Drop its older part; return by how much every place moved."""
        moved = self.cut_at
        index = self.before(moved)
        del self.data[:moved]
        self.ends = [end - moved for end in self.ends[index:]]
        del self.positions[:index], self.numbers[:index], self.dues[:index]
        return moved
