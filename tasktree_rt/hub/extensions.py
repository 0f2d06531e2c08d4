"""Parts that foreign systems add to a hub. Each runs as long as the hub, and may store something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, cast

import trio


class Extension(Protocol):
    """A part that a foreign system adds to a hub."""

    async def run(self) -> None:
        """Do the part's own work until cancelled."""

    async def keep(self, patience: float) -> None:
        """Store what the next hub takes up; the hub stops, and gives the part so many seconds."""


E = TypeVar("E", bound=Extension)


class Extensions:
    """Hold the extensions of a hub, one of each class."""

    def __init__(self) -> None:
        self._parts: dict[type, Extension] = {}
        self._nursery: trio.Nursery | None = None

    def get(self, kind: type[E], make: Callable[[], E]) -> E:
        """Return the extension of a class; the first call makes and starts it."""
        found = self._parts.get(kind)
        if found is None:
            found = self._parts[kind] = make()
            if self._nursery is not None:
                self._nursery.start_soon(found.run)
        return cast("E", found)

    async def run(self) -> None:
        """Run every extension, also those that come later, until cancelled."""
        async with trio.open_nursery() as self._nursery:
            for part in self._parts.values():
                self._nursery.start_soon(part.run)
            await trio.sleep_forever()

    async def keep(self, patience: float) -> None:
        """Have each extension store what the next hub takes up, each within `patience` seconds."""
        for part in list(self._parts.values()):
            await part.keep(patience)
