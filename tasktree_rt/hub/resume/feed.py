"""The contracts of feeds and their readers, and the messages that pass between them.

A *feed* makes a connection's next message at the moment when it can be sent: `catchup.Catchup` for one
project, `wildcard.WildcardSubscription` for all, `StatusWatcher` for an execution's status. The *reader* is
the connection that asks it (`Subscriber`); the *source* is the hub, which knows the projects.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import Final, Protocol

from attrs import frozen

from tasktree_rt.brokers.base import Death, Summary
from tasktree_rt.core.access import Grants
from tasktree_rt.core.conflation import ConflatedEvents
from tasktree_rt.core.events import ProjectId, Record
from tasktree_rt.core.log import Gap, Position, Recovered
from tasktree_rt.core.protocol import Message, Policy, Subscribed
from tasktree_rt.core.tree import Tree
from tasktree_rt.dialects.base import Encoding
from tasktree_rt.errors import ProjectDamaged
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.projects.shared_snapshot import SharedSnapshot
from tasktree_rt.metrics import Metrics


@frozen
class Events:
    """Consecutive events of one epoch of a project, as a message."""

    project_id: str
    epoch: str
    records: tuple[Record, ...]


@frozen
class Finished:
    """Messages, encoded for the wire in a language without compression."""

    encoding: Encoding


@frozen
class ResumePoint:
    """What a reader has of a project: the state at `position`.

    `owed`: the reason of a state of which the hub has not sent all parts yet; None without one.
    """

    position: Position
    owed: str | None = None


class Guard(Enum):
    """Marks a project in `Feeds.special` whose present tick does not concern the subscriber."""

    GUARD = "guard"


GUARD: Final = Guard.GUARD


class Memory(Protocol):
    """The newest events of a log."""

    @property
    def floor(self) -> int:
        """Return the position from which `since` can still answer."""

    def since(self, position: Position, limit: int | None = None) -> Recovered | Gap:
        """Return the events after a position, or why it cannot."""


class Watched(Protocol):
    """What a connection watches, as far as a feed needs it: a project, or a branch of one."""

    @property
    def project_id(self) -> ProjectId:
        """Return its topic."""

    @property
    def epoch(self) -> str:
        """Return the present epoch; "" without a log."""

    @property
    def floor(self) -> int:
        """Return the oldest position from which events can be read."""

    @property
    def tree(self) -> Tree:
        """Return what its readers see."""

    @property
    def log(self) -> Memory:
        """Return its events in memory."""

    @property
    def shown(self) -> ConflatedEvents:
        """Return the events that a conflated message shows."""

    @property
    def death(self) -> Death | None:
        """Return the end of its last epoch."""

    @property
    def position(self) -> Position:
        """Return the position of its last event."""

    def position_at(self, seq: int) -> Position:
        """Return the position of `seq` in the current epoch."""

    def snapshot(self, least: int = 0) -> SharedSnapshot:
        """Return the state to send now, not older than seq `least`."""


class Feed(Protocol):
    """Makes one connection's next messages, each at the moment when it can be sent."""

    @property
    def must_fetch(self) -> bool:
        """Return whether the caller has to await `fetch` before the next `step`."""

    async def fetch(self) -> None:
        """Read from the store what the next `step` needs.

        Raises:
            StoreUnavailable, Unavailable: the store does not answer now.
        """

    def step(self) -> Message | Events | Finished | None:
        """Make the next message; None if there is none for now, or the reader has to ask again."""


class ProjectFeed(Feed, Protocol):
    """The feed of one project that is not live for its reader."""

    @property
    def position(self) -> Position:
        """Return the position that the feed continues from."""

    @property
    def resume_point(self) -> ResumePoint:
        """Return what the reader has got."""

    @property
    def unanswered(self) -> Subscribed | None:
        """Return the reply to the request for it, if it was not sent yet."""


class TopicFeed(Feed, Protocol):
    """A feed that makes messages when no other feed has one."""

    @property
    def topic(self) -> str:
        """Return the project of its messages."""

    @property
    def ready(self) -> bool:
        """Return whether `step` may have a message."""


class Reader(Protocol):
    """The connection that a feed makes messages for, as far as the feed needs it."""

    @property
    def closing(self) -> bool:
        """Return whether the hub sends it nothing new."""

    @property
    def grants(self) -> Grants:
        """Return what it may watch."""

    @property
    def meter(self) -> Metrics:
        """Return the metrics that count catch-ups."""

    def policy_for(self, project_id: str) -> Policy:
        """Return what the hub does with a project that does not fit into the outbox."""

    def catch_up(self, project_id: str, catchup: ProjectFeed) -> None:
        """Send what `catchup` makes instead of the project's events as they come."""

    def set_wildcard(self, wildcard: None) -> None:
        """End the opening of ``*``: all projects are open."""

    def replace(self, project: Watched) -> ResumePoint | None:
        """End the subscription that another one replaces; returns what it had sent, if there was one."""

    def went_live(self, project_id: str) -> None:
        """Note that the reader has everything up to the applied head: events go out as they come."""


class Source(Protocol):
    """What a feed needs of the hub."""

    @property
    def message_limit(self) -> int:
        """Return the largest message of a peer, in bytes; a conflated one stays below."""

    def loaded(self, topic: str) -> Watched | None:
        """Return the project or the branch, if it is in memory."""

    def damage(self, project_id: str) -> ProjectDamaged | None:
        """Return what is wrong with a project, as far as it is known."""

    async def project(self, project_id: str) -> Project:
        """Return the project, read from the store if need be."""

    async def page(self, after: str) -> list[Summary]:
        """Return the next projects by id, after one."""

    async def read(self, project: Watched, since: Position, limit: int) -> Recovered | Gap:
        """Read older events from the store."""

    def underway(self) -> tuple[int, Collection[str]]:
        """Return the number of the tick that runs now and its projects; none if there is none."""
