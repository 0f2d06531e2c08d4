"""The ephemeral events that wait for one slow reader: the newest of each key."""

from __future__ import annotations

Key = tuple[str, str]
"""A topic, and a key within it."""


class LastValueQueue:
    """Queue encoded messages, at most one for each key.

    A newer message takes the place of the older one in the order, so that a key that changes all the time is
    neither always first nor left behind. The last message of a key goes to the end: it is sent after
    everything that came before it.
    """

    __slots__ = ("_waiting", "size")

    def __init__(self) -> None:
        self._waiting: dict[Key, bytes] = {}
        self.size = 0
        """Bytes of all waiting messages."""

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, key: Key, data: bytes, *, last: bool = False) -> bool:
        """Queue `data`; returns whether it replaced an older message of its key."""
        older = self._waiting.pop(key, None) if last else self._waiting.get(key)
        self._waiting[key] = data
        self.size += len(data) - len(older or b"")
        return older is not None

    def take(self) -> bytes:
        """Remove and return the first message; the queue must not be empty."""
        data = self._waiting.pop(next(iter(self._waiting)))
        self.size -= len(data)
        return data

    def items(self) -> list[tuple[Key, bytes]]:
        """Return all waiting messages, in order."""
        return list(self._waiting.items())

    def forget(self, topic: str | None) -> None:
        """Drop the waiting messages of a topic, or of all topics if None."""
        for key in [one for one in self._waiting if topic is None or one[0] == topic]:
            self.size -= len(self._waiting.pop(key))
