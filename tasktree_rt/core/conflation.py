"""What a conflated message shows beside the tree: a stretch's kept events and how many log lines it skips."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from typing import Final

from tasktree_rt.core.events import NOT_KEPT, Record

MAX_EVENTS: Final = 1_000
MAX_BYTES: Final = 1024 * 1024
MAX_LINES: Final = 100_000


class ConflatedEvents:
    """The kept events and the places of log lines above a floor that rises when there are too many."""

    __slots__ = ("_bytes", "_events", "_lines", "_total", "floor")

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self._events: deque[Record] = deque()
        self._bytes = 0
        self._lines: dict[str, array[int]] = {}
        self._total = 0

    def note(self, record: Record) -> None:
        """Take in the next event of the log."""
        if record.type == "log":
            self._note_line(record.node_id or "", record.seq)
        elif record.type not in NOT_KEPT:
            self._events.append(record)
            self._bytes += len(record.body)
            while len(self._events) > MAX_EVENTS or (self._bytes > MAX_BYTES and len(self._events) > 1):
                oldest = self._events.popleft()
                self._bytes -= len(oldest.body)
                self.floor = max(self.floor, oldest.seq)

    @property
    def lines(self) -> int:
        """How many places of log lines are kept."""
        return self._total

    def size_below(self, seq: int) -> int:
        """Bytes of the kept events up to `seq`, at most: of all kept ones, if the oldest is among them."""
        return self._bytes if self._events and self._events[0].seq <= seq else 0

    def since(self, seq: int) -> tuple[tuple[Record, ...], dict[str, int]] | None:
        """The kept events after `seq` and the number of log lines by node; None below the floor."""
        if seq < self.floor:
            return None
        events: list[Record] = []
        for record in reversed(self._events):
            if record.seq <= seq:
                break
            events.append(record)
        events.reverse()
        lines: dict[str, int] = {}
        for node_id in reversed(self._lines):
            places = self._lines[node_id]
            if places[-1] <= seq:
                break
            lines[node_id] = len(places) - bisect_right(places, seq)
        return tuple(events), lines

    def _note_line(self, node_id: str, seq: int) -> None:
        places = self._lines.pop(node_id, None)
        if places is None:
            places = array("Q")
        places.append(seq)
        self._lines[node_id] = places
        self._total += 1
        if self._total > MAX_LINES:
            self._forget_lines(seq - MAX_LINES // 2)

    def _forget_lines(self, floor: int) -> None:
        self.floor = max(self.floor, floor)
        kept = {node: places[bisect_right(places, floor) :] for node, places in self._lines.items()}
        self._lines = {node: places for node, places in kept.items() if places}
        self._total = sum(map(len, self._lines.values()))
