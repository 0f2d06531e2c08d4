"""Read past states from the store, a few at a time; concurrent readers of the same state share it.

A past state takes several times its size as JSON. Only its readers hold it, and it goes with the last one.
`READERS` limits the reads at a time, `limits.max_answer_bytes` the states that answers are made from.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Final, TypeVar
from weakref import WeakValueDictionary

import trio

READERS: Final = 2
"""Reads at a time; the others wait."""

T = TypeVar("T")


class PastStates:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._turns = trio.Semaphore(READERS)
        self._known: WeakValueDictionary[Hashable, object] = WeakValueDictionary()

    async def get(self, key: Hashable, read: Callable[[], Awaitable[T | None]]) -> T | None:
        """Return the state of `key`; call `read` unless another caller still holds it."""
        async with self._turns:
            found: T | None = self._known.get(key)  # type: ignore[assignment]
            if found is None:
                found = await read()
                if found is not None:
                    self._known[key] = found
        return found
