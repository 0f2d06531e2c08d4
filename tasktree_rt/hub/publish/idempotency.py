"""Remember which publish ids each producer has used.

An id that is not here was never published, so the hub need not ask the store.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tasktree_rt.brokers.base import KEPT_IDS, Broker, Key

PRODUCERS: Final = 256
"""Producers whose ids are in memory at most."""
HELD: Final = 500_000
"""Ids of all producers in memory at most: some 42 MB, measured at 84 bytes an id (CPython 3.11)."""

Name = tuple[str, str]
"""A subject and its producer id."""


class Ids:
    """Hashes of a producer's newest ids: at least the last `KEPT_IDS`, at most twice as many.

    Two generations, not one dict in order: taking the first key out of a dict again and again walks over
    every key taken out before.
    """

    __slots__ = ("_new", "_old")

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._new = set(map(hash, ids))
        self._old: set[int] = set()

    def __contains__(self, one: str) -> bool:
        known = hash(one)
        return known in self._new or known in self._old

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def add(self, one: str) -> int:
        """Add the newest id; return by how much their number changed. The store may still know an id that
        falls out, and finds it at the commit.
        """
        new, gone = self._new, 0
        if len(new) >= KEPT_IDS:
            gone = len(self._old)
            self._old = new
            self._new = new = set()
        before = len(new)
        new.add(hash(one))
        return len(new) - before - gone


class PublishIds:
    """See the module's docstring."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._known: dict[Name, Ids] = {}
        self._newest: Name | None = None
        self._held = 0
        self._meanwhile: dict[Name, list[str]] = {}

    def held(self, key: Key) -> Ids | None:
        """Return the ids of the producer of `key` if they are in memory."""
        name = key.producer
        if name == self._newest:
            return self._known[name]
        ids = self._known.pop(name, None)
        if ids is not None:
            self._known[name] = ids
            self._newest = name
        return ids

    async def ids(self, key: Key) -> Ids:
        """Return the ids of the producer of `key`.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        ids = self.held(key)
        if ids is None:
            name = key.producer
            ids = await self._find(name)
            self._held += len(ids)
            self._known[name] = ids
            self._newest = name
            self._forget()
        return ids

    def _forget(self) -> None:
        """Forget the producers that published longest ago, if too many ids are in memory."""
        while len(self._known) > 1 and (len(self._known) > PRODUCERS or self._held > HELD):
            self._held -= len(self._known.pop(next(iter(self._known))))

    async def _find(self, name: Name) -> Ids:
        # What is committed while the store is asked may or may not be in its answer.
        meanwhile = self._meanwhile.setdefault(name, [])
        try:
            stored = await self._broker.producer_ids(*name)
        finally:
            self._meanwhile.pop(name, None)
        found = self._known.pop(name, None)
        if found is None:
            return Ids([*stored, *meanwhile])
        self._held -= len(found)
        return found

    def remember(self, key: Key) -> None:
        """Remember the key of a publish that was just committed."""
        name = key.producer
        known = self._known.get(name)
        if known is not None:
            self._held += known.add(key.id)
            if self._held > HELD:
                self._forget()
        if self._meanwhile and name in self._meanwhile:
            self._meanwhile[name].append(key.id)
