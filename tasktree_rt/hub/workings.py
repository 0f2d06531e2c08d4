"""The parts of a hub, the time, and what happens to a fault: what all its faces share."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import trio

from tasktree_rt.brokers.base import Broker
from tasktree_rt.core.topics import TopicIndex, user_of
from tasktree_rt.hub.births import Births
from tasktree_rt.hub.broadcasts import Broadcasts
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.fanout import Fanout
from tasktree_rt.hub.heartbeats import Heartbeats
from tasktree_rt.hub.holdings import PROJECT, Holdings
from tasktree_rt.hub.ingest import Ingest
from tasktree_rt.hub.live import LiveTopics
from tasktree_rt.hub.liveness import Lively
from tasktree_rt.hub.matters import Matters
from tasktree_rt.hub.moves import Moves
from tasktree_rt.hub.project import Project
from tasktree_rt.hub.relay import Relay
from tasktree_rt.hub.roster import Roster
from tasktree_rt.hub.shelf import Shelf
from tasktree_rt.hub.snapshots import Snapshots
from tasktree_rt.hub.sources import EverySource, ViewSource
from tasktree_rt.hub.statuses import Statuses
from tasktree_rt.hub.subscriber import Subscriber
from tasktree_rt.hub.ticket import Ticket
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
        self.message_limit = settings.limits.max_message_size
        self.draining = False
        self.drained = trio.Event()
        self.recovering: set[str] = set()
        """Damaged logs that are being recovered."""
        self.index: TopicIndex[Subscriber] = TopicIndex()
        self.shelf = Shelf(broker, damaged=self._damaged)
        self.ingest = Ingest(
            broker,
            settings,
            meter,
            committed=self._committed,
            room=self._room,
            failed=self.report_fault,
            wall=context.wall,
            new_epoch=context.new_epoch,
        )
        self.fanout = Fanout(
            self.index, meter, finished=self.ingest.finish, touched=self._touched, failed=self.report_fault
        )
        self.turns = Turns()
        self.roster = Roster(self.shelf, tidy=self.put_away, failed=self.report_fault)
        self.broadcasts = Broadcasts(self.report_fault)
        self.live = LiveTopics(settings.limits.max_subscriptions, self.report_fault)
        self.statuses = Statuses(settings.execution.status_interval, self.report_fault)
        self.holdings = Holdings(settings.limits)
        self.snapshots = Snapshots(
            broker, self.holdings, settings.limits.max_snapshots_per_project, context.wall
        )
        self.births = Births(self.holdings, self.snapshots.ended)
        self.relay = Relay(self.live, self.holdings, lambda: secrets.token_hex(8))
        self.matters = Matters(self.holdings)
        self.verdicts = Verdicts()
        self.serving: dict[str, dict[Any, None]] = {}
        """Who takes a project's commands, the oldest first."""
        self.sessions: dict[Lively, None] = {}
        self.view_source: ViewSource = EverySource()
        self.outside: dict[str, str] = {}
        """How it stands with systems that the hub listens to, by name: ``up``, or what is wrong."""
        self._subscribers: dict[str, Subscriber] = {}
        self._touched_projects: dict[str, Project] = {}
        self.moves = Moves()
        self.heartbeats = Heartbeats(settings.delivery.heartbeat_interval, self.timestamp)
        self._observers: list[Callable[[Project], None]] = [self.statuses.changed]

    def wall(self) -> int:
        """Now, in microseconds since the Unix epoch."""
        return self.context.wall()

    @property
    def stored_projects(self) -> int:
        """How many projects have a log, or will have one shortly."""
        return self.holdings.total(PROJECT)

    @property
    def connections(self) -> Mapping[str, Subscriber]:
        """Every connection by its id."""
        return self._subscribers

    def observe(self, callback: Callable[[Project], None]) -> None:
        """Call `callback(project)` for every publish of a project that was applied, in the tick that does so.

        It must be fast and must not block; what it raises is a fault of the hub's and harms nobody else. It
        is not told of users' logs.
        """
        self._observers.append(callback)

    # --- what the parts tell each other -----------------------------------------------------------

    def _committed(self, tickets: list[Ticket]) -> None:
        self.fanout.committed(tickets)

    async def _room(self) -> None:
        await self.fanout.room()

    def _touched(self, project: Project, born: int) -> None:
        name, now = project.project_id, trio.current_time()
        self.births.touched(project, born)
        if user_of(name) is None:
            if self.roster.watched:
                self.roster.changed(project)
            self._observed(project)
        self.shelf.left(name)  # if its life is over
        project.last_used = now
        self._touched_projects[name] = project
        self.moves.note(name, now)

    def _damaged(self, project: Project) -> None:
        """A project was found damaged: the list of projects tells of it."""
        if user_of(project.project_id) is None and self.roster.watched:
            self.roster.changed(project)

    def _observed(self, project: Project) -> None:
        for callback in self._observers:
            try:
                callback(project)
            except Exception as error:
                self.report_fault("observe", error)

    def take_touched(self) -> list[Project]:
        """The projects with new events since the last call (for the keeper)."""
        touched = list(self._touched_projects.values())
        self._touched_projects.clear()
        return touched

    def put_away(self) -> None:
        """Forget the projects idle for longest, if too many are in memory."""
        busy = {name for one in self._subscribers.values() for name in one.special or ()}
        self.shelf.put_away(lambda name: name in busy or self.is_needed(name))

    def let_go(self) -> None:
        """Forget the projects without a log that were only asked for."""
        if self.shelf.has_left:
            busy = {name for one in self._subscribers.values() for name in one.special or ()}
            self.shelf.let_go(lambda name: name in busy or self.fanout.underway(name), self._is_named)

    def _is_named(self, project_id: str) -> bool:
        return self.index.is_named(project_id) or self.statuses.watched(project_id)

    def is_needed(self, project_id: str) -> bool:
        """Whether a project must stay in memory."""
        return self._is_named(project_id) or self.fanout.underway(project_id)
