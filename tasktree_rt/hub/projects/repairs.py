"""Recover damaged logs, each once at a time, and give watchers the recovered state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from tasktree_rt.brokers.base import Broker, Settled
from tasktree_rt.core.log import Position
from tasktree_rt.errors import ProjectDamaged, Refused
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.projects.cache import ProjectCache
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.projects.repair import Recovered, Repair
from tasktree_rt.hub.projects.store_errors import readable


class UnreadableInteractions(Protocol):
    """The open prompts and commands whose stored form cannot be read."""

    def unreadable(self, topic: str) -> list[Settled]:
        """Return what cancels those of a project."""

    def forget_unreadable(self, topic: str) -> None:
        """Forget those of a project: they are cancelled."""


class Repairs:
    """See the module's docstring.

    For each log that goes on, `renew` is called with it and the position where it stood before, and `touched`
    with it.

    Attributes:
        underway: the logs that are recovered now.
    """

    def __init__(
        self,
        context: HubContext,
        broker: Broker,
        cache: ProjectCache,
        registry: UnreadableInteractions,
        *,
        renew: Callable[[Project, Position], None],
        touched: Callable[[Project, int, float], None],
    ) -> None:
        self._context = context
        self._broker = broker
        self._cache = cache
        self._registry = registry
        self._renew = renew
        self._touched = touched
        self.underway: set[str] = set()

    async def recover(self, topic: str) -> Recovered:
        """Let a damaged project, or user's log, go on with what of it can be read; watchers get the state.

        One that is not damaged is left as it is.

        Raises:
            Refused: ``not_found``.
            Unavailable: the store cannot be read now.
            ProjectDamaged: it is being recovered or deleted already, or not even its outline can be read.
        """
        project = await self._cache.hold(topic)
        if project.damage is None:
            if project.epoch == "":
                raise _missing(topic)
            return Recovered(project.position, project.checkpointed, ())
        if topic in self.underway or project.pending:
            raise ProjectDamaged(topic, "it is being recovered or deleted now")
        self.underway.add(topic)
        try:
            with readable():
                settles = self._registry.unreadable(topic)
                found = await Repair(self._broker, topic).recover(self._context.new_epoch(), settles)
            self._cache.forget(project)
        finally:
            self.underway.discard(topic)
        if found is None:
            raise _missing(topic)
        self._registry.forget_unreadable(topic)
        after = await self._cache.load(topic)
        after.counted_bytes = project.counted_bytes
        self._renew(after, project.position)
        self._touched(after, 0, trio.current_time())
        return found


def _missing(topic: str) -> Refused:
    return Refused(f"there is no project {topic!r}", code="not_found", field="project_id")
