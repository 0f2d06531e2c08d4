"""Live topics: what is shown to those who watch now and kept by nobody.

A project's events have a log, positions and a state to fall back on (`hub.fanout`, `hub.catchup`). Some
languages know nothing of the kind: each of their events is whole, and the newest says all. Those go by here:
an event is encoded once for each dialect in use and offered at once to every watcher of its topic. Where the
socket takes no more, only the newest of each key waits (`hub.newest`); the connection is closed 4008 when
even that outgrows the outbox.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from tasktree_rt.core.close_codes import INTERNAL, Closing
from tasktree_rt.core.events import Json
from tasktree_rt.core.protocol import Ephemeral
from tasktree_rt.core.topics import TopicIndex, user_topic, users_own
from tasktree_rt.dialects.base import Dialect
from tasktree_rt.errors import Refused
from tasktree_rt.hub.delivery.last_value_queue import Key

EVERY_USER: Final = "users"
"""The live topic of what any user is shown, for languages that once told everybody everything."""


class TopicViewer(Protocol):
    """Somebody who is shown live events: a `Subscriber`, or `returning.Absent` in its place."""

    def __hash__(self) -> int: ...

    @property
    def dialect(self) -> Dialect:
        """The language that it is told them in."""

    def show(self, key: Key, data: bytes, *, last: bool = False) -> None:
        """A live event, encoded; `last`: nothing more comes of its key."""

    def unshow(self, topic: str | None) -> None:
        """What waits of a topic (of all, if None) is not to be sent any more."""

    def close(self, closing: Closing, reason: str = "") -> None:
        """End it."""


class EphemeralTopics:
    """See the module's docstring.

    `most` bounds the topics of one subscriber, `failed` is told of every fault of the hub's own. Topics are
    any strings but ``*``; how they are made up is the matter of those who use them.
    """

    def __init__(self, most: int, failed: Callable[[str, BaseException], None]) -> None:
        self._index: TopicIndex[TopicViewer] = TopicIndex()
        self._most = most
        self._failed = failed

    def subscribe(self, subscriber: TopicViewer, topic: str) -> None:
        """From now on `subscriber` is shown what is published to `topic`; saying it again changes nothing.

        Raises:
            Refused: ``too_many_subscriptions``.
        """
        topics = self._index.topics(subscriber)
        if topic not in topics and len(topics) >= self._most:
            message = f"at most {self._most} subscriptions"
            raise Refused(message, code="too_many_subscriptions", retry_after=1.0)
        self._index.add(subscriber, topic)

    def unsubscribe(self, subscriber: TopicViewer, topic: str) -> bool:
        """Take it back, and what still waits of it; whether there was such a subscription."""
        known = topic in self._index.topics(subscriber)
        if known:
            self._index.discard(subscriber, topic)
            subscriber.unshow(topic)
        return known

    def remove(self, subscriber: TopicViewer) -> None:
        """The connection is over."""
        self._index.remove(subscriber)

    def topics(self, subscriber: TopicViewer) -> frozenset[str]:
        """What `subscriber` is shown."""
        return self._index.topics(subscriber)

    def watched(self, topic: str) -> bool:
        """Whether anybody is shown `topic`."""
        return self._index.is_named(topic)

    def observe(self, observer: Callable[[str, bool], None]) -> None:
        """Call `observer(topic, watched)` when a topic gets its first watcher, and when its last one leaves;
        at once for all that are watched now."""
        self._index.observers.append(observer)
        for topic in self._index.named():
            observer(topic, True)

    def unobserve(self, observer: Callable[[str, bool], None]) -> None:
        """Take `observe` back."""
        self._index.observers.remove(observer)

    def publish(self, event: Ephemeral) -> int:
        """Offer `event` to all who watch its topic, before this returns; returns to how many.

        It never blocks and never waits: meant for topics with some watchers, not with thousands.
        """
        encoded: dict[str, bytes | None] = {}
        watchers = self._index.watchers(event.topic)
        for subscriber in watchers:
            try:
                dialect = subscriber.dialect
                if dialect.name not in encoded:
                    encoded[dialect.name] = dialect.encode(event)
                data = encoded[dialect.name]
                if data is not None:
                    subscriber.show((event.topic, event.key), data, last=event.last)
            except Exception as error:
                self._failed("live", error)
                subscriber.close(INTERNAL)
        return len(watchers)

    def show_user(self, user: str, kind: str, data: Json, key: str) -> None:
        """Show a user something; those who are shown everybody's are told whose it is."""
        self.publish(Ephemeral(user_topic(user), kind, data, key))
        if self.watched(EVERY_USER):
            self.publish(Ephemeral(EVERY_USER, kind, data, users_own(user, key), user=user))
