"""The ids of publishes, by which a store knows a publish that comes again."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from attrs import frozen

from tasktree_rt.core.value_class import fixed

KEPT_IDS: Final = 10_000
"""Newest publishes of a producer that a broker knows again, at least."""
KEPT_IDS_AGE: Final = 86_400_000_000
"""Microseconds for which a broker knows a publish again, at least."""


class Key(NamedTuple):
    """The identity of a publish. `id` is text with its JSON kind (``5`` or ``"5"``)."""

    subject: str
    producer_id: str
    id: str

    @property
    def producer(self) -> tuple[str, str]:
        """Subject and id of the producer."""
        return (self.subject, self.producer_id)


@fixed
class Duplicate:
    """The key is known with the same digest: the positions of the first publish. Nothing was stored."""

    project_id: str
    epoch: str
    first: int
    count: int


@frozen
class Conflict:
    """The key is known with another digest. Nothing was stored."""


class PublishIds(Protocol):
    """The store of publish ids; `Log.append` adds to it."""

    async def producer_ids(self, subject: str, producer_id: str) -> list[str]:
        """Return each known `Key.id` of a producer, oldest first."""

    async def recorded(self, key: Key, digest: bytes) -> Duplicate | Conflict | None:
        """Return the outcome that an append with this key would have now; None if the key is new."""
