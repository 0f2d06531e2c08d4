"""Ids of publishes in memory."""

from __future__ import annotations

from collections.abc import Collection

from attrs import define

from tasktree_rt.brokers.base import KEPT_IDS, KEPT_IDS_AGE, Conflict, Duplicate, Key

Producer = tuple[str, str]
"""Subject and id."""


@define
class _Published:
    """What is known of one publish."""

    digest: bytes
    first: Duplicate
    received: int


class Producers:
    """The known publishes of each producer, oldest first."""

    def __init__(self) -> None:
        self._published: dict[Producer, dict[str, _Published]] = {}

    def recorded(self, key: Key, digest: bytes) -> Duplicate | Conflict | None:
        """Return the outcome of a publish with this key; None if the key is new."""
        known = self._published.get(key[:2], {}).get(key.id)
        if known is None:
            return None
        return known.first if digest == known.digest else Conflict()

    def record(self, key: Key, digest: bytes, first: Duplicate, received: int) -> None:
        """Remember a publish and what a repeat of it gets."""
        self._published.setdefault(key[:2], {})[key.id] = _Published(digest, first, received)

    def ids(self, producer: Producer) -> list[str]:
        """Return the known ids of a producer, oldest first."""
        return list(self._published.get(producer, ()))

    def all(self) -> Collection[Producer]:
        """Return all producers known now."""
        return list(self._published)

    def forget_old(self, producer: Producer, now: int) -> None:
        """Forget a producer's oldest publishes, up to the first that must be known; `now` in microseconds."""
        ids = self._published[producer]
        beyond = len(ids) - KEPT_IDS
        old: list[str] = []
        for place, (one, published) in enumerate(ids.items()):
            if place >= beyond and published.received >= now - KEPT_IDS_AGE:
                break
            old.append(one)
        for one in old:
            del ids[one]
        if not ids:
            del self._published[producer]
