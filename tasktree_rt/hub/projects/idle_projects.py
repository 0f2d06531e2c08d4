"""Which projects must stay in memory, and forgetting the others."""

from __future__ import annotations

from tasktree_rt.core.topics import TopicIndex
from tasktree_rt.hub.delivery.connections import Connections
from tasktree_rt.hub.delivery.fanout import Fanout
from tasktree_rt.hub.delivery.subscriber import Subscriber
from tasktree_rt.hub.executions.status_notifier import StatusNotifier
from tasktree_rt.hub.projects.cache import ProjectCache


class IdleProjects:
    """Tell which projects are in use, and have the cache forget those that are not."""

    def __init__(
        self,
        cache: ProjectCache,
        connections: Connections,
        index: TopicIndex[Subscriber],
        statuses: StatusNotifier,
        fanout: Fanout,
    ) -> None:
        self._cache = cache
        self._connections = connections
        self._index = index
        self._statuses = statuses
        self._fanout = fanout

    def put_away(self) -> None:
        """Forget the projects idle for longest, if those in memory are too many or hold too much."""
        busy = self._busy()
        self._cache.put_away(lambda name: name in busy or self.is_needed(name))

    def let_go(self) -> None:
        """Forget the projects without a log that were only asked for, and idle ones if all hold too much."""
        self._cache.make_room()
        if self._cache.has_left:
            busy = self._busy()
            self._cache.let_go(lambda name: name in busy or self._fanout.underway(name), self._is_named)

    def is_needed(self, project_id: str) -> bool:
        """Whether a project must stay in memory: it is subscribed to by name, or a tick goes through it."""
        return self._is_named(project_id) or self._fanout.underway(project_id)

    def _is_named(self, project_id: str) -> bool:
        return self._index.is_named(project_id) or self._statuses.watched(project_id)

    def _busy(self) -> set[str]:
        """The projects that a connection catches up with."""
        return {name for one in self._connections.values() for name in one.feeds.special_names}
