"""Positions, and a bounded log that returns exactly the events after a position, or reports a gap."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from attrs import frozen

from tasktree_rt.core.events import Record
from tasktree_rt.errors import InvalidInput

_POSITION: Final = re.compile(r"([A-Za-z0-9_-]{0,64}):(0|[1-9][0-9]{0,17})")


@frozen
class Position:
    """A place in one life of a project's log: after event `seq` of the life named `epoch`."""

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"

    @classmethod
    def parse(cls, text: object, field: str = "since") -> Position:
        """Read ``<epoch>:<seq>``.

        Raises:
            InvalidInput: ``invalid_position``.
        """
        match = _POSITION.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise InvalidInput('expected "<epoch>:<seq>"', code="invalid_position", field=field)
        return cls(match[1], int(match[2]))


BEGINNING: Final = Position("", 0)
"""The beginning of whatever life there is."""


@frozen
class Recovered:
    """The events after a position, all of them, in order."""

    records: tuple[Record, ...]


@frozen
class Gap:
    """The events after, or before, a position cannot be given; `why` is trimmed, epoch or ahead."""

    why: str


def gap(since: Position, epoch: str, head: int, floor: int) -> Gap | None:
    """Why the events after `since` cannot be given of a life that holds floor+1 … head; None if they can."""
    if since != BEGINNING and since.epoch != epoch:
        return Gap("epoch")
    if since.seq > head:
        return Gap("ahead")
    return Gap("trimmed") if since.seq < floor else None


def gap_before(before: Position, epoch: str, head: int) -> Gap | None:
    """Why the events before `before` cannot be given of a life that has come to `head`; None if they can."""
    if before.epoch != epoch:
        return Gap("epoch")
    return Gap("ahead") if before.seq > head else None


class Log:
    """The newest events of one life of a project's log, bounded by count and bytes.

    `floor` is the seq below (and at) which nothing is held; `head` that of the newest event. An event
    larger than the byte bound is held alone: the newest one is never dropped by `append`.
    """

    __slots__ = ("_bytes", "_max_bytes", "_max_events", "_records", "epoch", "head")

    def __init__(self, epoch: str, head: int = 0, *, max_events: int, max_bytes: int) -> None:
        self.epoch = epoch
        self.head = head
        self._records: deque[Record] = deque()
        self._bytes = 0
        self._max_events = max_events
        self._max_bytes = max_bytes

    def __len__(self) -> int:
        return len(self._records)

    @property
    def floor(self) -> int:
        """The position from which `since` can still answer."""
        return self.head - len(self._records)

    @property
    def position(self) -> Position:
        """The position after the newest event."""
        return Position(self.epoch, self.head)

    @property
    def size(self) -> int:
        """Bytes of the bodies held."""
        return self._bytes

    def __reversed__(self) -> Iterator[Record]:
        """The events held, the newest first."""
        return reversed(self._records)

    def append(self, record: Record) -> None:
        """Add the next event; its seq must be `head` + 1."""
        if record.seq != self.head + 1:
            raise ValueError(f"expected seq {self.head + 1}, got {record.seq}")
        self._records.append(record)
        self.head = record.seq
        self._bytes += len(record.body)
        while len(self._records) > 1 and (
            len(self._records) > self._max_events or self._bytes > self._max_bytes
        ):
            self._drop_oldest()

    def extend(self, records: Iterable[Record]) -> None:
        """Append several records, in order."""
        for record in records:
            self.append(record)

    def trim(self, floor: int) -> None:
        """Forget every event up to and including `floor`."""
        while self._records and self._records[0].seq <= floor:
            self._drop_oldest()

    def since(self, position: Position, limit: int | None = None) -> Recovered | Gap:
        """The events after `position` (at most `limit`, the oldest first), or why they cannot be given."""
        missing = gap(position, self.epoch, self.head, self.floor)
        if missing is not None:
            return missing
        start = position.seq - self.floor
        stop = None if limit is None else start + limit
        return Recovered(tuple(islice(self._records, start, stop)))

    def _drop_oldest(self) -> None:
        self._bytes -= len(self._records.popleft().body)
