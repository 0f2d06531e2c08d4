"""What a producer has published and the hub has not answered: in order, bounded, sent again after a drop.

Pure: no clock, no socket, no file. One publish goes `add` → `next` (the caller sends it) → `settle`.
`rewind` says that a new connection has begun: everything unanswered is to be sent again, in order,
before anything else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """A publish: its id, and its size in bytes."""

    @property
    def id(self) -> str:
        """Unique over all lives of the producer."""

    @property
    def size(self) -> int:
        """Bytes of the publish message."""

    @property
    def alone(self) -> bool:
        """Whether nothing else may be in flight beside it."""


P = TypeVar("P", bound=Sized)


class Window(Generic[P]):
    """See the module. At most `max_count` and `max_bytes` are in flight; a single one always may be."""

    def __init__(self, max_count: int, max_bytes: int) -> None:
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._flying: dict[str, P] = {}
        self._waiting: deque[P] = deque()
        self._known: dict[str, P] = {}
        self._bytes = 0
        self._flying_bytes = 0
        self._lonely = False
        """Whether what is in flight is to be so alone."""

    def __len__(self) -> int:
        """Publishes without an answer, in flight or not."""
        return len(self._known)

    def __iter__(self) -> Iterator[P]:
        yield from list(self._known.values())

    @property
    def size(self) -> int:
        """Bytes of all publishes without an answer."""
        return self._bytes

    @property
    def flying(self) -> int:
        """How many are in flight on this connection."""
        return len(self._flying)

    def get(self, publish_id: str) -> P | None:
        """The unanswered publish with this id."""
        return self._known.get(publish_id)

    def newest(self) -> P | None:
        """What was added last and has no answer."""
        return next(reversed(self._known.values()), None)

    def waits(self, publish_id: str) -> bool:
        """Whether a publish is still to be sent."""
        return publish_id in self._known and publish_id not in self._flying

    def room(self, size: int) -> bool:
        """Whether a publish of `size` bytes could be added and be in flight at once."""
        fits = len(self._known) < self._max_count and self._bytes + size <= self._max_bytes
        return fits or not self._known

    def add(self, publish: P) -> None:
        """Behind all others. Its id must not be known."""
        if publish.id in self._known:
            raise ValueError(f"{publish.id!r} is waiting for an answer already")
        self._known[publish.id] = publish
        self._waiting.append(publish)
        self._bytes += publish.size

    def add_first(self, parts: list[P]) -> None:
        """Before all others that wait, in order. Their ids must not be known."""
        for part in reversed(parts):
            self._known[part.id] = part
            self._waiting.appendleft(part)
            self._bytes += part.size

    def next(self) -> P | None:
        """The next one to send, from now on in flight; None if there is none or the window is full."""
        if not self._waiting:
            return None
        first = self._waiting[0]
        if self._flying and (first.alone or self._lonely):
            return None
        size = first.size
        full = len(self._flying) >= self._max_count or self._flying_bytes + size > self._max_bytes
        if full and self._flying:
            return None
        publish = self._waiting.popleft()
        self._flying[publish.id] = publish
        self._flying_bytes += size
        self._lonely = publish.alone
        return publish

    def settle(self, publish_id: object) -> P | None:
        """An answer to a publish in flight has come; None if there is no such."""
        publish = self._flying.pop(publish_id, None) if isinstance(publish_id, str) else None
        if publish is not None:
            del self._known[publish.id]
            self._bytes -= publish.size
            self._flying_bytes -= publish.size
        return publish

    def rewind(self) -> int:
        """A new connection has begun; returns how many were in flight on the old one."""
        again = len(self._flying)
        self._waiting.extendleft(reversed(self._flying.values()))
        self._flying.clear()
        self._flying_bytes = 0
        return again

    def largest(self) -> P | None:
        """The largest publish in flight."""
        return max(self._flying.values(), key=lambda publish: publish.size, default=None)
