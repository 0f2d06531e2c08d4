"""The bounded buffer between the nodes of a program and the task or thread that sends their events, in order.

Any thread puts events in, one takes them out. What comes faster than it is sent is reduced:

- changes of a node that still wait take in the next ones (the latest wins), so a loop that reports progress
  costs one event of each node for each `take`;
- lines of output beyond the bound are dropped and counted, and a line in the log says how many;
- beginnings and ends of nodes have a bound of their own: `room` says whether there is room for one more.

A signal handler may put an event in while its thread does so too: a thread may take the lock twice.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tasktree_rt.client.joining.plain_json import Json, clean, now_text, weight
from tasktree_rt.core.default_limits import MAX_EVENTS_PER_PUBLISH, MIB

MAX_LINE: Final = 32 * 1024
"""Characters of a line; what is longer is cut, and says so."""
MAX_WORD: Final = 512
MAX_BATCH: Final = MAX_EVENTS_PER_PUBLISH
"""Events of one `take`: as many as a publish may have by a hub's default settings."""
MAX_BATCH_SIZE: Final = 160 * 1024
"""Characters, about: escaped to the utmost they are still below a hub's 1 MiB."""
OVERHEAD: Final = 160


@dataclass(frozen=True)
class OutflowStatistics:
    """Counts of events: `waiting` now; `taken`, `merged` and `dropped` lines since the beginning.

    `lost` counts what the hub refused (of an event that was divided, the part), changes for which there was
    no room, and what was left when the hub did not come back.
    """

    waiting: int
    taken: int
    merged: int
    dropped: int
    lost: int


HEAVY: Final = 1024
"""Bytes of a value that a hub may refuse where it takes a small one: the least `max_node_size` there is."""
MOST_KEPT: Final = 8
"""Small values of a node's field that wait beside heavy ones which came after them."""


@dataclass(eq=False, slots=True)
class _Item:
    """`kept` counts the items of the node before this one that stay for the sake of a small value."""

    event: Json
    size: int
    is_line: bool = False
    kept: int = 0


class EventBuffer:
    """See the module. `wake` is called, from any thread, whenever there is something to take."""

    def __init__(
        self,
        project_id: str,
        wake: Callable[[], None],
        *,
        max_changes: int = 50_000,
        max_change_chars: int = 64 * MIB,
        max_lines: int = 20_000,
        max_line_chars: int = 8 * 1024 * 1024,
    ) -> None:
        self._project_id = project_id
        self._wake = wake
        self._max_changes = max_changes
        self._max_change_chars = max_change_chars
        self._change_chars = 0
        self._max_lines = max_lines
        self._max_chars = max_line_chars
        self._lock = threading.RLock()
        self._items: deque[_Item] = deque()
        self._mergeable: dict[str, _Item] = {}
        self._lines = self._line_chars = 0
        self._taken = self._merged = self._dropped = self._lost = 0
        self._untold = 0
        self._over = False
        self.put = self.gone = 0
        """How many events have come in, and how many have left."""

    def __len__(self) -> int:
        return len(self._items) + bool(self._untold)

    @property
    def full(self) -> bool:
        """Whether there is a batch's worth: it need not wait for more."""
        return len(self._items) >= MAX_BATCH

    @property
    def room(self) -> bool:
        """Whether one more change may come in."""
        if self._change_chars >= self._max_change_chars:
            return False
        return len(self._items) - self._lines < self._max_changes

    def change(self, node_id: str, changes: Json, size: int) -> None:
        """Fields of a node, of about `size` characters. Without a status they may be merged.

        A heavy value does not take the place of a small one, which would be lost with it if it is refused.
        """
        with self._lock:
            item, kept = self._mergeable.get(node_id), 0
            if item is not None and "status" not in changes:
                known = item.event["data"]["changes"]
                if item.kept >= MOST_KEPT or size < HEAVY or not _outweighs(changes, known):
                    known.update(changes)
                    item.event["timestamp"] = now_text()
                    item.size += size
                    self._change_chars += size
                    self._merged += 1
                    return
                kept = item.kept + 1
            event = self._event("node_update", {"node_id": node_id, "changes": dict(changes)})
            item = self._mergeable[node_id] = _Item(event, size + len(node_id) + OVERHEAD, kept=kept)
            self._put(item)
        self._wake()

    def say(self, kind: str, data: Json, size: int = 0) -> None:
        """Any other event of the project."""
        with self._lock:
            self._put(_Item(self._event(kind, data), size + OVERHEAD))
        self._wake()

    def line(self, message: str, *, level: str, node_id: str | None, extra: Json) -> bool:
        """A line of output; whether there was room for it."""
        text = _fit(message)
        size = len(text)
        data: Json = {"level": _word(level), "message": text}
        data |= {name: _word(value) for name, value in extra.items()}
        if node_id is not None:
            data["node_id"] = node_id
        with self._lock:
            if self._lines >= self._max_lines or self._line_chars + size > self._max_chars:
                self._dropped += 1
                self._untold += 1
                return False
            self._lines += 1
            self._line_chars += size
            self._put(_Item(self._event("log", data), size + OVERHEAD, is_line=True))
        self._wake()
        return True

    def lose(self, events: int = 1) -> None:
        """Count events as lost: there was no room for them, or they did not get to the hub."""
        with self._lock:
            self._lost += events

    def abandon(self) -> None:
        """Count what waits, and all that still comes, as lost: nothing more will be sent."""
        with self._lock:
            self._over = True
            self._lost += len(self._items)
            for item in self._items:
                self._out(item)
            self._items.clear()

    def take(self) -> list[Json]:
        """The events to be sent next, all in one publish; none if there are none."""
        batch: list[Json] = []
        size = 0
        with self._lock:
            while self._items and len(batch) < MAX_BATCH:
                item = self._items[0]
                size += item.size
                if batch and size > MAX_BATCH_SIZE:
                    break
                self._items.popleft()
                self._out(item)
                batch.append(item.event)
            if self._untold and len(batch) < MAX_BATCH:
                batch.append(self._event("log", _told(self._untold)))
                self._untold = 0
            self._taken += len(batch)
        return batch

    def statistics(self) -> OutflowStatistics:
        """Counts of this moment."""
        with self._lock:
            return OutflowStatistics(len(self), self._taken, self._merged, self._dropped, self._lost)

    def _put(self, item: _Item) -> None:
        if self._over:
            self._lost += 1
            self._forget(item)
            return
        self._items.append(item)
        self._change_chars += 0 if item.is_line else item.size
        self.put += 1

    def _out(self, item: _Item) -> None:
        """Note that an item left the buffer."""
        self._change_chars -= 0 if item.is_line else item.size
        self._forget(item)

    def _forget(self, item: _Item) -> None:
        """Nothing may be merged into an item any more."""
        self.gone += 1
        data = item.event["data"]
        if item.is_line:
            self._lines -= 1
            self._line_chars -= len(data["message"])
        elif self._mergeable.get(data.get("node_id")) is item:
            del self._mergeable[data["node_id"]]

    def _event(self, kind: str, data: Json) -> Json:
        return {"type": kind, "project_id": self._project_id, "data": data, "timestamp": now_text()}


def _told(lines: int) -> Json:
    message = f"{lines} lines of output were left out here: more came than could be sent"
    return {"level": "warning", "message": message, "dropped": lines}


def _outweighs(changes: Json, known: Json) -> bool:
    """Whether a heavy value would take the place of a small one."""
    both = (name for name in changes if name in known)
    return any(_is_heavy(changes[name]) and not _is_heavy(known[name]) for name in both)


def _is_heavy(value: object) -> bool:
    return weight(value) >= HEAVY // 2


def _word(value: object) -> str:
    """A level, a stream, a logger's name, as it may stand in an event."""
    return clean(str(value))[:MAX_WORD]


def _fit(message: str) -> str:
    if len(message) > MAX_LINE:
        message = f"{message[:MAX_LINE]}… ({len(message) - MAX_LINE} more characters)"
    return clean(message)
