"""The heartbeats of one native connection: for each project the position up to which it was sent all."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable
from typing import Final

from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Heartbeat
from tasktree_rt.core.topics import WILDCARD
from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.delivery.socket_subscriber import SocketSubscriber
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.projects.recent_changes import Turns

MAX_BEATS: Final = 100
"""Projects that one heartbeat names at most, of those subscribed by name and of ``*`` each."""


class Positions:
    """Send `subscriber` its positions every `heartbeat_interval`."""

    __slots__ = ("_due", "_hub", "_last_named", "_subscriber", "_turns")

    def __init__(self, hub: Hub, subscriber: SocketSubscriber) -> None:
        self._hub = hub
        self._subscriber = subscriber
        self._due = hub.heartbeats.first(subscriber.begun)
        self._last_named = ""
        self._turns: Turns | None = None

    def beat(self, now: float) -> None:
        """Send a heartbeat if one is due."""
        if now >= self._due:
            self._due = self._hub.heartbeats.after(self._due, now)
            self.tell(now)

    def tell(self, now: float) -> None:
        """Send a heartbeat, unless one waits already."""
        subscriber = self._subscriber
        unsent: set[str] = set()
        if not subscriber.idle:
            if subscriber.closing or subscriber.outbox.waits(Heartbeat):
                return
            unsent = subscriber.outbox.unsent
        heartbeat, data = self._hub.heartbeats.encoded(subscriber.dialect, self._positions(now, unsent), now)
        if data is not None:
            subscriber.say(data, heartbeat)

    def _positions(self, now: float, unsent: Collection[str]) -> dict[str, Position]:
        """Return the last positions sent, of as many projects as one heartbeat names."""
        hub, subscriber = self._hub, self._subscriber
        if subscriber.feeds.wildcard is not None:
            return {}
        topics = hub.index.topics(subscriber)
        positions: dict[str, Position] = {}
        for name in self._in_turn(topics, now):
            project = hub.subscriptions.loaded(name)
            live = name not in unsent and subscriber.feeds.is_live(name)
            if project is None or project.epoch == "":
                continue
            if live and not hub.fanout.underway(name):
                positions[name] = project.position
            elif self._turns is not None and name not in topics:
                self._turns.owed.append(name)
        return positions

    def _in_turn(self, topics: frozenset[str], now: float) -> Iterable[str]:
        """Return the next projects: `MAX_BEATS` subscribed by name, and as many changed ones of ``*``."""
        if WILDCARD not in topics:
            return self._named(topics)
        subscriber = self._subscriber
        if self._turns is None:
            self._turns = Turns()

        def wanted(name: str) -> bool:
            return (
                name not in topics
                and self._hub.index.wants(subscriber, name)
                and access.may_watch(subscriber.grants, name)
            )

        return [*self._named(topics), *self._turns.next(self._hub.recent_changes, wanted, now, MAX_BEATS)]

    def _named(self, topics: frozenset[str]) -> Iterable[str]:
        if len(topics) <= 1:
            return topics - {WILDCARD}
        names = sorted(topics - {WILDCARD})
        if len(names) <= MAX_BEATS:
            return names
        start = bisect_right(names, self._last_named) % len(names)
        found = [*names[start:], *names[:start]][:MAX_BEATS]
        self._last_named = found[-1]
        return found
