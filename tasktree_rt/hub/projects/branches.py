"""The branches of projects that have readers of their own: made at the first use, dropped a while after it.

A branch costs one look for each event of its project, and the places of its nodes. So their number is
bounded, and one without readers goes after `LINGER`, in which a reader that lost its connection resumes
exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import trio

from tasktree_rt.core.nodes import Node
from tasktree_rt.core.topics import branch_of
from tasktree_rt.core.tree import Snapshot
from tasktree_rt.errors import Refused
from tasktree_rt.hub.cooperative import yield_if_due
from tasktree_rt.hub.projects.branch_view import MOST_MOVED, BranchView
from tasktree_rt.hub.projects.cache import ProjectCache
from tasktree_rt.hub.projects.project import Project

LINGER: Final = 300.0
"""Seconds for which a branch without readers is kept."""
SLICE: Final = 500
"""Nodes that are put into a new branch between two looks at the time."""
TRIES: Final = 3
"""Times that a branch is made in slices; if its project changed too much each time, it is made at once."""


class Branches:
    """See the module's docstring.

    Args:
        most: branches of one project with readers.
        watched: whether a topic has readers.
    """

    def __init__(
        self,
        cache: ProjectCache,
        *,
        most: int,
        watched: Callable[[str], bool],
        now: Callable[[], float] = trio.current_time,
    ) -> None:
        self._cache = cache
        self._most = most
        self._watched = watched
        self._now = now

    def get(self, topic: str) -> BranchView | None:
        """Return a branch that is in memory, by its topic."""
        found = branch_of(topic)
        project = None if found is None else self._cache.get(found[0])
        return None if project is None or found is None else project.branches.get(found[1])

    async def open(self, project_id: str, root: str) -> BranchView:
        """Return a branch of a project.

        Raises:
            Refused: ``too_many_subscriptions``: too many branches of the project have readers.
            Unavailable, ProjectDamaged: the project cannot be read.
        """
        for _ in range(TRIES):
            project = await self._cache.load(project_id)
            view = self._known(project, root)
            if view is not None:
                return view
            self._make_room(project)
            made = await self._in_slices(project, root)
            if made is not None and self._cache.holds(project) and root not in project.branches:
                self._make_room(project)
                project.branches[root] = made
                return made
        project = await self._cache.load(project_id)
        self._make_room(project)
        return self.open_now(project, root)

    async def _in_slices(self, project: Project, root: str) -> BranchView | None:
        """Make a branch, and let others run meanwhile; None if the project changed too much for it."""
        view, top = BranchView(project, root, self._now()), project.tree.top
        snapshot, ids = project.tree.snapshot(), project.tree.subtrees((root,))
        inside = {root, *ids}.__contains__
        for start in range(0, len(ids), SLICE):
            view.branch.load(_chosen(snapshot, ids[start : start + SLICE]), top, inside)
            await yield_if_due()
        if not ids:
            view.branch.load((), top, inside)
        if project.epoch != snapshot.epoch:
            return None
        missed = project.tree.since(snapshot.seq, MOST_MOVED)
        if missed is None:
            return None
        view.catch_up(missed)
        return view

    def open_now(self, project: Project, root: str) -> BranchView:
        """Return a branch of a project at once: it takes some microseconds for each of its nodes."""
        view = self._known(project, root)
        if view is None:
            view = BranchView(project, root, self._now())
            ids = project.tree.subtrees((root,))
            view.branch.load(
                _chosen(project.tree.snapshot(), ids), project.tree.top, {root, *ids}.__contains__
            )
            project.branches[root] = view
        return view

    def watched(self, project_id: str) -> bool:
        """Return whether a branch of a project has readers."""
        project = self._cache.get(project_id)
        return project is not None and any(self._watched(one.topic) for one in project.branches.values())

    def tidy(self, project: Project) -> None:
        """Drop the branches of a project that have had no reader for `LINGER` seconds. Runs in each tick."""
        now = self._now()
        for root, view in list(project.branches.items()):
            if self._watched(view.topic):
                view.left = now
            elif now - view.left > LINGER:
                del project.branches[root]

    def _known(self, project: Project, root: str) -> BranchView | None:
        view = project.branches.get(root)
        if view is not None:
            view.left = self._now()
        return view

    def _make_room(self, project: Project) -> None:
        """Drop the branch that is longest without a reader, if there are too many."""
        if len(project.branches) < self._most:
            return
        idle = [one for one in project.branches.values() if not self._watched(one.topic)]
        if not idle:
            message = f"at most {self._most} branches of a project have readers at a time"
            raise Refused(message, code="too_many_subscriptions", retry_after=1.0)
        del project.branches[min(idle, key=lambda one: one.left).root]


def _chosen(snapshot: Snapshot, ids: Iterable[str]) -> Iterable[tuple[str, Node]]:
    return ((one, snapshot.node(one)) for one in ids)
