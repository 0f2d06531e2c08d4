"""Keeps the subscriptions of a lost connection for the next connection of the same user.

AutoGPT's own hook for executions subscribes once, and not again after a lost connection: every close would
silence it. So a connection that the hub closed, or that broke, leaves its subscriptions behind for a while.
Each new connection of that user in this time gets them, and the newest event of each execution and node
execution published in between. A client that closes its connection itself leaves none.

A hub that stops stores them in a hidden log of each user, where the next hub finds them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import trio
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.core.close_codes import Closing
from tasktree_rt.core.events import Event, ProjectId, Record, micros_to_time
from tasktree_rt.core.log import Recovered
from tasktree_rt.core.protocol import Failure
from tasktree_rt.core.topics import read_live_topic, user_topic
from tasktree_rt.dialects.base import Dialect, plain
from tasktree_rt.errors import PeerError, StoreUnavailable
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.delivery.ephemeral_topics import EphemeralTopics
from tasktree_rt.hub.delivery.last_value_queue import Key, LastValueQueue
from tasktree_rt.hub.delivery.subscriber import Subscriber
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.projects.cache import ProjectCache
from tasktree_rt.hub.projects.new_projects import NewProjects
from tasktree_rt.hub.publish.committer import Committer
from tasktree_rt.hub.publish.pending_publish import PendingPublish

log: Final[BoundLogger] = get_logger("tasktree_rt.hub")
MOST_USERS: Final = 10_000
MOST_BYTES: Final = 67_108_864
"""Bytes of waiting events of all absent users; beyond that the hub drops those of the first to leave."""
MOST_TOPICS: Final = 100_000
"""Subscriptions of all absent users, some 100 MB; beyond that the hub drops those of the first to leave."""
MOST_STORED: Final = 65_536
"""Characters of the newest subscriptions that the hub stores for a user."""
ROUND: Final = 1.0
LEFT: Final = "views_left"
"""The event in the hidden log: ``{"views": [[kind, name], …], "until": time}``."""
HIDDEN: Final = "\x1fviews:"
"""Prefix of a user's id in the hidden log's topic; no user id may begin with it (`topics.user_id`)."""
MISSED: Final = "Events may have been missed while no connection was open. Reload, then subscribe again"
View = tuple[str, str]
"""A topic's kind and name."""


class Absent:
    """Subscriber in place of a user's lost connections; holds the events that they miss.

    Attributes:
        until: the `trio.current_time` at which the hub forgets it.
        topics: the subscriptions of those connections, the newest last.
        missed: True once it dropped events.
    """

    def __init__(self, dialect: Dialect, most_messages: int, most_bytes: int) -> None:
        self.dialect = dialect
        self.until = math.inf
        self.topics: dict[str, None] = {}
        self.missed = False
        self.held = LastValueQueue()
        self._most = most_messages, most_bytes

    def send_ephemeral(self, key: Key, data: bytes, *, last: bool = False) -> None:
        """Hold an event for the next connection; see `ephemeral_topics.TopicViewer`."""
        if self.missed:
            return
        self.held.put(key, data, last=last)
        if len(self.held) > self._most[0] or (self.held.size > self._most[1] and len(self.held) > 1):
            self.give_up()

    def drop_ephemeral(self, topic: str | None) -> None:
        """Drop the held events of a topic; see `ephemeral_topics.TopicViewer`."""
        self.held.forget(topic)

    def close(self, closing: Closing, reason: str = "") -> None:
        """Drop the held events; see `ephemeral_topics.TopicViewer`."""
        self.give_up()

    def give_up(self) -> None:
        """Drop the held events, and hold no more."""
        self.missed, self.held = True, LastValueQueue()


def remembered_views(hub: Hub) -> RememberedViews:
    """Return the hub's `RememberedViews`; the first call makes them (`hub.extensions`)."""
    return hub.extensions.get(
        RememberedViews,
        lambda: RememberedViews(
            hub.context, hub.cache, hub.committer, hub.new_projects, hub.ephemeral_topics
        ),
    )


class RememberedViews:
    """Subscriptions and held events of absent users."""

    def __init__(
        self,
        context: HubContext,
        cache: ProjectCache,
        committer: Committer,
        new_projects: NewProjects,
        live: EphemeralTopics,
    ) -> None:
        self._context = context
        self._cache = cache
        self._committer = committer
        self._new_projects = new_projects
        self._live = live
        self._window = context.settings.autogpt.inherit_window
        # The other half is for the next connection's own subscriptions.
        self._most = max(1, context.settings.limits.max_subscriptions // 2)
        self._absent: dict[str, Absent] = {}
        self._topics = 0
        """Subscriptions of all absent users."""
        self._some = trio.Event()
        self._began = context.wall()

    async def run(self) -> None:
        """Forget absent users when their time is over; runs until cancelled."""
        while True:
            await self._some.wait()
            while self._absent:
                await trio.sleep(ROUND)
                self._expire()
            self._some = trio.Event()

    # --- leaving ----------------------------------------------------------------------------------

    def left(self, user: str, dialect: Dialect, topics: Iterable[str]) -> None:
        """Keep the subscriptions of a lost connection; its own come last."""
        own = [one for one in topics if read_live_topic(one) is not None]
        if not self._window or not own:
            return
        absent = self._absent.pop(user, None) or self._new(dialect)
        self._absent[user] = absent  # moved to the end: the first to leave come first
        self._topics -= len(absent.topics)
        absent.until = trio.current_time() + self._window
        for topic in own:
            absent.topics.pop(topic, None)
            absent.topics[topic] = None
        for topic in list(absent.topics)[: -self._most]:
            del absent.topics[topic]
            self._live.unsubscribe(absent, topic)
        for topic in own:
            if topic in absent.topics:
                self._live.subscribe(absent, topic)
        self._topics += len(absent.topics)
        while len(self._absent) > 1 and (len(self._absent) > MOST_USERS or self._topics > MOST_TOPICS):
            self._forget(next(iter(self._absent)))
        self._some.set()

    def _new(self, dialect: Dialect) -> Absent:
        delivery = self._context.settings.delivery
        return Absent(dialect, delivery.outbox_messages, delivery.outbox_bytes)

    def _expire(self) -> None:
        """Forget absent users whose time is over; drop the oldest held events above `MOST_BYTES`."""
        now, total = trio.current_time(), 0
        for user, one in list(self._absent.items()):
            if one.until <= now:
                self._forget(user)
        for one in reversed(self._absent.values()):
            total += one.held.size
            if total > MOST_BYTES:
                one.give_up()

    def _forget(self, user: str) -> None:
        absent = self._absent.pop(user)
        self._topics -= len(absent.topics)
        self._live.remove(absent)

    # --- coming back ------------------------------------------------------------------------------

    def inherit(self, user: str, subscriber: Subscriber) -> None:
        """Subscribe a new connection to the user's kept topics, and send it the held events."""
        absent = self._absent.get(user)
        if absent is None:
            return
        try:
            for topic in absent.topics:
                self._live.subscribe(subscriber, topic)
        except PeerError:
            pass  # the connection has as many subscriptions as it may have
        if absent.missed:
            subscriber.reply(Failure("gone", MISSED))
        for key, data in absent.held.items():
            subscriber.send_ephemeral(key, data)

    # --- over a restart ---------------------------------------------------------------------------

    async def keep(self, patience: float) -> None:
        """Store the kept subscriptions when the hub stops, in at most `patience` seconds."""
        everyone, kept = list(self._absent.items()), list[PendingPublish]()
        if not everyone:
            return
        with trio.move_on_after(patience):
            for user, absent in everyone:
                with suppress(PeerError, StoreUnavailable):
                    await self._write(user, absent, kept)
            await self._committer.quiet()
        if len(kept) < len(everyone):
            log.warning("subscriptions not kept over the restart", users=len(everyone) - len(kept))

    async def _write(self, user: str, absent: Absent, kept: list[PendingPublish]) -> None:
        """Store a user's subscriptions; add the publish to `kept` once it is stored."""
        topic = hidden_topic(user)
        project = self._cache.get(topic) or await self._cache.load(topic)
        if self._cache.get(topic) is not project:
            return
        views, size = list[View](), 0
        for name in reversed(absent.topics):
            size += len(name)
            if (view := read_live_topic(name)) is not None and size <= MOST_STORED:
                views.append((view[0], view[2]))
        left = int((absent.until - trio.current_time()) * 1_000_000)
        data = {"views": views[::-1], "until": micros_to_time(self._context.wall() + left)}
        event = Event(LEFT, ProjectId(topic), plain(data), self._context.timestamp())
        pending = self._committer.accept(project, [event])
        pending.callbacks.append(lambda done: kept.append(done) if done.error is None else None)
        if project.epoch == "":
            pending.callbacks.append(self._new_projects.begin("", project))

    @property
    def recalls(self) -> bool:
        """True for a short time after the hub started, in which `recall` may find subscriptions."""
        return 0 <= self._context.wall() - self._began < self._window * 1_000_000

    async def recall(self, user: str) -> list[View]:
        """Return the user's subscriptions that a hub stored when it stopped a short time ago.

        Raises:
            PeerError: the log cannot be read.
        """
        project = await self._cache.load(hidden_topic(user))
        since = project.position_at(max(project.log.floor, project.tree.head - 1))
        found = project.log.since(since)
        records = found.records if isinstance(found, Recovered) else ()
        return [view for one in records for view in _views(one, micros_to_time(self._context.wall()))]


def hidden_topic(user: str) -> str:
    """Return the topic of the hidden log with a user's subscriptions."""
    return user_topic(f"{HIDDEN}{user}")


def _views(record: Record, now: str) -> list[View]:
    """Return the subscriptions in a record if their time is not over; times compare as texts."""
    data = json.loads(record.body)["data"]
    return [(kind, name) for kind, name in data["views"]] if data["until"] > now else []
