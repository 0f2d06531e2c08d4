"""The account of one watcher: which deliveries it must get, and which faults it saw."""

from __future__ import annotations

from collections import Counter
from typing import Final

LOST: Final = "lost"
DOUBLED: Final = "doubled"
OUT_OF_ORDER: Final = "out_of_order"
WRONG: Final = "wrong"
FAULTS: Final = (LOST, DOUBLED, OUT_OF_ORDER, WRONG)
MOST_MISSING: Final = 10_000
"""Missing positions of a watcher that are kept, so that one that comes late counts as out of order."""


class Account:
    """Reconciles one watcher.

    Attributes:
        next: the position that is due; None until the first one says where the account begins.
        number: the tool's number in the last event, where that is not the position.
    """

    __slots__ = ("_missing", "next", "number")

    def __init__(self, following: int | None, number: int | None = None) -> None:
        self.next = following
        self.number = number
        self._missing: set[int] | None = None

    def take(self, position: int, number: int | None, faults: Counter[str], *, merges: bool = False) -> str:
        """Take the delivery of `position`; return the fault, or "". Losses are counted by `missing` only.

        With `merges` a position may be left out.
        """
        due = self.next
        if due is None or position == due:
            self.next = position + 1
            return self._count(number, faults)
        if position > due:
            if not merges:
                self._miss(range(due, position), faults)
                self.number = number if number is not None else self.number
            self.next = position + 1
            return "" if merges else f"{position} came where {due} was due"
        if self._missing and position in self._missing:
            self._missing.discard(position)
            faults[OUT_OF_ORDER] += 1
            return f"{position} came after {due - 1}"
        faults[DOUBLED] += 1
        return f"{position} came again after {due - 1}"

    def jump(self, position: int, number: int | None) -> None:
        """Go on after `position`: the server sent a state, or one message in place of all up to there."""
        self.next = position + 1
        if number is not None:
            self.number = number

    def missing(self, last: int | None) -> int:
        """Return how many deliveries are missing, up to position `last` (None: no more are due)."""
        tail = 0 if last is None or self.next is None else max(0, last + 1 - self.next)
        return tail + (len(self._missing) if self._missing else 0)

    def _count(self, number: int | None, faults: Counter[str]) -> str:
        if number is None:
            return ""
        before, self.number = self.number, number
        if before is None or number == before + 1:
            return ""
        faults[WRONG] += 1
        return f"event {number} follows event {before} at the next position"

    def _miss(self, positions: range, faults: Counter[str]) -> None:
        self._missing = self._missing or set()
        room = MOST_MISSING - len(self._missing)
        self._missing.update(positions[:room])
        faults[LOST] += max(0, len(positions) - room)
