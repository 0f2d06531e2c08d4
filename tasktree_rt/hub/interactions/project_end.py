"""End a project: cancel its prompts and commands in the same commit, also in users' logs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial

from tasktree_rt.brokers.base import Duplicate, Key, Settled
from tasktree_rt.core.events import Event, Json, ProjectId
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.interactions.registry import InteractionRegistry, OpenInteraction, cancelled
from tasktree_rt.hub.projects.cache import ProjectCache
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.publish.committer import Committer
from tasktree_rt.hub.publish.pending_publish import PendingPublish


class ProjectEnd:
    """See the module's docstring. `stays_open` is called with each one whose resolution failed."""

    def __init__(
        self,
        context: HubContext,
        cache: ProjectCache,
        committer: Committer,
        registry: InteractionRegistry,
        stays_open: Callable[[OpenInteraction], None],
    ) -> None:
        self._context = context
        self._cache = cache
        self._committer = committer
        self._registry = registry
        self._stays_open = stays_open

    async def load(self, name: str) -> None:
        """Load the users' logs that hold prompts or commands of a project.

        Raises:
            Unavailable: the store cannot be read now.
        """
        for topic in self._mirrors(name):
            await self._cache.find(topic)

    def is_loaded(self, name: str) -> bool:
        """Return whether each of these logs is in memory or cannot be read."""
        get, damage = self._cache.get, self._cache.damage
        return all(get(one) is not None or damage(one) is not None for one in self._mirrors(name))

    def _mirrors(self, name: str) -> list[str]:
        return [topic for one in self._ending(name) for topic in one.interaction.topics[1:]]

    def _ending(self, name: str) -> list[OpenInteraction]:
        """Return its prompts and commands without a pending resolution."""
        return [one for one in self._registry.of(name) if not one.resolving]

    def accept(
        self,
        project: Project,
        events: Sequence[Event],
        *,
        key: Key | None = None,
        digest: bytes = b"",
        owner: str = "",
        producer: Hashable = None,
        conditional: bool = False,
    ) -> PendingPublish:
        """Accept the publish that ends a project, and cancel its prompts and commands with it.

        Raises:
            PeerError: the hub refused the publish; it stores nothing.
        """
        ending = [(one, cancelled(one)) for one in self._ending(project.project_id)]
        now = self._context.timestamp()
        mirrors = []
        for one, outcome in ending:
            for topic in one.interaction.topics[1:]:
                mirror = self._cache.get(topic)
                if mirror is not None:  # else it cannot be read
                    mirrors.append((mirror, [Event(one.resolution, ProjectId(topic), outcome, now)]))
        resolves = [Settled(one.key, encode_json(outcome)) for one, outcome in ending]
        resolves += self._registry.unreadable(project.project_id)
        publish = self._committer.accept(
            project,
            events,
            key=key,
            digest=digest,
            resolves=resolves,
            mirrors=mirrors,
            owner=owner,
            producer=producer,
            conditional=conditional,
        )
        for one, outcome in ending:
            one.resolving = publish
            publish.callbacks.append(partial(self.resolved, one, outcome))
        publish.callbacks.append(self._ended)
        return publish

    def _ended(self, publish: PendingPublish) -> None:
        if publish.error is None:
            self._registry.forget_unreadable(publish.project.project_id)

    def resolved(self, pending: OpenInteraction, outcome: Json, publish: PendingPublish) -> None:
        """Remove a resolved prompt or command; if its publish failed, leave it open."""
        pending.resolving = None
        if publish.error is None and not isinstance(publish.outcome, Duplicate):
            pending.outcome = outcome
            self._registry.remove(pending)
            self._context.meter.settled(pending.interaction.kind, outcome.get("how") or outcome["status"])
        elif pending.outcome is None:
            self._stays_open(pending)
        pending.changed()
