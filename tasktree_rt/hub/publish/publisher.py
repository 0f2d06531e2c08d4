"""Publish events: check them, have them committed, and wait until they are durable and handed on."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Mapping, Sequence
from typing import Any, Protocol

from attrs import evolve

from tasktree_rt.brokers.base import Interaction, Key, Settled
from tasktree_rt.core.events import Event, Json, ProjectId, parse_event, project_id
from tasktree_rt.core.reserved_names import refuse_reserved
from tasktree_rt.dialects.base import digest, plain
from tasktree_rt.errors import InvalidInput, ProjectDamaged, Refused, Unavailable
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.projects.cache import ProjectCache
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.publish.committer import Committer
from tasktree_rt.hub.publish.new_projects import NewProjects
from tasktree_rt.hub.publish.pending_publish import PendingPublish
from tasktree_rt.hub.publish.receipt import Accepted, PublishReceipt, known, result, through
from tasktree_rt.hub.stopping import Stopping


class Endings(Protocol):
    """What ends together with a project."""

    async def load(self, name: str) -> None:
        """Load the other logs that the end of a project concerns."""

    def is_loaded(self, name: str) -> bool:
        """Whether all of them are in memory, or cannot be read."""

    def accept(
        self,
        project: Project,
        events: Sequence[Event],
        *,
        key: Key | None = None,
        digest: bytes = b"",
        owner: str = "",
        producer: Hashable = None,
    ) -> PendingPublish:
        """Accept the publish that ends a project, with all that ends together with it."""


class Publisher:
    """Check publishes and have them committed. `recovering` names damaged logs that take nothing now."""

    def __init__(
        self,
        context: HubContext,
        cache: ProjectCache,
        committer: Committer,
        births: NewProjects,
        endings: Endings,
        stopping: Stopping,
        recovering: Container[str],
    ) -> None:
        self._context = context
        self._cache = cache
        self._committer = committer
        self._births = births
        self._endings = endings
        self._stopping = stopping
        self._recovering = recovering
        self._most = context.settings.limits.max_events_per_publish

    async def publish(
        self,
        events: Event | Sequence[Event],
        *,
        key: Key | None = None,
        fingerprint: bytes | None = None,
        still: Callable[[Project], None] = lambda _: None,
        owner: str = "",
    ) -> PublishReceipt:
        """Publish events of one project, all or none, and wait until they are durable and handed on.

        With `key` the same publish is kept once, however often it is sent; `fingerprint` tells it from
        another with the same key (a hash of all that was asked, the project among it; by default of the
        events). `still` is called at the last moment, with the project as all accepted before leaves it
        (`Project.staged`), and may raise: nothing comes in between. A project that begins with this counts
        as `owner`'s (`Grants.owner`). Cancelling the wait does not take the events back.

        Raises:
            PeerError: refused; nothing of it was kept.
        """
        listed = [events] if isinstance(events, Event) else list(events)
        found = await self.submit(
            [evolve(one, data=plain(one.data)) for one in listed],
            key=key,
            fingerprint=fingerprint,
            still=still,
            owner=owner,
        )
        if isinstance(found, PublishReceipt):
            return found
        await through(found.ticket)
        return result(found.ticket, duplicate=found.repeat)

    async def submit(
        self,
        events: Sequence[Event],
        *,
        key: Key | None = None,
        fingerprint: bytes | None = None,
        still: Callable[[Project], None] = lambda _: None,
        owner: str = "",
        producer: Hashable = None,
    ) -> Accepted | PublishReceipt:
        """Accept a publish and return before it is committed; a known one is answered at once.

        What one `producer` submits is committed in the order in which it comes, whatever its projects.

        The events' data must be as it came out of a JSON decoder. What an `Accepted` becomes is told to
        its ticket's `settled`, to which the caller adds before it yields to the loop.

        Raises:
            PeerError: refused.
        """
        name = self._check(events)
        if key is not None and fingerprint is None:
            fingerprint = digest([name, [[one.type, one.data, one.timestamp] for one in events]])
        digest_of = fingerprint or b""
        ends = events[-1].type == "project_deleted"
        while True:
            self._check_open()
            project = self._cache.get(name) or await self._loaded(name, events)
            if ends:
                await self._endings.load(name)
            if key is not None:
                before = await self._committer.known(key, digest_of)
                if before is not None:
                    return Accepted(before, True) if isinstance(before, PendingPublish) else known(before)
            if self._cache.holds(project) and (not ends or self._endings.is_loaded(name)):
                break
        still(project)
        self._births.check(owner, project)
        accept = self._endings.accept if ends else self._committer.accept
        ticket = accept(project, events, key=key, digest=digest_of, owner=owner, producer=producer)
        self._births.accepted(owner, ticket, project)
        return Accepted(ticket, False)

    async def _loaded(self, name: str, events: Sequence[Event]) -> Project:
        """A project to publish to; what cannot be read takes nothing but its end."""
        ends = len(events) == 1 and events[0].type == "project_deleted"
        if name in self._recovering:
            raise ProjectDamaged(name, "it is being recovered now")
        return await (self._cache.hold(name) if ends else self._cache.load(name))

    async def place(
        self,
        topics: Sequence[str],
        event: Callable[[str], Event],
        *,
        opens: Sequence[Interaction] = (),
        settles: Sequence[Settled] = (),
        still: Callable[[], None] = lambda: None,
        owner: str = "",
        producer: Hashable = None,
    ) -> PendingPublish:
        """Accept one event in each of `topics`, kept all or none; the hub's own way to publish. Of a log that
        is not the first one's and cannot be read, nothing is said.

        `still` is called at the last moment and may raise. Logs that begin with this count as `owner`'s. What
        one `producer` publishes is committed in the order in which it comes. The caller adds to the ticket's
        `settled` before it yields to the loop.

        Raises:
            PeerError: refused.
        """
        while True:
            self._check_open()
            home = self._cache.get(topics[0]) or await self._cache.load(topics[0])
            found = [self._cache.get(one) or await self._cache.find(one) for one in topics[1:]]
            others = [one for one in found if one is not None]
            if all(map(self._cache.holds, (home, *others))):
                break
        still()
        self._births.check(owner, home, *others)
        said = [(one, [event(one.project_id)]) for one in others]
        ticket = self._committer.accept(
            home,
            [event(topics[0])],
            opens=opens,
            settles=settles,
            mirrors=said,
            owner=owner,
            producer=producer,
        )
        self._births.accepted(owner, ticket, home, *others)
        return ticket

    def event(self, kind: str, data: Json) -> Callable[[str], Event]:
        """Return a function that makes an event of the hub's own for a topic."""

        def made(topic: str) -> Event:
            return Event(kind, ProjectId(topic), data, self._context.timestamp())

        return made

    def _check_open(self) -> None:
        if self._stopping.begun:
            raise Unavailable("the hub is stopping", code="draining", retry_after=1.0)

    def _check(self, events: Sequence[Event]) -> str:
        most = self._most
        if not events:
            raise InvalidInput("expected at least one event", code="invalid_event", field="events")
        if len(events) > most:
            raise InvalidInput(f"expected at most {most} events", code="too_large", field="events")
        name = events[0].project_id
        for index, event in enumerate(events):
            refuse_reserved(event.type, f"events[{index}].type")
            if event.project_id != name:
                expected = f"expected {name!r} as in events[0]"
                raise InvalidInput(expected, code="mixed_projects", field=f"events[{index}].project_id")
            if event.type == "project_deleted" and index + 1 < len(events):
                expected = "project_deleted must be the last event of its publish"
                raise InvalidInput(expected, code="invalid_event", field=f"events[{index}].type")
        return project_id(name)

    async def broadcast_to_project(self, project: str, message: Mapping[str, Any]) -> PublishReceipt:
        """Publish one message, ``{"type", "data"?, "timestamp"?}``, to a project and all who watch it.

        Raises:
            PeerError: as `publish`, and if the message is no event.
        """
        named = project_id(project)
        event = parse_event(
            plain(dict(message)), now=self._context.timestamp(), field="message", project=named
        )
        refuse_reserved(event.type, "message.type")
        return await self.publish(event)

    async def delete_project(self, name: str) -> PublishReceipt:
        """End a project's life.

        Raises:
            Refused: ``not_found``.
        """
        project = await self._cache.hold(project_id(name))
        if project.epoch == "" and not project.pending:
            if project.damage is not None:
                raise ProjectDamaged(name, project.damage)
            raise Refused(f"there is no project {name!r}", code="not_found", field="project_id")
        data: Json = {"project_id": name, "cleanup_performed": True}
        return await self.publish(Event("project_deleted", ProjectId(name), data, self._context.timestamp()))
