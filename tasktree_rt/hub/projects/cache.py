"""Keep projects in memory: load them from the store at their first use, forget them when idle.

The cache keeps a project that cannot be read as an empty one with its `damage`. Callers can only delete or
recover it, and the cache does not ask the store again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Final, Protocol

import trio
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.brokers.base import Broker, Summary
from tasktree_rt.core.events import is_project_id
from tasktree_rt.core.log import Gap, Position, Recovered
from tasktree_rt.core.topics import user_of
from tasktree_rt.errors import ProjectDamaged, StoreDamaged
from tasktree_rt.hub.projects.checkpoints import check_events
from tasktree_rt.hub.projects.footprint import Footprint, Footprints
from tasktree_rt.hub.projects.large_values import LargeValues
from tasktree_rt.hub.projects.loading import load_project
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.projects.store_errors import readable

log: Final[BoundLogger] = get_logger("tasktree_rt.store")
LOADED: Final = 4_096
"""Idle projects stay in memory up to this count, however small they are."""
RECENT: Final = 1.0
"""Seconds after its use in which a project is not forgotten for its size: a caller may be about to use it."""
SETTLED: Final = 5.0
"""Seconds after its load in which a project gets no checkpoint for it: the hub sends the state to readers."""
SLACK: Final = 16
"""Projects may exceed the limit by this share of it before the cache forgets others."""
LAST_ID: Final = "\U0010ffff"
"""Sorts after every project id."""


class Followed(Protocol):
    """Keeps the projects in memory as the store has them, where other hubs append to them too."""

    async def follow(self, topic: str) -> None:
        """Hear of a log from now on; called before it is read."""

    def loaded(self, project: Project) -> None:
        """Apply what was heard while a project was read."""

    def leave(self, topic: str) -> None:
        """Hear of a log no more: it is not in memory."""


class ProjectCache:
    """See the module's docstring."""

    def __init__(
        self,
        broker: Broker,
        most_bytes: int,
        large: LargeValues,
        *,
        now: Callable[[], float] = trio.current_time,
        damaged: Callable[[Project], None] = lambda _: None,
        crowded: Callable[[], None] = lambda: None,
    ) -> None:
        self._broker = broker
        self._large = large
        self._most_bytes = self._stayed = most_bytes
        self._crowded = crowded
        self.footprints: Final = Footprints()
        self._now = now
        self._damaged = damaged
        self._projects: dict[str, Project] = {}
        self._loading: dict[str, trio.Event] = {}
        self._left: dict[str, None] = {}
        self._loaded: deque[tuple[float, Project]] = deque()
        self.followed: Followed | None = None
        """Follows the logs; None where this hub has the store alone."""

    def __len__(self) -> int:
        return len(self._projects)

    def __iter__(self) -> Iterator[Project]:
        return iter(list(self._projects.values()))

    def get(self, project_id: str) -> Project | None:
        """Return the project if it is in memory and not damaged, else None."""
        project = self._projects.get(project_id)
        return None if project is None or project.damage is not None else project

    def holds(self, project: Project) -> bool:
        """Return whether the cache has this very object under its name."""
        return self._projects.get(project.project_id) is project

    def damage(self, project_id: str) -> ProjectDamaged | None:
        """Return the error of a project that is known to be damaged, else None."""
        project = self._projects.get(project_id)
        if project is None or project.damage is None:
            return None
        return ProjectDamaged(project_id, project.damage)

    @property
    def damaged(self) -> frozenset[str]:
        """Names of the projects that are known to be damaged."""
        return frozenset(name for name, one in self._projects.items() if one.damage is not None)

    async def find(self, project_id: str) -> Project | None:
        """Return the project as `load` does; None if it is damaged.

        Raises:
            Unavailable: the store cannot be read now.
        """
        try:
            return await self.load(project_id)
        except ProjectDamaged:
            return None

    async def load(self, project_id: str) -> Project:
        """Return the project; read it from the store if it is not in memory.

        Raises:
            Unavailable: the store cannot be read now.
            ProjectDamaged: its log cannot be read.
        """
        project = await self.hold(project_id)
        if project.damage is not None:
            raise ProjectDamaged(project_id, project.damage)
        return project

    async def hold(self, project_id: str) -> Project:
        """Return the project, also a damaged one. One caller reads it, the others wait.

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
                    footprint = await self._followed_from(project_id)
                self._add(footprint)
                if self.followed is not None:
                    self.followed.loaded(footprint.project)
                self.left(project_id)
            finally:
                del self._loading[project_id]
                done.set()
        project.last_used = self._now()
        return project

    async def _followed_from(self, project_id: str) -> Footprint:
        """Read a project; follow its log from before that."""
        if self.followed is None:
            return await self._read(project_id)
        try:
            await self.followed.follow(project_id)
            return await self._read(project_id)
        except BaseException:
            self.followed.leave(project_id)
            raise

    async def read_anew(self, project_id: str) -> Project:
        """Return a project as the store has it now, beside the one in memory.

        Raises:
            StoreUnavailable: the store cannot be read now.
            StoreDamaged: its log cannot be read.
        """
        return (await load_project(self._broker, self.read, project_id, self._large)).project

    def _add(self, footprint: Footprint) -> None:
        project = footprint.project
        project.last_used = self._now()
        self._projects[project.project_id] = project
        self.footprints.add(footprint)
        if project.bytes_since_checkpoint:
            self._loaded.append((project.last_used, project))
        self.make_room()

    def take_loaded(self) -> Iterator[Project]:
        """Take the projects that were loaded `SETTLED` seconds ago with events behind their checkpoints: the
        next load reduces these events again unless a new checkpoint has them."""
        settled = self._now() - SETTLED
        while self._loaded and self._loaded[0][0] <= settled:
            _, project = self._loaded.popleft()
            if self.holds(project):
                yield project

    def _remove(self, name: str) -> None:
        del self._projects[name]
        self.footprints.remove(name)
        if self.followed is not None:
            self.followed.leave(name)

    def make_room(self) -> None:
        """Call `crowded` if all projects together hold too much memory.

        After a call that could not free enough, the next one comes when `SLACK` more is loaded.
        """
        if self.footprints.bytes > self._stayed + self._most_bytes // SLACK:
            self._crowded()

    def left(self, project_id: str) -> None:
        """Note that a client left a project. `let_go` forgets it if it has no log, so that a name which a
        client only asked for takes no memory."""
        project = self._projects.get(project_id)
        if project is not None and project.epoch == "":
            self._left[project_id] = None

    @property
    def has_left(self) -> bool:
        """True if `let_go` has something to look at."""
        return bool(self._left)

    def let_go(self, busy: Callable[[str], bool], named: Callable[[str], bool]) -> None:
        """Forget the projects without a log that clients left. A `busy` one stays for the next call, one that
        a watcher has `named` until the next `left`."""
        for name in list(self._left):
            project = self._projects.get(name)
            if project is not None and project.epoch == "" and not named(name):
                if project.pending or busy(name):
                    continue
                self._remove(name)
            del self._left[name]

    def put_away(self, needed: Callable[[str], bool]) -> None:
        """Forget the projects idle for longest that are not `needed`, if there are too many or they hold
        too much memory."""
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
        """Return about `limit` projects with a log, by id after `after`.

        Projects in memory are in the state that watchers see.

        The page is empty only at the end.
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

    async def summaries(self, prefix: str, after: str = "", at_once: int = 200) -> AsyncGenerator[Summary]:
        """Yield the projects whose ids begin with `prefix`, as `page` has them: those after `prefix` and
        `after`.
        """
        place = prefix + after
        while rows := await self.page(place, at_once):
            for row in rows:
                place = row.project_id
                if not place.startswith(prefix):
                    return
                yield row

    def _current(self, stored: Summary) -> Summary:
        project = self._projects.get(stored.project_id)
        if project is None or project.epoch != stored.epoch:
            return stored
        return project.summary()

    async def read(self, project_id: str, since: Position, limit: int) -> Recovered | Gap:
        """Read events from the store; damaged ones give a gap."""
        try:
            found = await self._broker.read(project_id, since, limit=limit)
            if isinstance(found, Recovered):
                await check_events(project_id, found.records)
                return Recovered(tuple(map(self._large.shown, found.records)))
        except StoreDamaged as damage:
            log.warning("log damaged", project=project_id, since=str(since), reason=damage.reason)
            return Gap("damaged")
        return found

    # --- loading --------------------------------------------------------------------------------

    async def _read(self, project_id: str) -> Footprint:
        if not is_project_id(project_id) and user_of(project_id) is None:
            return Footprint(Project(project_id))
        try:
            return await load_project(self._broker, self.read, project_id, self._large)
        except StoreDamaged as damage:
            log.error("project damaged", project=project_id, reason=damage.reason)
            project = await self._husk(project_id, damage.reason)
            self._damaged(project)
            return Footprint(project)

    async def _husk(self, project_id: str, damage: str) -> Project:
        """Return a damaged project, with what the store knows of it without its log."""
        project = Project(project_id)
        try:
            outline = await self._broker.outline(project_id)
        except StoreDamaged:
            project.damage = damage
        else:
            project.load_damaged(outline, damage)
        return project

    def forget(self, project: Project) -> None:
        """Forget a project, so that its next use reads it anew."""
        if self._projects.get(project.project_id) is project:
            self._remove(project.project_id)
