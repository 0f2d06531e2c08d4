"""Check publishes, hand them to the committer, and wait until they are stored and sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Hashable, Mapping, Sequence
from typing import Any, Protocol

from attrs import evolve

from tasktree_rt.brokers.base import Duplicate, Interaction, Key, Settled
from tasktree_rt.core.events import Event, Json, ProjectId, parse_event, project_id
from tasktree_rt.core.reserved_names import TAKEN, refuse_reserved
from tasktree_rt.dialects.base import digest, plain
from tasktree_rt.errors import InvalidInput, ProjectDamaged, Refused, Unavailable
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.projects.cache import ProjectCache
from tasktree_rt.hub.projects.new_projects import NewProjects
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.projects.stored_bytes import StoredBytes
from tasktree_rt.hub.publish.committer import Committer
from tasktree_rt.hub.publish.insisting import insisting
from tasktree_rt.hub.publish.pending_publish import (
    PendingPublish,
    PublishReceipt,
    duplicate_receipt,
    result,
)
from tasktree_rt.hub.stopping import Stopping


def _always(_: Project) -> None:
    """Accept a publish in any state of the project."""


class Endings(Protocol):
    """Accepts a publish that ends a project, together with the end of its prompts and commands."""

    async def load(self, name: str) -> None:
        """Load the users' logs that hold prompts or commands of a project."""

    def is_loaded(self, name: str) -> bool:
        """Return whether each of these logs is in memory or cannot be read."""

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
        """Accept the publish that ends a project, and cancel its prompts and commands."""


class Publisher:
    """Check publishes and hand them to the committer. A log in `recovering` accepts no publish."""

    def __init__(
        self,
        context: HubContext,
        cache: ProjectCache,
        committer: Committer,
        new_projects: NewProjects,
        stored_bytes: StoredBytes,
        endings: Endings,
        stopping: Stopping,
        recovering: Container[str],
    ) -> None:
        self._context = context
        self._cache = cache
        self._committer = committer
        self._new_projects = new_projects
        self._stored_bytes = stored_bytes
        self._endings = endings
        self._stopping = stopping
        self._recovering = recovering
        self._enforce = context.settings.lifecycle == "enforce"
        self._most = context.settings.limits.max_events_per_publish

    async def publish(
        self,
        events: Event | Sequence[Event],
        *,
        key: Key | None = None,
        fingerprint: bytes | None = None,
        precondition: Callable[[Project], None] = _always,
        owner: str = "",
    ) -> PublishReceipt:
        """Publish events of one project, all or none. Returns when every watcher's outbox has them.

        With a `key`, the hub stores the same publish once, however often it is sent. `fingerprint` is a hash
        of the whole request, project included (by default a hash of the events). It tells a repeated publish
        from another publish with the same key. The hub calls `precondition` with the project just before it
        accepts the publish; it sees the state after all accepted publishes (`Project.staged`) and may raise.
        A new project counts for `owner` (`Grants.owner`). To cancel this call does not take the events back.

        Raises:
            PeerError: the hub refused the publish and stored nothing of it.
        """
        listed = [events] if isinstance(events, Event) else list(events)
        found = await self.submit(
            [evolve(one, data=plain(one.data)) for one in listed],
            key=key,
            fingerprint=fingerprint,
            precondition=precondition,
            owner=owner,
        )
        if isinstance(found, PublishReceipt):
            return found
        await found.wait()
        return result(found)

    async def submit(
        self,
        events: Sequence[Event],
        *,
        key: Key | None = None,
        fingerprint: bytes | None = None,
        precondition: Callable[[Project], None] = _always,
        owner: str = "",
        producer: Hashable = None,
        pause: Callable[[float], Awaitable[None]] | None = None,
    ) -> PendingPublish | PublishReceipt:
        """Accept a publish and return before the commit; return the receipt if the store has it already.

        The hub commits the publishes of one `producer` in the order of these calls, whatever their projects.
        The events' data must come from a JSON decoder. The caller adds to `PendingPublish.callbacks` before
        it yields to the loop. If `owner` begins projects too fast, the hub calls `pause` with the seconds to
        wait; without it, it refuses the publish.

        Raises:
            PeerError: the hub refused the publish.
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
            if key is not None and not self._committer.is_new(key):
                before = await self._committer.known(key, digest_of)
                if before is not None:
                    return duplicate_receipt(before) if isinstance(before, Duplicate) else before.repeated()
            if pause is not None and project.epoch == "" and (wait := self._new_projects.wait(owner)):
                await pause(wait)
                continue
            if self._cache.holds(project) and (not ends or self._endings.is_loaded(name)):
                break
        conditional = ends or self._enforce or precondition is not _always
        accept = self._endings.accept if ends else self._committer.accept

        def attempt() -> PendingPublish:
            precondition(project)
            begins = project.epoch == ""
            self._check_room(owner, project, ends=ends)
            pending = accept(
                project,
                events,
                key=key,
                digest=digest_of,
                owner=owner,
                producer=producer,
                conditional=conditional,
            )
            if begins:
                pending.callbacks.append(self._new_projects.begin(owner, project))
            return pending

        return insisting(attempt) if self._committer.shared else attempt()

    def _check_room(self, owner: str, project: Project, *, ends: bool) -> None:
        if not ends:
            self._stored_bytes.check(owner, project)
        if project.epoch == "":
            self._new_projects.check(owner, project)

    async def _loaded(self, name: str, events: Sequence[Event]) -> Project:
        """Return the project to publish to. A damaged one accepts only its deletion."""
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
        resolves: Sequence[Settled] = (),
        precondition: Callable[[], None] = lambda: None,
        owner: str = "",
        producer: Hashable = None,
    ) -> PendingPublish:
        """Accept one event of the hub in each of `topics`, all or none, and return before the commit.

        The hub leaves out a log that cannot be read, unless it is the first one. It calls `precondition` just
        before it accepts the publish; it may raise. New logs count for `owner`. The hub commits what one
        `producer` publishes in order. The caller adds to `PendingPublish.callbacks` before it yields to the
        loop.

        Raises:
            PeerError: the hub refused the publish.
        """
        while True:
            self._check_open()
            home = self._cache.get(topics[0]) or await self._cache.load(topics[0])
            found = [self._cache.get(one) or await self._cache.find(one) for one in topics[1:]]
            others = [one for one in found if one is not None]
            if all(map(self._cache.holds, (home, *others))):
                break
        precondition()
        new = [one for one in (home, *others) if one.epoch == ""]
        if new:
            self._new_projects.check(owner, *new)
        mirrors = [(one, [event(one.project_id)]) for one in others]
        pending = self._committer.accept(
            home,
            [event(topics[0])],
            opens=opens,
            resolves=resolves,
            mirrors=mirrors,
            owner=owner,
            producer=producer,
            once=bool(opens or resolves),
        )
        for one in new:
            pending.callbacks.append(self._new_projects.begin(owner, one))
        return pending

    def event(self, kind: str, data: Json) -> Callable[[str], Event]:
        """Return a function that makes an event of the hub for a topic."""

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
            if event.type in TAKEN:
                refuse_reserved(event.type, f"events[{index}].type")
            if event.project_id != name:
                expected = f"expected {name!r} as in events[0]"
                raise InvalidInput(expected, code="mixed_projects", field=f"events[{index}].project_id")
            if event.type == "project_deleted" and index + 1 < len(events):
                expected = "project_deleted must be the last event of its publish"
                raise InvalidInput(expected, code="invalid_event", field=f"events[{index}].type")
        return project_id(name)

    async def broadcast_to_project(self, project: str, message: Mapping[str, Any]) -> PublishReceipt:
        """Publish one message, ``{"type", "data"?, "timestamp"?}``, to a project and its watchers.

        Raises:
            PeerError: the message is no event, or the hub refused it as `publish` does.
        """
        named = project_id(project)
        event = parse_event(
            plain(dict(message)), now=self._context.timestamp(), field="message", project=named
        )
        refuse_reserved(event.type, "message.type")
        return await self.publish(event)

    async def delete_project(self, name: str) -> PublishReceipt:
        """Delete a project: publish `project_deleted`, the last event of its epoch.

        Raises:
            Refused: ``not_found``: there is no such project.
        """
        project = await self._cache.hold(project_id(name))
        if project.epoch == "" and not project.pending:
            if project.damage is not None:
                raise ProjectDamaged(name, project.damage)
            raise Refused(f"there is no project {name!r}", code="not_found", field="project_id")
        data: Json = {"project_id": name, "cleanup_performed": True}
        return await self.publish(Event("project_deleted", ProjectId(name), data, self._context.timestamp()))
