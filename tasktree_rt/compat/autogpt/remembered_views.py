"""What a connection of live views was subscribed to, for the next one of the same user.

AutoGPT's own hook for executions subscribes once, and never again after its connection was lost: every
close would silence it. So what the hub closed, or what broke off, leaves its subscriptions behind for a
while. Every connection of that user that comes meanwhile gets them, and of what was shown in between the
newest event of each execution and node execution. A client that closes by itself leaves nothing.

A hub that stops writes them into a log of its own for each user, which nobody can ask for, and where the
next hub finds them.
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
from tasktree_rt.hub.publish.committer import Committer
from tasktree_rt.hub.publish.new_projects import NewProjects
from tasktree_rt.hub.publish.pending_publish import PendingPublish

log: Final[BoundLogger] = get_logger("tasktree_rt.hub")
MOST_USERS: Final = 10_000
MOST_BYTES: Final = 67_108_864
"""Of what waits for all who were closed; beyond, what waits for those who were closed first is given up."""
MOST_TOPICS: Final = 100_000
"""Subscriptions that all who left may have left, some 100 MB; beyond, those who left first are forgotten."""
MOST_STORED: Final = 65_536
"""Characters of subscriptions that are written down for a user, the newest."""
ROUND: Final = 1.0
LEFT: Final = "views_left"
"""The event in that log: ``{"views": [[kind, name], …], "until": time}``."""
HIDDEN: Final = "\x1fviews:"
"""Before a user's id: with it, it is nobody's (`topics.user_id`)."""
MISSED: Final = "Events may have been missed while no connection stood. Reload, then subscribe again"
View = tuple[str, str]
"""A kind, and a name."""


class Absent:
    """Stands in the live topics for connections of a user that are gone, and holds what they miss.

    Attributes:
        until: when it is given up; `trio.current_time`.
        topics: what they were subscribed to, the newest last.
        missed: whether more came than is held.
    """

    def __init__(self, dialect: Dialect, most_messages: int, most_bytes: int) -> None:
        self.dialect = dialect
        self.until = math.inf
        self.topics: dict[str, None] = {}
        self.missed = False
        self.held = LastValueQueue()
        self._most = most_messages, most_bytes

    def show(self, key: Key, data: bytes, *, last: bool = False) -> None:
        """See `live.Viewer`: it waits."""
        if self.missed:
            return
        self.held.put(key, data, last=last)
        if len(self.held) > self._most[0] or (self.held.size > self._most[1] and len(self.held) > 1):
            self.give_up()

    def unshow(self, topic: str | None) -> None:
        """See `live.Viewer`."""
        self.held.forget(topic)

    def close(self, closing: Closing, reason: str = "") -> None:
        """See `live.Viewer`: there is nothing left to close."""
        self.give_up()

    def give_up(self) -> None:
        """Hold nothing any more."""
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
    """See the module's docstring."""

    def __init__(
        self,
        context: HubContext,
        cache: ProjectCache,
        committer: Committer,
        births: NewProjects,
        live: EphemeralTopics,
    ) -> None:
        self._context = context
        self._cache = cache
        self._committer = committer
        self._births = births
        self._live = live
        self._window = context.settings.autogpt.inherit_window
        # The other half is for what the next connection asks for itself.
        self._most = max(1, context.settings.limits.max_subscriptions // 2)
        self._absent: dict[str, Absent] = {}
        self._topics = 0
        """How many subscriptions were left, in all."""
        self._some = trio.Event()
        self._began = context.wall()

    async def run(self) -> None:
        """Give up whom the time has come for; runs until cancelled."""
        while True:
            await self._some.wait()
            while self._absent:
                await trio.sleep(ROUND)
                self._expire()
            self._some = trio.Event()

    # --- leaving ----------------------------------------------------------------------------------

    def left(self, user: str, dialect: Dialect, topics: Iterable[str]) -> None:
        """A connection of the user's was closed or lost; what it asked for itself comes last."""
        own = [one for one in topics if read_live_topic(one) is not None]
        if not self._window or not own:
            return
        absent = self._absent.pop(user, None) or self._new(dialect)
        self._absent[user] = absent  # the last: those who left first come first
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
        """Give up whose time is over, and what waits where it is too much together: the oldest first."""
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
        """A connection of the user's begins: it gets what others left."""
        absent = self._absent.get(user)
        if absent is None:
            return
        try:
            for topic in absent.topics:
                self._live.subscribe(subscriber, topic)
        except PeerError:
            pass  # as many as one connection may have
        if absent.missed:
            subscriber.reply(Failure("gone", MISSED))
        for key, data in absent.held.items():
            subscriber.show(key, data)

    # --- over a restart ---------------------------------------------------------------------------

    async def keep(self, patience: float) -> None:
        """Write down what was left: the hub stops, and has so many seconds for it."""
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
        """Write down one user's; what was written comes to `kept`."""
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
        ticket = self._committer.accept(project, [event])
        ticket.settled.append(lambda over: kept.append(over) if over.error is None else None)
        self._births.accepted("", ticket, project)

    @property
    def recalls(self) -> bool:
        """Whether `recall` may find anything: only for a while after the hub started."""
        return 0 <= self._context.wall() - self._began < self._window * 1_000_000

    async def recall(self, user: str) -> list[View]:
        """What a hub that stopped a short while ago wrote down for the user.

        Raises:
            PeerError: it cannot be read.
        """
        project = await self._cache.load(hidden_topic(user))
        since = project.position_at(max(project.log.floor, project.tree.head - 1))
        found = project.log.since(since)
        records = found.records if isinstance(found, Recovered) else ()
        return [view for one in records for view in _views(one, micros_to_time(self._context.wall()))]


def hidden_topic(user: str) -> str:
    """The log in which a user's subscriptions are written down."""
    return user_topic(f"{HIDDEN}{user}")


def _views(record: Record, now: str) -> list[View]:
    """What is written there, if its time is not over; times compare as texts."""
    data = json.loads(record.body)["data"]
    return [(kind, name) for kind, name in data["views"]] if data["until"] > now else []
