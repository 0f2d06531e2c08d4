"""Ephemeral topics: events for the present watchers that no log stores.

A project's events have a log, positions and a state (`delivery.fanout`, `resume.catchup`). Some dialects
have none of these: each event is complete, and the newest one replaces all before. Such events go through
here. The hub encodes an event once for each dialect in use and offers it at once to every watcher of its
topic. Where the socket takes no more bytes, only the newest event of each key waits (`last_value_queue`); if
even these outgrow the outbox, the hub closes the connection with 4008.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from tasktree_rt.core.close_codes import INTERNAL, Closing
from tasktree_rt.core.events import Json
from tasktree_rt.core.protocol import Ephemeral
from tasktree_rt.core.topics import TopicIndex, user_topic, users_own
from tasktree_rt.dialects.base import Dialect
from tasktree_rt.dialects.deflate import wire_name
from tasktree_rt.errors import Refused
from tasktree_rt.hub.delivery.last_value_queue import Key

EVERY_USER: Final = "users"
"""The ephemeral topic of all users' events, for dialects that send each user's events to all."""


class TopicViewer(Protocol):
    """A receiver of ephemeral events: a `Subscriber`, or a remembered connection in its place."""

    def __hash__(self) -> int: ...

    @property
    def dialect(self) -> Dialect:
        """The language of its messages."""

    def send_ephemeral(self, key: Key, data: bytes, *, last: bool = False) -> None:
        """Send an encoded event; `last`: no other event of its key follows."""

    def drop_ephemeral(self, topic: str | None) -> None:
        """Drop the waiting events of a topic, or of all topics if None."""

    def close(self, closing: Closing, reason: str = "") -> None:
        """Close the connection."""


class EphemeralTopics:
    """See the module's docstring.

    `most` bounds the topics of one subscriber; `failed` reports the hub's own faults. A topic is any string
    but ``*``; the callers choose its form.
    """

    def __init__(self, most: int, failed: Callable[[str, BaseException], None]) -> None:
        self._index: TopicIndex[TopicViewer] = TopicIndex()
        self._most = most
        self._failed = failed

    def subscribe(self, subscriber: TopicViewer, topic: str) -> None:
        """Subscribe to a topic; a repeated call changes nothing.

        Raises:
            Refused: ``too_many_subscriptions``.
        """
        topics = self._index.topics(subscriber)
        if topic not in topics and len(topics) >= self._most:
            message = f"at most {self._most} subscriptions"
            raise Refused(message, code="too_many_subscriptions", retry_after=1.0)
        self._index.add(subscriber, topic)

    def unsubscribe(self, subscriber: TopicViewer, topic: str) -> bool:
        """End a subscription and drop its waiting events; returns whether there was one."""
        known = topic in self._index.topics(subscriber)
        if known:
            self._index.discard(subscriber, topic)
            subscriber.drop_ephemeral(topic)
        return known

    def remove(self, subscriber: TopicViewer) -> None:
        """Remove a connection that has ended."""
        self._index.remove(subscriber)

    def topics(self, subscriber: TopicViewer) -> frozenset[str]:
        """Return the topics of `subscriber`."""
        return self._index.topics(subscriber)

    def watched(self, topic: str) -> bool:
        """Return whether `topic` has watchers."""
        return self._index.is_named(topic)

    def observe(self, observer: Callable[[str, bool], None]) -> None:
        """Call `observer(topic, watched)` when a topic gets its first watcher, and when its last one leaves;
        at once for all that are watched now."""
        self._index.observers.append(observer)
        for topic in self._index.named():
            observer(topic, True)

    def unobserve(self, observer: Callable[[str, bool], None]) -> None:
        """Stop calling an observer."""
        self._index.observers.remove(observer)

    def publish(self, event: Ephemeral) -> int:
        """Offer `event` to all watchers of its topic; returns their number.

        Never waits: it is for topics with some watchers, not with thousands.
        """
        encoded: dict[str, bytes | None] = {}
        watchers = self._index.watchers(event.topic)
        for subscriber in watchers:
            try:
                dialect = subscriber.dialect
                name = wire_name(dialect)
                if name not in encoded:
                    encoded[name] = dialect.encode(event)
                data = encoded[name]
                if data is not None:
                    subscriber.send_ephemeral((event.topic, event.key), data, last=event.last)
            except Exception as error:
                self._failed("live", error)
                subscriber.close(INTERNAL)
        return len(watchers)

    def show_user(self, user: str, kind: str, data: Json, key: str) -> None:
        """Publish an event to a user's topic, and with the user's name to `EVERY_USER`."""
        self.publish(Ephemeral(user_topic(user), kind, data, key))
        if self.watched(EVERY_USER):
            self.publish(Ephemeral(EVERY_USER, kind, data, users_own(user, key), user=user))
