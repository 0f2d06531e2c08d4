"""The projects in memory: read from the store at their first use, put away when idle.

One that cannot be read is kept as an empty one that knows what is wrong: it is only given out to be deleted
or recovered, and the store is not asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import trio
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.brokers.base import Broker, Life, Summary
from tasktree_rt.core.events import is_project_id
from tasktree_rt.core.log import Gap, Position, Recovered
from tasktree_rt.core.topics import user_of
from tasktree_rt.errors import ProjectDamaged, StoreDamaged
from tasktree_rt.hub.projects.checkpoints import advance, check_events, fill
from tasktree_rt.hub.projects.footprint import Footprint, Footprints
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.projects.store_errors import readable

log: Final[BoundLogger] = get_logger("tasktree_rt.store")
LOADED: Final = 4_096
"""Projects kept in memory at most, if the rest are idle, however small they are."""
RECENT: Final = 1.0
"""Seconds in which a project that was used is not put away for its size: a caller may be about to use it."""
SLACK: Final = 16
"""Projects may outgrow the bound, or what had to stay, by this share of it before others are put away."""
OLDER: Final = 1_024
LAST_ID: Final = "\U0010ffff"
"""Behind every project id."""


class ProjectCache:
    """See the module's docstring."""

    def __init__(
        self,
        broker: Broker,
        most_bytes: int,
        *,
        now: Callable[[], float] = trio.current_time,
        damaged: Callable[[Project], None] = lambda _: None,
        crowded: Callable[[], None] = lambda: None,
    ) -> None:
        self._broker = broker
        self._most_bytes = self._stayed = most_bytes
        self._crowded = crowded
        self.footprints: Final = Footprints()
        self._now = now
        self._damaged = damaged
        self._projects: dict[str, Project] = {}
        self._loading: dict[str, trio.Event] = {}
        self._left: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._projects)

    def __iter__(self) -> Iterator[Project]:
        return iter(list(self._projects.values()))

    def get(self, project_id: str) -> Project | None:
        """The project, if it is in memory and not damaged."""
        project = self._projects.get(project_id)
        return None if project is None or project.damage is not None else project

    def holds(self, project: Project) -> bool:
        """Whether this is the project that is in memory under its name."""
        return self._projects.get(project.project_id) is project

    def damage(self, project_id: str) -> ProjectDamaged | None:
        """What is wrong with a project, as far as it is known."""
        project = self._projects.get(project_id)
        if project is None or project.damage is None:
            return None
        return ProjectDamaged(project_id, project.damage)

    @property
    def damaged(self) -> frozenset[str]:
        """The projects that are known to be damaged."""
        return frozenset(name for name, one in self._projects.items() if one.damage is not None)

    async def find(self, project_id: str) -> Project | None:
        """The project as `load` gives it; None if it is damaged.

        Raises:
            Unavailable: the store cannot be read now.
        """
        try:
            return await self.load(project_id)
        except ProjectDamaged:
            return None

    async def load(self, project_id: str) -> Project:
        """The project, read from the store if need be.

        Raises:
            Unavailable: the store cannot be read now.
            ProjectDamaged: what the store has of it cannot be read.
        """
        project = await self.hold(project_id)
        if project.damage is not None:
            raise ProjectDamaged(project_id, project.damage)
        return project

    async def hold(self, project_id: str) -> Project:
        """The same, also if it is damaged; only one reads, the others wait.

        Raises:
            Unavailable: the store cannot be read now.
        """
        while (project := self._projects.get(project_id)) is None:
            if (loading := self._loading.get(project_id)) is not None:
                await loading.wait()
                continue
            self._loading[project_id] = done = trio.Event()
            try:
                with readable():
                    footprint = await self._read(project_id)
                self._add(footprint)
                self.left(project_id)
            finally:
                del self._loading[project_id]
                done.set()
        project.last_used = self._now()
        return project

    def _add(self, footprint: Footprint) -> None:
        project = footprint.project
        project.last_used = self._now()
        self._projects[project.project_id] = project
        self.footprints.add(footprint)
        self.make_room()

    def _remove(self, name: str) -> None:
        del self._projects[name]
        self.footprints.remove(name)

    def make_room(self) -> None:
        """Have idle projects put away if all together hold too much.

        Where all that may go is gone, it is looked again only when `SLACK` more is loaded.
        """
        if self.footprints.bytes > self._stayed + self._most_bytes // SLACK:
            self._crowded()

    def left(self, project_id: str) -> None:
        """Nobody may need a project any more. Without a log it is let go, so that names which were only asked
        for leave nothing behind."""
        project = self._projects.get(project_id)
        if project is not None and project.epoch == "":
            self._left[project_id] = None

    @property
    def has_left(self) -> bool:
        """Whether `let_go` has something to look at."""
        return bool(self._left)

    def let_go(self, busy: Callable[[str], bool], named: Callable[[str], bool]) -> None:
        """Forget the projects without a log that were left and that nobody needs. Whom one is `named` by says
        `left` again; where one is only `busy`, it is looked at again."""
        for name in list(self._left):
            project = self._projects.get(name)
            if project is not None and project.epoch == "" and not named(name):
                if project.pending or busy(name):
                    continue
                self._remove(name)
            del self._left[name]

    def put_away(self, needed: Callable[[str], bool]) -> None:
        """Forget the projects idle for longest that nothing needs, if all are too many or hold too much."""
        surplus, footprints = len(self) - LOADED, self.footprints
        if surplus > 0 or footprints.bytes > self._most_bytes:
            recent = self._now() - RECENT
            for index, project in enumerate(sorted(self, key=lambda project: project.last_used)):
                fits = footprints.bytes <= self._most_bytes or project.last_used > recent
                if index >= surplus and fits:
                    break
                if not project.pending and not needed(project.project_id):
                    self._remove(project.project_id)
        self._stayed = max(self._most_bytes, footprints.bytes)

    async def page(self, after: str, limit: int = 200) -> list[Summary]:
        """Projects with a log, by id, about `limit` of them; those in memory as they are applied.

        Empty only if there are no more.
        """
        stored = await self._broker.projects(after, limit)
        page = {summary.project_id: self._current(summary) for summary in stored}
        # The store runs ahead: a project that is deleted there may still be shown to watchers.
        last = stored[-1].project_id if stored else LAST_ID
        for project in self._projects.values():
            name = project.project_id
            unseen = project.epoch and user_of(name) is None and after < name <= last
            if project.pending and unseen and name not in page:
                page[name] = project.summary()
        return sorted(page.values(), key=lambda summary: summary.project_id)

    def _current(self, stored: Summary) -> Summary:
        project = self._projects.get(stored.project_id)
        if project is None or project.epoch != stored.epoch:
            return stored
        return project.summary()

    async def read(self, project_id: str, since: Position, limit: int) -> Recovered | Gap:
        """Events from the store; where they are damaged there is a gap."""
        try:
            found = await self._broker.read(project_id, since, limit=limit)
            if isinstance(found, Recovered):
                await check_events(project_id, found.records)
        except StoreDamaged as damage:
            log.warning("log damaged", project=project_id, since=str(since), reason=damage.reason)
            return Gap("damaged")
        return found

    # --- loading --------------------------------------------------------------------------------

    async def _read(self, project_id: str) -> Footprint:
        if not is_project_id(project_id) and user_of(project_id) is None:
            return Footprint(Project(project_id))
        try:
            return await self._whole(project_id)
        except StoreDamaged as damage:
            log.error("project damaged", project=project_id, reason=damage.reason)
            project = await self._husk(project_id, damage.reason)
            self._damaged(project)
            return Footprint(project)

    async def _whole(self, project_id: str) -> Footprint:
        project = Project(project_id)
        life = await self._broker.load(project_id)
        project.load(life, await self._older(project_id, life))
        if life.checkpoint is not None:
            await fill(project_id, life.checkpoint.parts, project.tree, project.staged)
        await advance(project, life)
        project.trimmed(life.floor)
        return Footprint(project, life.checkpoint)

    async def _husk(self, project_id: str, damage: str) -> Project:
        """A project of which there is only what can be known without reading its log."""
        project = Project(project_id)
        try:
            outline = await self._broker.outline(project_id)
        except StoreDamaged:
            project.damage = damage
        else:
            project.load_damaged(outline, damage)
        return project

    def forget(self, project: Project) -> None:
        """Read a project anew at its next use."""
        if self._projects.get(project.project_id) is project:
            self._remove(project.project_id)

    async def _older(self, project_id: str, life: Life) -> tuple[Any, ...]:
        if life.checkpoint is None:
            return ()
        start = max(life.floor, life.checkpoint.seq - OLDER)
        if start == life.checkpoint.seq:
            return ()
        found = await self.read(project_id, Position(life.epoch, start), life.checkpoint.seq - start)
        if isinstance(found, Gap):
            return ()
        records = [one for one in found.records if one.seq <= life.checkpoint.seq]
        complete = bool(records) and records[-1].seq == life.checkpoint.seq
        return tuple(records) if complete else ()
