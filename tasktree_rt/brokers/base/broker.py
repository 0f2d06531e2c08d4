"""The contract of a broker: all that a store keeps, and its own life.

A broker keeps, per project, one *life*: an epoch, a head, a log of records, checkpoints. Bodies and
checkpoint parts are bytes that it does not interpret, except in `search`. All methods are called from one
Trio task tree; a broker makes itself safe against its own threads. A cancelled call may or may not have done
its work, except `append`, which cannot be cancelled once begun.

Every method raises `StoreUnavailable` for a passing fault (disk full, I/O error, locked). After it the broker
must work again, by itself, as soon as the cause is gone. Where the error says `lasting` (the file is gone,
its pages are damaged) the broker keeps nothing more until it is opened anew; reading may go on.

`load`, `read`, `read_back`, `checkpoint_at` and `snapshot` raise `StoreDamaged` where something of the
project is missing or cannot be read. Everything else works then, the deletion of that project too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, Protocol

from attrs import frozen

from tasktree_rt.brokers.base.access import Access
from tasktree_rt.brokers.base.damage import Damage
from tasktree_rt.brokers.base.following import Following
from tasktree_rt.brokers.base.interactions import Interactions
from tasktree_rt.brokers.base.log import Log
from tasktree_rt.brokers.base.projects import Projects
from tasktree_rt.brokers.base.publish_ids import KEPT_IDS_AGE, PublishIds
from tasktree_rt.brokers.base.search import Search
from tasktree_rt.brokers.base.states import States
from tasktree_rt.core.log import Position

KEPT_DEATHS_AGE: Final = 2 * KEPT_IDS_AGE
"""Microseconds for which a broker remembers, at least, how a life ended; as long as events are kept if that
is longer."""


@frozen
class Retention:
    """The part of a log that is kept: at most `max_events` with bodies of `max_bytes`, none older than
    `max_age` seconds.
    """

    max_events: int
    max_age: float
    max_bytes: int = 1 << 62


@frozen
class Trimmed:
    """Events that `Broker.trim` deleted: `bytes` of their bodies, from the life `epoch` of a log."""

    project_id: str
    epoch: str
    owner: str
    bytes: int


class Broker(Log, States, Interactions, PublishIds, Projects, Search, Damage, Protocol):
    """A store of logs. The module's docstring says what holds for every method."""

    @property
    def name(self) -> str:
        """The store's name for people: ``sqlite:/path`` or ``memory:``."""

    @property
    def durable(self) -> bool:
        """Whether an `Appended` survives the death of the process."""

    @property
    def access(self) -> Access:
        """API keys and revocations."""

    @property
    def following(self) -> Following | None:
        """What other hubs append to this store's logs; None for a store that one hub has alone."""

    async def open(self) -> None:
        """Make the store ready. Called once, before anything else.

        Raises:
            StoreUnusable: foreign, newer, corrupt, not writable, or open in another hub.
        """

    async def aclose(self) -> None:
        """Finish what was begun and release all resources. May be called twice."""

    async def trim(
        self,
        retention: Retention,
        now: int,
        *,
        spared: Collection[str] = (),
        trimmed: Callable[[Trimmed], None] = lambda _: None,
    ) -> dict[str, Position]:
        """Delete, in small steps, what retention no longer wants; `now` in microseconds.

        - Events, up to the newest checkpoint that no wanted event precedes, so that the state at every
          position left can be computed; and the checkpoints before that one. Not of the projects `spared`.
        - The ids of publishes older than `KEPT_IDS_AGE` or beyond a producer's newest `KEPT_IDS`.
        - Prompts and commands settled longer ago than events are kept or, of one owner, beyond as many newest
          as a project keeps events.
        - What is left of ended lives; how they ended too, after `KEPT_DEATHS_AGE`.

        Calls `trimmed` as soon as events are deleted. Returns the new floors of the projects that lost
        events.
        """

    async def probe(self) -> None:
        """Raise `StoreUnavailable` if an append would. Really writes, cheaply."""

    async def verify(self) -> None:
        """Raise `StoreUnavailable` if the next hub to open the store would not find what was kept, as far as
        that can be found out without writing. Cheap enough for once a second.
        """
