"""Keep the open connections of a hub, by id."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, ValuesView
from typing import Final

from tasktree_rt.core.access import Grants
from tasktree_rt.core.protocol import Policy
from tasktree_rt.core.topics import TopicIndex
from tasktree_rt.dialects.base import Dialect
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.delivery.ephemeral_topics import EphemeralTopics
from tasktree_rt.hub.delivery.pull_subscriber import PullSubscriber
from tasktree_rt.hub.delivery.subscriber import Subscriber, SubscriberSource
from tasktree_rt.hub.limits.caller import caller_of
from tasktree_rt.hub.limits.holdings import Holdings
from tasktree_rt.hub.projects.cache import ProjectCache


def _random_ids() -> Iterator[str]:
    """Make ids of 64 random bits, from the system in lots: one at a time each costs a system call."""
    while True:
        lot = secrets.token_hex(_ID_BYTES * _LOT)
        yield from (lot[at : at + 2 * _ID_BYTES] for at in range(0, len(lot), 2 * _ID_BYTES))


_ID_BYTES: Final = 8
_LOT: Final = 256


class Connections(Mapping[str, Subscriber]):
    """Map connection ids to subscribers, the oldest first.

    Attributes:
        held: counts the connections of each caller.
        streams: those without a socket.
    """

    def __init__(
        self,
        context: HubContext,
        cache: ProjectCache,
        index: TopicIndex[Subscriber],
        ephemeral: EphemeralTopics,
        source: SubscriberSource,
        held: Holdings,
    ) -> None:
        self._context = context
        self._cache = cache
        self._index = index
        self._ephemeral = ephemeral
        self._source = source
        self.held = held
        self.streams: dict[PullSubscriber, None] = {}
        self._ids = _random_ids()
        self._by_id: dict[str, Subscriber] = {}

    def __getitem__(self, connection_id: str) -> Subscriber:
        return self._by_id[connection_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def values(self) -> ValuesView[Subscriber]:
        """Return a view of all subscribers."""
        return self._by_id.values()

    def catching_up(self) -> set[str]:
        """Return the projects that connections catch up with."""
        return {name for one in self._by_id.values() for name in one.feeds.special_names}

    def attach(self, subscriber: Subscriber) -> None:
        """Add a new connection.

        Raises:
            Refused: ``rate_limited``: its address or its subject has too many; it is not added.
        """
        caller = caller_of(subscriber.grants, subscriber.address)
        self.held.check(caller)
        self.held.add(caller)
        self._by_id[subscriber.id] = subscriber

    def detach(self, subscriber: Subscriber) -> None:
        """Remove a connection, and end its subscriptions."""
        subscriber.over()
        if isinstance(subscriber, PullSubscriber):
            self.streams.pop(subscriber, None)
        if self._by_id.pop(subscriber.id, None) is not None:
            self.held.add(caller_of(subscriber.grants, subscriber.address), -1)
        topics = self._index.topics(subscriber)
        self._index.remove(subscriber)
        for name in topics:
            self._cache.left(name)
        self._ephemeral.remove(subscriber)

    def pull_subscriber(
        self, dialect: Dialect, *, policy: Policy, grants: Grants, address: str
    ) -> PullSubscriber:
        """Attach an outbox without a socket and return it; the caller detaches it.

        Raises:
            Refused: as `attach`.
        """
        subscriber = PullSubscriber(
            self.new_connection_id(),
            dialect,
            self._source,
            policy=policy,
            delivery=self._context.settings.delivery,
            meter=self._context.meter,
            grants=grants,
            address=address,
        )
        subscriber.open()
        self.attach(subscriber)
        self.streams[subscriber] = None
        return subscriber

    def new_connection_id(self) -> str:
        """Make an id that is unique, also over restarts of the hub."""
        return next(self._ids)

    def topics_of(self, subscriber: Subscriber) -> frozenset[str]:
        """Return all topics of `subscriber`: projects, users, ephemeral topics."""
        feed = () if subscriber.feeds.topic is None else (subscriber.feeds.topic.topic,)
        return self._index.topics(subscriber) | self._ephemeral.topics(subscriber) | frozenset(feed)
