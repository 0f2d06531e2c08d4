"""Decide which projects must stay in memory, and let the cache forget the others."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet

from tasktree_rt.hub.projects.cache import ProjectCache


class IdleProjects:
    """Let the cache forget projects that are not in use.

    `named` says whether a watcher names a project, `underway` whether a tick goes through it, and
    `catching_up` which projects connections catch up with.
    """

    def __init__(
        self,
        cache: ProjectCache,
        *,
        named: Callable[[str], bool],
        underway: Callable[[str], bool],
        catching_up: Callable[[], AbstractSet[str]],
    ) -> None:
        self._cache = cache
        self._named = named
        self._underway = underway
        self._catching_up = catching_up

    def put_away(self) -> None:
        """Forget the projects idle for longest, if those in memory are too many or hold too much."""
        busy = self._catching_up()
        self._cache.put_away(lambda name: name in busy or self.is_needed(name))

    def let_go(self) -> None:
        """Forget the projects without a log that were only asked for, and idle ones if all hold too much."""
        self._cache.make_room()
        if self._cache.has_left:
            busy = self._catching_up()
            self._cache.let_go(lambda name: name in busy or self._underway(name), self._named)

    def is_needed(self, project_id: str) -> bool:
        """Return whether a project must stay in memory: a watcher names it, or a tick delivers its events."""
        return self._named(project_id) or self._underway(project_id)
