"""Follow the logs of all projects in memory, and mend what was missed.

A project in memory must be as the store has it. So the hub subscribes to a log before it reads it, and hands
what it hears to the fan-out. Hints can get lost: the hub compares its positions with the store's after each
connection and every few seconds, and reads what is missing. A log with another epoch is read anew; its
watchers get the state.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Final

import trio
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.brokers.base import Broker, Following, Foreign
from tasktree_rt.core.log import Position, Recovered
from tasktree_rt.errors import StoreDamaged, StoreUnavailable
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.delivery.foreign_events import ForeignEvents
from tasktree_rt.hub.projects.cache import ProjectCache
from tasktree_rt.hub.projects.project import Project

log: Final[BoundLogger] = get_logger("tasktree_rt.cluster")
COMPARE: Final = 5.0
"""Seconds between two comparisons of all positions."""
READ: Final = 1_000
"""Events in one read from the store."""
CALM: Final = 15.0
"""Seconds that a hub must hear all others before it takes commands of one that is gone."""
PAUSE: Final = 0.25
"""Seconds until the next try after the store failed."""


class FollowedProjects:
    """See the module's docstring. Implements `cache.Followed` and `brokers.base.Heard`.

    Args:
        read: reads a project from the store, all of it.
        interaction: called with the id of a prompt or command that another hub opened or settled.
        refresh: takes up all open prompts and commands anew.
        command: called with the id of each open command that this hub sees to.

    Attributes:
        live: whether this hub hears what the others do.
        since: since when it does or does not, in microseconds since the Unix epoch.
    """

    def __init__(
        self,
        context: HubContext,
        broker: Broker,
        following: Following,
        cache: ProjectCache,
        foreign: ForeignEvents,
        *,
        read: Callable[[str], Awaitable[Project]],
        interaction: Callable[[str], Awaitable[None]],
        refresh: Callable[[], Awaitable[None]],
        command: Callable[[str], Awaitable[None]],
    ) -> None:
        self._context = context
        self._broker = broker
        self._following = following
        self._cache = cache
        self._foreign = foreign
        self._read = read
        self._interaction = interaction
        self._refresh = refresh
        self._command = command
        self._calm = math.inf
        """When this hub may declare others gone: it has heard everything for long enough itself."""
        self._early: dict[str, list[Foreign]] = {}
        self._behind: dict[str, None] = {}
        self._wake = trio.Event()
        self._interactions: dict[str, None] = {}
        self._all_interactions = False
        self.live = False
        self.since = context.wall()
        self.changed: Callable[[], None] = lambda: None
        """Called when `live` has changed."""

    # --- what the cache calls -------------------------------------------------------------------------

    async def follow(self, topic: str) -> None:
        """Hear of a log from now on; the caller reads it then, and calls `loaded` or `leave`."""
        self._early[topic] = []
        await self._following.follow(topic)

    def loaded(self, project: Project) -> None:
        """Apply what was heard while a project was read."""
        for found in self._early.pop(project.project_id, ()):
            self._foreign.put(project, found)

    def leave(self, topic: str) -> None:
        """Hear of a log no more."""
        self._early.pop(topic, None)
        self._following.leave(topic)

    # --- what the store calls (`Heard`) ---------------------------------------------------------------

    def records(self, found: Foreign) -> None:
        """Hand records to the fan-out."""
        project = self._cache.get(found.topic)
        if project is not None:
            self._foreign.put(project, found)
        elif found.topic in self._early:
            self._early[found.topic].append(found)

    def behind(self, topic: str) -> None:
        """Compare a log with the store's."""
        self._behind[topic] = None
        self._wake.set()

    def interaction(self, interaction_id: str) -> None:
        """Look at a prompt or command that another hub changed."""
        self._interactions[interaction_id] = None
        self._wake.set()

    def up(self) -> None:
        """Compare everything: this hub may have missed something."""
        self._all_interactions = True
        self._behind.update(dict.fromkeys(one.project_id for one in self._cache))
        self._tell(live=True)
        self._wake.set()

    def down(self, reason: str) -> None:
        """Note that this hub may miss what others do."""
        if self.live:
            log.warning("hears nothing of other hubs", reason=reason)
        self._tell(live=False)

    def _tell(self, *, live: bool) -> None:
        if live != self.live:
            self.live, self.since = live, self._context.wall()
            self._calm = trio.current_time() + CALM if live else math.inf
            if live:
                log.info("hears other hubs")
            self.changed()

    async def room(self) -> None:
        """Wait until the fan-out has taken what was heard."""
        await self._foreign.room()

    # --- mending --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Listen, and mend what was missed; runs until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._following.run, self)
            while True:
                with trio.move_on_after(COMPARE) as waited:
                    await self._wake.wait()
                self._wake = trio.Event()
                if waited.cancelled_caught:
                    self._behind.update(dict.fromkeys(one.project_id for one in self._cache))
                try:
                    await self._look()
                    if trio.current_time() >= self._calm:
                        for command in await self._following.take_commands():
                            await self._command(command)
                except StoreUnavailable:
                    self._wake.set()  # the hub logs how its store is
                    await trio.sleep(PAUSE)
                except Exception as error:
                    self._context.report_fault("cluster", error)
                    await trio.sleep(PAUSE)

    async def _look(self) -> None:
        if self._all_interactions:
            await self._refresh()
            self._all_interactions = False
        while self._interactions:
            one = next(iter(self._interactions))
            await self._interaction(one)
            self._interactions.pop(one, None)
        while self._behind:
            topics = list(self._behind)
            stored = await self._following.positions(topics)
            for topic in topics:
                self._behind.pop(topic, None)
                try:
                    await self._mend(topic, stored[topic])
                except StoreUnavailable:
                    self._behind[topic] = None
                    raise

    async def _mend(self, topic: str, stored: Position) -> None:
        """Bring a project to the position that the store has."""
        project = self._cache.get(topic)
        if project is None or project.position == stored or (project.epoch == stored.epoch == ""):
            return
        if project.epoch == stored.epoch:
            if project.tree.head < stored.seq:
                await self._read_on(project)
        else:
            await self._reload(project)

    async def _reload(self, project: Project) -> None:
        """Let a project go on as the store has it, or forget it if the store's log is damaged."""
        try:
            fresh = await self._read(project.project_id)
        except StoreDamaged as damage:
            log.error("project damaged", project=project.project_id, reason=damage.reason)
            self._cache.forget(project)
            return
        if self._cache.holds(project):
            self._foreign.put_fresh(project, fresh)
            await self._foreign.taken()

    async def _read_on(self, project: Project) -> None:
        """Read the events after the applied head."""
        while project.pending == 0 or project.epoch:
            since = project.position
            found = await self._broker.read(project.project_id, since, limit=READ)
            if not isinstance(found, Recovered):
                await self._reload(project)
                return
            if not found.records:
                return
            self._foreign.put(project, Foreign(project.project_id, since.epoch, project.owner, found.records))
            await self._foreign.taken()
            if project.position == since:
                return
