"""Note each project that changes: count it, list it, and call the observers."""

from __future__ import annotations

from collections.abc import Callable

from tasktree_rt.core.topics import user_of
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.projects.cache import ProjectCache
from tasktree_rt.hub.projects.directory import ProjectDirectory
from tasktree_rt.hub.projects.new_projects import NewProjects
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.projects.recent_changes import RecentChanges
from tasktree_rt.hub.projects.stored_bytes import StoredBytes


class Activity:
    """See the module's docstring. The fan-out calls `touched` for each publish that it applies."""

    def __init__(
        self,
        context: HubContext,
        new_projects: NewProjects,
        cache: ProjectCache,
        directory: ProjectDirectory,
        recent_changes: RecentChanges,
        stored_bytes: StoredBytes,
    ) -> None:
        self._report_fault = context.report_fault
        self._new_projects = new_projects
        self._cache = cache
        self._used = cache.footprints.used
        self._directory = directory
        self._recent_changes = recent_changes
        self._stored_bytes = stored_bytes
        self._touched: dict[str, Project] = {}
        self._observers: list[Callable[[Project], None]] = []

    def observe(self, callback: Callable[[Project], None]) -> None:
        """Call `callback(project)` for every publish of a project, in the tick that applies it.

        The callback must be fast and must not block. The hub reports an exception of it as a fault. The hub
        does not call it for users' logs.
        """
        self._observers.append(callback)

    def touched(self, project: Project, born: int, now: float) -> None:
        """Note that a publish of a log was applied. `born` is 1 if it began the log, -1 if it ended it."""
        name = project.project_id
        self._stored_bytes.touched(project)
        if born:
            self._new_projects.touched(project, born)
        if user_of(name) is None:
            if self._directory.watched:
                self._directory.changed(project)
            self._call_observers(project)
        self._cache.left(name)  # its epoch may have ended
        self._used[name] = None
        project.last_used = now
        self._touched[name] = project
        self._recent_changes.note(name, now)

    def _call_observers(self, project: Project) -> None:
        for callback in self._observers:
            try:
                callback(project)
            except Exception as error:
                self._report_fault("observe", error)

    def damaged(self, project: Project) -> None:
        """Show in the list of projects that a project is damaged."""
        if user_of(project.project_id) is None and self._directory.watched:
            self._directory.changed(project)

    def take_touched(self) -> list[Project]:
        """Return the projects with new events since the last call."""
        touched = list(self._touched.values())
        self._touched.clear()
        return touched
