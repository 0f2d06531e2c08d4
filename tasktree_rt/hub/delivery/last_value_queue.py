"""What waits of live events for one reader that is slow: the newest of each key, whole."""

from __future__ import annotations

Key = tuple[str, str]
"""A topic, and a key within it."""


class LastValueQueue:
    """Finished messages in the order they are to go out, at most one for each key.

    A newer one takes the place of the older one in the order, so that a key that changes all the time is
    neither sent first for ever nor left behind. The last of a key goes to the end: nothing that came before
    it is sent after it.
    """

    __slots__ = ("_waiting", "size")

    def __init__(self) -> None:
        self._waiting: dict[Key, bytes] = {}
        self.size = 0
        """Bytes of all that waits."""

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, key: Key, data: bytes, *, last: bool = False) -> bool:
        """Let `data` wait; whether it replaced an older one."""
        older = self._waiting.pop(key, None) if last else self._waiting.get(key)
        self._waiting[key] = data
        self.size += len(data) - len(older or b"")
        return older is not None

    def take(self) -> bytes:
        """The first message, which waits no longer; not to be asked when nothing waits."""
        data = self._waiting.pop(next(iter(self._waiting)))
        self.size -= len(data)
        return data

    def items(self) -> list[tuple[Key, bytes]]:
        """All that waits, in order."""
        return list(self._waiting.items())

    def forget(self, topic: str | None) -> None:
        """What waits of a topic (of all, if None) is not to be sent any more."""
        for key in [one for one in self._waiting if topic is None or one[0] == topic]:
            self.size -= len(self._waiting.pop(key))
