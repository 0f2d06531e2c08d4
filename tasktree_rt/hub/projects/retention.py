"""Run the retention task: checkpoints, retention, the end of finished projects, idle projects.

It works apart from the appends, one thing at a time. What fails, for example because the store fails, it
tries again in its next round.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import trio
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.brokers.base import Broker, Retention, Summary, Trimmed
from tasktree_rt.errors import PeerError, StoreUnavailable, Unavailable
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.projects.activity import Activity
from tasktree_rt.hub.projects.cache import ProjectCache
from tasktree_rt.hub.projects.checkpoints import Checkpoints
from tasktree_rt.hub.projects.idle_projects import IdleProjects
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.projects.store_health import StoreHealth

log: Final[BoundLogger] = get_logger("tasktree_rt.keeper")
FINISHED: Final = frozenset({"completed", "failed", "cancelled"})
COVERED_AT_ONCE: Final = 200
"""Quiet projects that one sweep writes checkpoints for."""
ROUND: Final = 0.25
"""Seconds between two looks at what was touched."""


class RetentionTask:
    """See the module's docstring. `delete` deletes a project, `trimmed` hears of deleted events."""

    def __init__(
        self,
        context: HubContext,
        broker: Broker,
        cache: ProjectCache,
        checkpoints: Checkpoints,
        activity: Activity,
        idle: IdleProjects,
        *,
        store: StoreHealth,
        trimmed: Callable[[Trimmed], None],
        delete: Callable[[str], Awaitable[object]],
    ) -> None:
        self._context = context
        self._broker = broker
        self._cache = cache
        self._checkpoints = checkpoints
        self._activity = activity
        self._idle = idle
        self._store = store
        self._trimmed = trimmed
        self._delete = delete
        self._keep = context.settings.keep
        self._due: dict[str, Project] = {}
        self._next_sweep = 0.0
        self._failing = False

    async def run(self) -> None:
        """Run the retention task."""
        self._next_sweep = trio.current_time() + self._keep.sweep_interval
        while True:
            await trio.sleep(ROUND)
            try:
                if await self._round():
                    self._works()
            except (StoreUnavailable, Unavailable) as error:
                self._failed(error)
            except Exception as error:
                self._context.report_fault("keeper", error)

    def _failed(self, error: Exception) -> None:
        """Log that the store refused this round: once, and not while it refuses publishes too."""
        if not self._failing and self._store.fault is None:
            log.warning("not kept up", reason=str(error))
            self._failing = True

    def _works(self) -> None:
        if self._failing:
            log.warning("kept up again")
            self._failing = False

    async def _round(self) -> bool:
        """Do what is due; return whether the store was asked for anything."""
        for project in (*self._cache.take_loaded(), *self._activity.take_touched()):
            self._due[project.project_id] = project
        self._idle.let_go()
        asked = False
        for name, project in list(self._due.items()):
            if self._wants_checkpoint(project):
                await self._checkpoints.save(project)
                asked = True
            self._due.pop(name, None)
        if trio.current_time() >= self._next_sweep:
            self._next_sweep = trio.current_time() + self._keep.sweep_interval
            await self.sweep()
            asked = True
        return asked

    def _wants_checkpoint(self, project: Project) -> bool:
        behind = project.tree.head - project.checkpointed
        return project.epoch != "" and (
            behind >= self._keep.checkpoint_events
            or project.bytes_since_checkpoint >= self._keep.checkpoint_bytes
        )

    async def sweep(self) -> None:
        """Trim logs, delete finished projects, and forget idle ones."""
        await self._cover_quiet()
        retention = Retention(self._keep.max_events, self._keep.max_age, self._keep.max_bytes)
        floors = await self._broker.trim(
            retention, self._context.wall(), spared=self._cache.damaged, trimmed=self._trimmed
        )
        for name, floor in floors.items():
            project = self._cache.get(name)
            if project is not None and project.epoch == floor.epoch:
                project.trimmed(floor.seq)
        if self._keep.project_ttl:
            await self._end_finished()
        self._idle.put_away()

    async def _cover_quiet(self) -> None:
        """Checkpoints for those too old to be kept that grow no more: without one their events would stay."""
        before = self._context.wall() - round(self._keep.max_age * 1_000_000)
        for name in await self._broker.uncovered(before, COVERED_AT_ONCE):
            project = await self._cache.find(name)
            if project is not None and project.epoch != "":
                await self._checkpoints.save(project)

    async def _end_finished(self) -> None:
        after = ""
        while page := await self._cache.page(after):
            for summary in page:
                if self._is_over(summary):
                    await self._end(summary)
            after = page[-1].project_id

    def _is_over(self, summary: Summary) -> bool:
        age = (self._context.wall() - summary.received) / 1_000_000
        return summary.state in FINISHED and age > self._keep.project_ttl

    async def _end(self, summary: Summary) -> None:
        try:
            await self._delete(summary.project_id)
        except PeerError as error:
            log.info("not deleted", project=summary.project_id, reason=error.message)
