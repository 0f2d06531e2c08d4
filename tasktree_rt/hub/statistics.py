"""How a hub does: whether it takes publishes, and its counts at a glance."""

from __future__ import annotations

from attrs import frozen

from tasktree_rt.hub.delivery.connections import Connections
from tasktree_rt.hub.delivery.fanout import Fanout
from tasktree_rt.hub.projects.cache import ProjectCache
from tasktree_rt.hub.projects.quotas import PROJECT, Quotas
from tasktree_rt.hub.publish.committer import Committer
from tasktree_rt.hub.stopping import Stopping


@frozen
class Statistics:
    """The hub at a glance. `outbox_…` waits in outboxes now; `events_in` and `messages_out` count from the
    hub's beginning; `publish_seconds` is what the newest took from its arrival until every outbox had it."""

    connections: int
    subscriptions: int
    projects_loaded: int
    projects_bytes: int
    publishes_waiting: int
    outbox_messages: int
    outbox_bytes: int
    lagging: int
    ticks: int
    events_in: int
    messages_out: int
    publish_seconds: float
    store: str
    store_error: str | None
    draining: bool


class Health:
    """Look at the parts of a hub.

    Attributes:
        store: the name of the store.
        outside: how systems do that the hub listens to, by name: ``up``, or what is wrong.
    """

    def __init__(
        self,
        store: str,
        stopping: Stopping,
        committer: Committer,
        fanout: Fanout,
        cache: ProjectCache,
        connections: Connections,
        holdings: Quotas,
    ) -> None:
        self.store = store
        self.outside: dict[str, str] = {}
        self._stopping = stopping
        self._committer = committer
        self._fanout = fanout
        self._cache = cache
        self._connections = connections
        self._holdings = holdings

    @property
    def trouble(self) -> str | None:
        """Why the hub takes no publishes now; None while it does."""
        return "draining" if self._stopping.begun else self._committer.store_error

    @property
    def stored_projects(self) -> int:
        """How many projects have a log, or will have one shortly."""
        return self._holdings.total(PROJECT)

    def statistics(self) -> Statistics:
        """Count what there is now."""
        everyone = self._connections.values()
        return Statistics(
            connections=len(everyone),
            subscriptions=sum(len(self._connections.topics_of(one)) for one in everyone),
            projects_loaded=len(self._cache),
            projects_bytes=self._cache.footprints.bytes,
            publishes_waiting=self._committer.waiting,
            outbox_messages=sum(one.outbox.waiting for one in everyone),
            outbox_bytes=sum(one.outbox.waiting_bytes for one in everyone),
            lagging=sum(1 for one in everyone if one.feeds.watch),
            ticks=self._fanout.ticks,
            events_in=self._fanout.events,
            messages_out=self._fanout.messages,
            publish_seconds=round(self._fanout.took, 6),
            store=self.store,
            store_error=self._committer.store_error,
            draining=self._stopping.begun,
        )
