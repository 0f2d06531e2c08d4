"""The newest events of a branch. Their seqs are those of the project's log, so they have gaps."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Final

from attrs import Factory, evolve, frozen

from tasktree_rt.core.events import Record
from tasktree_rt.core.log import Gap, Position, Recovered, gap
from tasktree_rt.core.nodes import NO_CHANGE, Change

MAX_EVENTS: Final = 1_024
MAX_BYTES: Final = 1024 * 1024


@frozen
class BranchRecord(Record):
    """One event as readers of a branch get it.

    Attributes:
        after: the position of a reader that has all before it. The events between are not of the branch.
        change: what it changes in the branch, for an event that readers do not get as it is: `body` is empty.
        lost: by node the fields that it takes from nodes of the branch.
    """

    after: int
    change: Change = NO_CHANGE
    lost: Mapping[str, tuple[str, ...]] = Factory(dict)

    @property
    def passes(self) -> bool:
        """Return whether readers get the event as it is."""
        return bool(self.body)


class BranchLog:
    """A log with gaps, bounded by count and bytes. Its `head` is the newest position that readers know.

    Attributes:
        floor: the position below which it cannot answer.
        size: bytes that its events take, about.
    """

    def __init__(self, epoch: str, head: int) -> None:
        self.epoch = epoch
        self.head = self.floor = head
        self.size = 0
        self._records: list[BranchRecord] = []

    def __len__(self) -> int:
        return len(self._records)

    def append(self, record: BranchRecord) -> None:
        """Add an event; its `after` is the `head`."""
        self._records.append(record)
        self.head = record.seq
        self.size += weight(record)
        if len(self._records) > MAX_EVENTS or self.size > MAX_BYTES:
            self._halve()

    def forget(self) -> None:
        """Forget all events: readers of an older position need the state."""
        self._records.clear()
        self.floor, self.size = self.head, 0

    def since(self, position: Position, limit: int | None = None) -> Recovered | Gap:
        """Return the events after a position (at most `limit`, the oldest first), or why it cannot."""
        missing = gap(position, self.epoch, self.head, self.floor)
        if missing is not None:
            return missing
        start = bisect_right(self._records, position.seq, key=lambda one: one.seq)
        found = self._records[start : None if limit is None else start + limit]
        if found and found[0].after != position.seq:  # nothing of the branch is between
            found[0] = evolve(found[0], after=position.seq)
        return Recovered(tuple(found))

    def _halve(self) -> None:
        """Forget the older half of the events, the newest excepted."""
        kept = max(1, len(self._records) // 2)
        del self._records[:-kept]
        self.floor = self._records[0].after
        self.size = sum(map(weight, self._records))


def weight(record: BranchRecord) -> int:
    """About the bytes of an event on the wire."""
    return len(record.body) + sum(node.bound for node in record.change.put.values()) + 200
