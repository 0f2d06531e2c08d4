"""Locks by name, each for as long as somebody uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from attrs import define, field


@define(eq=False)
class _Lock:
    lock: trio.Lock = field(factory=trio.Lock)
    users: int = 0


class Locks:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._locks: dict[str, _Lock] = {}

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        """Hold the lock of a name for as long as the block lasts; those that wait get it in turn."""
        found = self._locks.setdefault(name, _Lock())
        found.users += 1
        try:
            async with found.lock:
                yield
        finally:
            found.users -= 1
            if not found.users:
                del self._locks[name]
