"""The parts of a hub, the time, and what happens to a fault: what all its faces share."""

from __future__ import annotations

from typing import Any

import trio

from tasktree_rt.brokers.base import Broker
from tasktree_rt.core.topics import TopicIndex
from tasktree_rt.hub.activity import Activity
from tasktree_rt.hub.births import Births
from tasktree_rt.hub.broadcasts import Broadcasts
from tasktree_rt.hub.checkpoints import Checkpoints
from tasktree_rt.hub.connections import Connections
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.fanout import Fanout
from tasktree_rt.hub.heartbeats import Heartbeats
from tasktree_rt.hub.holdings import PROJECT, Holdings
from tasktree_rt.hub.idle import IdleProjects
from tasktree_rt.hub.ingest import Ingest
from tasktree_rt.hub.live import LiveTopics
from tasktree_rt.hub.liveness import Lively
from tasktree_rt.hub.matters import Matters
from tasktree_rt.hub.moves import Moves
from tasktree_rt.hub.roster import Roster
from tasktree_rt.hub.shelf import Shelf
from tasktree_rt.hub.snapshots import Snapshots
from tasktree_rt.hub.sources import EverySource, ViewSource
from tasktree_rt.hub.statuses import Statuses
from tasktree_rt.hub.subscriber import Subscriber
from tasktree_rt.hub.subscribing import Subscriptions
from tasktree_rt.hub.turns import Turns
from tasktree_rt.hub.verdicts import Verdicts


class Workings:
    """See the module's docstring; the arguments are those of `Hub`."""

    def __init__(self, broker: Broker, context: HubContext) -> None:
        settings, meter = context.settings, context.meter
        self.context = context
        self.settings = settings
        self.meter = meter
        self.timestamp = context.timestamp
        self.report_fault = context.report_fault
        self.broker = broker
        self.draining = False
        self.drained = trio.Event()
        self.recovering: set[str] = set()
        """Damaged logs that are being recovered."""
        self.turns = Turns()
        self.verdicts = Verdicts()
        self.heartbeats = Heartbeats(settings.delivery.heartbeat_interval, self.timestamp)
        self.serving: dict[str, dict[Any, None]] = {}
        """Who takes a project's commands, the oldest first."""
        self.sessions: dict[Lively, None] = {}
        self.view_source: ViewSource = EverySource()
        self.outside: dict[str, str] = {}
        """How it stands with systems that the hub listens to, by name: ``up``, or what is wrong."""
        self._compose_projects()
        self._compose_delivery()
        self.matters = Matters(self.holdings)

    def _compose_projects(self) -> None:
        context, limits = self.context, self.settings.limits
        self.holdings = Holdings(limits)
        self.snapshots = Snapshots(self.broker, self.holdings, limits.max_snapshots_per_project, context.wall)
        self.births = Births(self.holdings, self.snapshots.ended)
        self.moves = Moves()
        self.shelf = Shelf(
            self.broker,
            limits.max_loaded_bytes,
            damaged=lambda project: self.activity.damaged(project),  # noqa: PLW0108 - made later
            crowded=lambda: self.idle.put_away(),  # noqa: PLW0108 - made later
        )
        self.checkpoints = Checkpoints(self.broker)
        self.roster = Roster(self.shelf, tidy=lambda: self.idle.put_away(), failed=context.report_fault)  # noqa: PLW0108 - made later
        self.activity = Activity(context, self.births, self.shelf, self.roster, self.moves)
        self.observe = self.activity.observe

    def _compose_delivery(self) -> None:
        context, settings = self.context, self.settings
        self.index: TopicIndex[Subscriber] = TopicIndex()
        self.ingest = Ingest(
            self.broker,
            settings,
            context.meter,
            committed=lambda tickets: self.fanout.committed(tickets),  # noqa: PLW0108 - made later
            room=lambda: self.fanout.room(),  # noqa: PLW0108 - made later
            failed=context.report_fault,
            wall=context.wall,
            new_epoch=context.new_epoch,
        )
        self.fanout = Fanout(
            self.index,
            context.meter,
            finished=self.ingest.finish,
            touched=self.activity.touched,
            failed=context.report_fault,
        )
        self.live = LiveTopics(settings.limits.max_subscriptions, context.report_fault)
        self.statuses = Statuses(settings.execution.status_interval, context.report_fault)
        self.activity.observe(self.statuses.changed)
        self.subscriptions = Subscriptions(context, self.shelf, self.fanout, self.index)
        self.connections = Connections(context, self.shelf, self.index, self.live, self.subscriptions)
        self.broadcasts = Broadcasts(context, self.connections, self.index)
        self.broadcast = self.broadcasts.broadcast
        self.send_personal_message = self.broadcasts.send_personal_message
        self.idle = IdleProjects(self.shelf, self.connections, self.index, self.statuses, self.fanout)

    def wall(self) -> int:
        """Now, in microseconds since the Unix epoch."""
        return self.context.wall()

    @property
    def stored_projects(self) -> int:
        """How many projects have a log, or will have one shortly."""
        return self.holdings.total(PROJECT)
