"""What happens to projects: each one that changes is counted, listed, and shown to observers."""

from __future__ import annotations

from collections.abc import Callable

import trio

from tasktree_rt.core.topics import user_of
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.projects.cache import ProjectCache
from tasktree_rt.hub.projects.directory import ProjectDirectory
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.projects.recent_changes import RecentChanges


class Activity:
    """See the module's docstring. The fan-out calls `touched` in each tick, for each project of it; `count`
    counts the projects of each owner.
    """

    def __init__(
        self,
        context: HubContext,
        count: Callable[[Project, int], None],
        cache: ProjectCache,
        directory: ProjectDirectory,
        moves: RecentChanges,
    ) -> None:
        self._report_fault = context.report_fault
        self._count = count
        self._cache = cache
        self._used = cache.footprints.used
        self._directory = directory
        self._moves = moves
        self._touched: dict[str, Project] = {}
        self._observers: list[Callable[[Project], None]] = []

    def observe(self, callback: Callable[[Project], None]) -> None:
        """Call `callback(project)` for every publish of a project, in the tick that applies it.

        It must be fast and must not block. What it raises is reported as a fault of the hub's own. Users'
        logs are not shown to it.
        """
        self._observers.append(callback)

    def touched(self, project: Project, born: int) -> None:
        """Note that new events of a log were applied; `born`: 1 if they began it, -1 if they ended it."""
        name, now = project.project_id, trio.current_time()
        self._count(project, born)
        if user_of(name) is None:
            if self._directory.watched:
                self._directory.changed(project)
            self._observed(project)
        self._cache.left(name)  # if its life is over
        self._used[name] = None
        project.last_used = now
        self._touched[name] = project
        self._moves.note(name, now)

    def _observed(self, project: Project) -> None:
        for callback in self._observers:
            try:
                callback(project)
            except Exception as error:
                self._report_fault("observe", error)

    def damaged(self, project: Project) -> None:
        """Let the list of projects show that a project is damaged."""
        if user_of(project.project_id) is None and self._directory.watched:
            self._directory.changed(project)

    def take_touched(self) -> list[Project]:
        """Return the projects with new events since the last call."""
        touched = list(self._touched.values())
        self._touched.clear()
        return touched
