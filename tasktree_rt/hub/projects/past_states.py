"""States of the past: few are read from the store at a time, and those who ask for the same one share it.

A past state costs several times its size as JSON: it belongs to nobody but those who read it. As nothing is
kept, no number bounds what is known: `READERS` bounds what is read at a time, `limits.max_answer_bytes` what
answers are made from.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Final, TypeVar
from weakref import WeakValueDictionary

import trio

READERS: Final = 2
"""So many are read at a time; the others wait."""

T = TypeVar("T")


class PastStates:
    """See the module's docstring. What is shared is known as long as anybody holds on to it."""

    def __init__(self) -> None:
        self._turns = trio.Semaphore(READERS)
        self._known: WeakValueDictionary[Hashable, object] = WeakValueDictionary()

    async def get(self, key: Hashable, read: Callable[[], Awaitable[T | None]]) -> T | None:
        """What `key` names, read by `read` unless another caller still has it."""
        async with self._turns:
            found: T | None = self._known.get(key)  # type: ignore[assignment]
            if found is None:
                found = await read()
                if found is not None:
                    self._known[key] = found
        return found
