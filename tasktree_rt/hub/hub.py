"""The hub: publish, subscribe, broadcast. The public API for embedding in a Trio program.

::

    async with open_hub(MemoryBroker(), Settings()) as hub:
        await hub.publish([Event("node_update", ProjectId("p"), {...}, hub.timestamp())])
        async with hub.subscribe("p", state=True) as messages:
            async for message in messages:
                ...

Everything here is called from the Trio task tree the hub runs in. See docs/embedding.md.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import trio

from tasktree_rt.brokers.base import (
    ApiKey,
    Broker,
    Found,
    Hit,
    Interaction,
    Key,
    Place,
    Revocation,
    Where,
)
from tasktree_rt.brokers.base import Snapshot as SnapshotInfo
from tasktree_rt.core.topics import TopicIndex
from tasktree_rt.dialects.deflate import Compressor
from tasktree_rt.hub.access.administration import Administration
from tasktree_rt.hub.access.hooks import NO_HOOKS, Decisions, Hooks
from tasktree_rt.hub.access.subscription_tokens import SubscriptionTokens, signing_key
from tasktree_rt.hub.cluster.following import FollowedProjects
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.delivery.broadcast import Broadcasts
from tasktree_rt.hub.delivery.connections import Connections
from tasktree_rt.hub.delivery.disconnecting import Disconnecting
from tasktree_rt.hub.delivery.draining import Drain
from tasktree_rt.hub.delivery.ephemeral_sources import EverySource, ViewSource
from tasktree_rt.hub.delivery.ephemeral_topics import EphemeralTopics
from tasktree_rt.hub.delivery.fanout import Fanout
from tasktree_rt.hub.delivery.foreign_events import ForeignEvents
from tasktree_rt.hub.delivery.heartbeat_schedule import Heartbeats
from tasktree_rt.hub.delivery.in_process import InProcess
from tasktree_rt.hub.delivery.keepalive import Keepalive, Lively
from tasktree_rt.hub.delivery.subscriber import Subscriber
from tasktree_rt.hub.delivery.subscriptions import Subscriptions
from tasktree_rt.hub.executions.status_notifier import StatusNotifier
from tasktree_rt.hub.executions.work_queue import RESCAN, WorkQueue
from tasktree_rt.hub.extensions import Extensions
from tasktree_rt.hub.fair_turns import FairTurns
from tasktree_rt.hub.interactions.command_routing import Orchestrators
from tasktree_rt.hub.interactions.commands import Commands
from tasktree_rt.hub.interactions.deadlines import Deadlines
from tasktree_rt.hub.interactions.lookup import InteractionLookup
from tasktree_rt.hub.interactions.notifications import Notifications
from tasktree_rt.hub.interactions.project_end import ProjectEnd
from tasktree_rt.hub.interactions.prompts import Prompts
from tasktree_rt.hub.interactions.registry import InteractionRegistry
from tasktree_rt.hub.interactions.resolution import Resolution
from tasktree_rt.hub.limits.caller import caller_of
from tasktree_rt.hub.limits.holdings import Holdings
from tasktree_rt.hub.limits.rates import RateLimits
from tasktree_rt.hub.projects.activity import Activity
from tasktree_rt.hub.projects.branches import Branches
from tasktree_rt.hub.projects.cache import ProjectCache
from tasktree_rt.hub.projects.checkpoints import Checkpoints
from tasktree_rt.hub.projects.directory import ProjectDirectory
from tasktree_rt.hub.projects.history import History
from tasktree_rt.hub.projects.idle_projects import IdleProjects
from tasktree_rt.hub.projects.large_values import LargeValues
from tasktree_rt.hub.projects.named_snapshots import NamedSnapshots
from tasktree_rt.hub.projects.new_projects import NewProjects
from tasktree_rt.hub.projects.past_states import PastStates
from tasktree_rt.hub.projects.quotas import Quotas
from tasktree_rt.hub.projects.recent_changes import RecentChanges
from tasktree_rt.hub.projects.repairs import Repairs
from tasktree_rt.hub.projects.retention import RetentionTask
from tasktree_rt.hub.projects.search import Searches
from tasktree_rt.hub.projects.series import SeriesIndex
from tasktree_rt.hub.projects.stored_bytes import StoredBytes
from tasktree_rt.hub.publish.committer import Committer
from tasktree_rt.hub.publish.pending_publish import PendingPublish, PublishReceipt, result
from tasktree_rt.hub.publish.publisher import Publisher
from tasktree_rt.hub.publish.write_behind import WriteBehind
from tasktree_rt.hub.resume.feed import Events
from tasktree_rt.hub.statistics import Health, Statistics
from tasktree_rt.hub.stopping import Stopping
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Settings

Accepted = PendingPublish
Published = PublishReceipt
"""Their names in the first releases."""

__all__ = [
    "Accepted",
    "ApiKey",
    "Events",
    "Found",
    "Hit",
    "Hub",
    "Interaction",
    "Key",
    "Place",
    "PublishReceipt",
    "Published",
    "Revocation",
    "SnapshotInfo",
    "Statistics",
    "Where",
    "open_hub",
    "result",
]


class Hub:
    """See the module's docstring; made by `open_hub`. It composes the parts, and none of them sees it.

    Attributes:
        connections: every connection by its id.
        access: asks the team's own service (`hooks`) what a caller may do.
        subscription_tokens: makes tokens for pages that watch one project.
    """

    def __init__(self, broker: Broker, context: HubContext, access: Hooks = NO_HOOKS) -> None:
        self.context = context
        self.hooks = access
        self.access = Decisions(context, access)
        self.settings = context.settings
        self.meter = context.meter
        self.timestamp = context.timestamp
        self.report_fault = context.report_fault
        self.fair_turns = FairTurns()
        self.rates = RateLimits(context.settings.rates)
        self.heartbeats = Heartbeats(context.settings.delivery.heartbeat_interval, context.timestamp)
        compression = context.settings.compression
        self.compressor = Compressor(compression.min_size, compression.level, context.meter.compressed)
        self.sessions: dict[Lively, None] = {}
        self.view_source: ViewSource = EverySource()
        self._broker = broker
        self.stopping = Stopping()
        self.administration = Administration(
            context,
            broker.access,
            end=lambda reason: self.disconnecting.end_revoked(reason),  # noqa: PLW0108 - made later
        )
        self.subscription_tokens = SubscriptionTokens(
            signing_key(context.settings.auth), self.wall, self.administration.reason
        )
        self._compose_projects()
        self._compose_commits()
        self._compose_delivery()
        self._compose_publishing()
        self._compose_interactions()
        self._compose_foreign()
        self._compose_upkeep()
        self._compose_cluster()

    def wall(self) -> int:
        """Return the time now, in microseconds since the Unix epoch."""
        return self.context.wall()

    @property
    def draining(self) -> bool:
        """Whether the hub stops, and accepts no publishes any more."""
        return self.stopping.begun

    @property
    def drained(self) -> trio.Event:
        """Set once the hub stops and has told every connection."""
        return self.stopping.over

    # --- composing --------------------------------------------------------------------------------

    def _compose_projects(self) -> None:
        context, limits = self.context, self.settings.limits
        past = PastStates()
        self.large_values = LargeValues(limits.max_inline_value)
        self.quotas = Quotas(limits)
        self.snapshots = NamedSnapshots(
            self._broker, self.quotas, past, limits.max_snapshots_per_project, context.wall
        )
        self.new_projects = NewProjects(self.quotas, self.rates, self.snapshots.ended)
        self.recent_changes = RecentChanges()
        self.cache = ProjectCache(
            self._broker,
            limits.max_loaded_bytes,
            self.large_values,
            damaged=lambda project: self.activity.damaged(project),  # noqa: PLW0108 - made later
            crowded=lambda: self.idle_projects.put_away(),  # noqa: PLW0108 - made later
        )
        self.branches = Branches(
            self.cache,
            most=limits.max_branches,
            watched=lambda topic: self.index.is_named(topic),  # noqa: PLW0108 - made later
        )
        self.directory = ProjectDirectory(
            self.cache,
            tidy=lambda: self.idle_projects.put_away(),  # noqa: PLW0108 - made later
            failed=context.report_fault,
        )
        self.stored_bytes = StoredBytes(limits, self.cache.get)
        self.activity = Activity(
            context, self.new_projects, self.cache, self.directory, self.recent_changes, self.stored_bytes
        )
        self.observe = self.activity.observe
        self.series = SeriesIndex(
            self.cache,
            observe=self.observe,
            tidy=lambda: self.idle_projects.put_away(),  # noqa: PLW0108 - made later
        )
        self.checkpoints = Checkpoints(self._broker, self.large_values)
        self.history = History(self._broker, self.cache, self.checkpoints, past, self.large_values)
        self.state = self.history.state
        self.searches = Searches(context, self._broker)

    def _compose_commits(self) -> None:
        context = self.context
        limits = self.settings.limits
        self._subscribed = Holdings(
            "subscriptions",
            "max_subscriptions",
            per_address=limits.max_subscriptions_per_address,
            per_subject=limits.max_subscriptions_per_subject,
        )
        self.index: TopicIndex[Subscriber] = TopicIndex(
            lambda one, more: self._subscribed.add(caller_of(one.grants, one.address), more)
        )
        self.committer = Committer(self._broker, context)
        self.fanout = Fanout(
            context,
            self.index,
            finished=self.committer.finish,
            touched=self.activity.touched,
            tidy=self.branches.tidy,
        )
        self.committer.connect(self.fanout.committed, self.fanout.room)

    def _compose_delivery(self) -> None:
        context, settings = self.context, self.settings
        self.ephemeral_topics = EphemeralTopics(settings.limits.max_subscriptions, context.report_fault)
        self.status_notifier = StatusNotifier(settings.execution.status_interval, context.report_fault)
        self.activity.observe(self.status_notifier.changed)
        self.subscriptions = Subscriptions(
            context,
            self.cache,
            self.branches,
            self.fanout,
            self.index,
            self.access,
            self.subscription_tokens,
            self._subscribed,
        )
        connected = Holdings(
            "connections",
            "max_connections",
            per_address=settings.limits.max_connections_per_address,
            per_subject=settings.limits.max_connections_per_subject,
        )
        self.connections = Connections(
            context, self.cache, self.index, self.ephemeral_topics, self.subscriptions, connected
        )
        self.disconnecting = Disconnecting(self.connections, self.administration.requests)
        self.subscribe = InProcess(self.connections, self.subscriptions).subscribe
        self.broadcasts = Broadcasts(context, self.connections, self.index)
        self.broadcast = self.broadcasts.broadcast
        self.send_personal_message = self.broadcasts.send_personal_message
        index, statuses, branches = self.index, self.status_notifier, self.branches
        self.idle_projects = IdleProjects(
            self.cache,
            named=lambda name: index.is_named(name) or statuses.watched(name) or branches.watched(name),
            underway=self.fanout.underway,
            catching_up=self.connections.catching_up,
        )

    def _compose_publishing(self) -> None:
        context, broker, cache, committer = self.context, self._broker, self.cache, self.committer
        self.registry = registry = InteractionRegistry(self.quotas)
        self.orchestrators = Orchestrators(context, registry)
        self._project_end = ProjectEnd(context, cache, committer, registry, self.orchestrators.give)
        renew, touched = self.subscriptions.renew, self.activity.touched
        recoveries = Repairs(context, broker, cache, registry, renew=renew, touched=touched)
        self.recover = recoveries.recover
        self.publisher = Publisher(
            context,
            cache,
            committer,
            self.new_projects,
            self.stored_bytes,
            self._project_end,
            self.stopping,
            recoveries.underway,
        )
        self.publish = self.publisher.publish
        self.broadcast_to_project = self.publisher.broadcast_to_project
        self.delete_project = self.publisher.delete_project

    def _compose_interactions(self) -> None:
        context, broker, registry, publisher = self.context, self._broker, self.registry, self.publisher
        self.interactions = lookup = InteractionLookup(context, broker, registry)
        self.resolution = Resolution(
            context, publisher, registry, self.quotas, resolved=self._project_end.resolved
        )
        self.prompts = Prompts(
            context, broker, lookup, self.resolution, registry, self.access, self.ephemeral_topics.show_user
        )
        self.commands = Commands(context, lookup, self.resolution, registry, self.orchestrators, self.access)
        self.notifications = Notifications(publisher, self.cache, self.ephemeral_topics.show_user)
        self.executions = WorkQueue(
            context,
            publisher,
            self.cache,
            self.activity,
            self.idle_projects,
            self.stopping,
            self.access,
            rescan=math.inf if broker.following is None else RESCAN,
        )

    def _compose_foreign(self) -> None:
        """Make what the programs and clients of other systems need."""
        context = self.context
        self.write_behind = WriteBehind(context, self.publisher, self.cache)
        self.extensions = Extensions()

    def _compose_upkeep(self) -> None:
        context, broker, cache, committer = self.context, self._broker, self.cache, self.committer
        stopping, connections = self.stopping, self.connections
        self.health = Health(broker.name, stopping, committer, self.fanout, cache, connections, self.quotas)
        self.statistics = self.health.statistics
        self.drain = Drain(
            context, stopping, committer, connections, self.directory, self.extensions.keep
        ).drain
        delete, store = self.delete_project, committer.store
        self.retention = RetentionTask(
            context,
            broker,
            cache,
            self.checkpoints,
            self.activity,
            self.idle_projects,
            store=store,
            trimmed=self.stored_bytes.trimmed,
            delete=delete,
        )

    def _compose_cluster(self) -> None:
        """Follow the other hubs, if the store is one that several hubs share."""
        self.followed: FollowedProjects | None = None
        following = self._broker.following
        if following is None:
            return
        foreign = self.fanout.foreign = ForeignEvents(
            self.large_values,
            behind=lambda topic: followed.behind(topic),  # noqa: PLW0108 - made later
            reloaded=self.subscriptions.reloaded,
            woken=self.fanout.wake,
        )
        followed = self.followed = self.cache.followed = FollowedProjects(
            self.context,
            self._broker,
            following,
            self.cache,
            foreign,
            read=self.cache.read_anew,
            interaction=self.interactions.changed_elsewhere,
            refresh=self.interactions.refresh,
            command=self._take_over,
        )

    async def _take_over(self, command: str) -> None:
        """See to a command whose hub is gone."""
        pending = await self.interactions.take_over(command)
        if pending is not None:
            self.orchestrators.give(pending)

    # --- running ----------------------------------------------------------------------------------

    async def load(self) -> None:
        """Read keys and revocations, count what each subject has stored, and take up the open prompts and
        commands.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        await self.administration.load()
        await self.new_projects.load(self._broker)
        await self.stored_bytes.load(self._broker)
        await self.snapshots.load()
        await self.interactions.load()

    def tasks(self) -> list[Callable[[], Awaitable[None]]]:
        """Return what has to run for as long as the hub does."""
        context = self.context
        groups = (self.sessions, self.connections.streams, self.administration.requests)
        return [
            self.fair_turns.run,
            *(() if self.followed is None else (self.followed.run,)),
            partial(context.run_vital, "ingest", self.committer.run),
            partial(context.run_vital, "fanout", self.fanout.run),
            self.broadcasts.run,
            self.directory.run,
            self.status_notifier.run,
            self.write_behind.run,
            self.extensions.run,
            self.committer.recover,
            *self.administration.tasks(),
            self.retention.run,
            self.searches.run,
            Deadlines(context, self.registry, self.resolution).run,
            Keepalive(context, groups, self.settings.delivery.heartbeat_interval).run,
        ]


@asynccontextmanager
async def open_hub(
    broker: Broker,
    settings: Settings,
    *,
    meter: Metrics | None = None,
    on_error: Callable[[str, BaseException], None] | None = None,
    access: Hooks = NO_HOOKS,
) -> AsyncIterator[Hub]:
    """Open the broker and run a hub on it for as long as the block lasts.

    On leaving, what was accepted is committed, then the broker is closed. `on_error(where, error)` is
    called for every fault of the hub's own. `access` decides where a caller's grants do not allow something.

    Raises:
        StoreUnusable: the broker cannot be opened.
    """
    await broker.open()
    try:
        hub = Hub(broker, HubContext(settings, meter or Metrics(), on_error=on_error), access)
        await hub.load()
        async with trio.open_nursery() as nursery:
            for task in hub.tasks():
                nursery.start_soon(task)
            try:
                yield hub
            finally:
                with trio.CancelScope(shield=True), trio.move_on_after(settings.drain.timeout):
                    await hub.committer.quiet()
                nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await broker.aclose()
