"""The publishing face of the hub."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import evolve

from tasktree_rt.brokers.base import Duplicate, Key, Matter, Settled
from tasktree_rt.core.events import Event, Json, ProjectId, parse_event, project_id
from tasktree_rt.core.reserved import refuse_reserved
from tasktree_rt.dialects.base import digest, encode_json, plain
from tasktree_rt.errors import InvalidInput, ProjectDamaged, Refused, Unavailable
from tasktree_rt.hub.matters import Pending, cancelled
from tasktree_rt.hub.project import Project
from tasktree_rt.hub.receipts import Accepted, Published, known, result, through
from tasktree_rt.hub.ticket import Ticket
from tasktree_rt.hub.workings import Workings


class Publishing(Workings):
    """What `Hub` does for those who have something to say."""

    async def publish(
        self,
        events: Event | Sequence[Event],
        *,
        key: Key | None = None,
        fingerprint: bytes | None = None,
        still: Callable[[Project], None] = lambda _: None,
        owner: str = "",
    ) -> Published:
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
        if isinstance(found, Published):
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
    ) -> Accepted | Published:
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
            project = self.shelf.get(name) or await self._loaded(name, events)
            if ends:
                await self._load_mirrors(name)
            if key is not None:
                before = await self.ingest.known(key, digest_of)
                if before is not None:
                    return Accepted(before, True) if isinstance(before, Ticket) else known(before)
            if self.shelf.holds(project) and (not ends or self._mirrors_loaded(name)):
                break
        still(project)
        self.births.check(owner, project)
        if ends:
            ticket = self._end_life(project, events, key, digest_of, owner, producer)
        else:
            ticket = self.ingest.accept(
                project, events, key=key, digest=digest_of, owner=owner, producer=producer
            )
        self.births.accepted(owner, ticket, project)
        return Accepted(ticket, False)

    async def _loaded(self, name: str, events: Sequence[Event]) -> Project:
        """A project to publish to; what cannot be read takes nothing but its end."""
        ends = len(events) == 1 and events[0].type == "project_deleted"
        if name in self.recovering:
            raise ProjectDamaged(name, "it is being recovered now")
        return await (self.shelf.hold(name) if ends else self.shelf.load(name))

    async def place(
        self,
        topics: Sequence[str],
        event: Callable[[str], Event],
        *,
        opens: Sequence[Matter] = (),
        settles: Sequence[Settled] = (),
        still: Callable[[], None] = lambda: None,
        owner: str = "",
        producer: Hashable = None,
    ) -> Ticket:
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
            home = self.shelf.get(topics[0]) or await self.shelf.load(topics[0])
            found = [self.shelf.get(one) or await self.shelf.find(one) for one in topics[1:]]
            others = [one for one in found if one is not None]
            if all(map(self.shelf.holds, (home, *others))):
                break
        still()
        self.births.check(owner, home, *others)
        said = [(one, [event(one.project_id)]) for one in others]
        ticket = self.ingest.accept(
            home,
            [event(topics[0])],
            opens=opens,
            settles=settles,
            mirrors=said,
            owner=owner,
            producer=producer,
        )
        self.births.accepted(owner, ticket, home, *others)
        return ticket

    # --- what ends with a project -------------------------------------------------------------------

    def _ending(self, name: str) -> list[Pending]:
        """Its prompts and commands that nothing settles yet."""
        return [one for one in self.matters.of(name) if not one.settling]

    async def _load_mirrors(self, name: str) -> None:
        for topic in self._mirrors(name):
            await self.shelf.find(topic)

    def _mirrors_loaded(self, name: str) -> bool:
        damaged = self.shelf.damage
        return all(self.shelf.get(one) is not None or damaged(one) is not None for one in self._mirrors(name))

    def _mirrors(self, name: str) -> list[str]:
        """The users' logs that tell of its end too."""
        return [topic for one in self._ending(name) for topic in one.matter.topics[1:]]

    def _end_life(
        self,
        project: Project,
        events: Sequence[Event],
        key: Key | None,
        digest_of: bytes,
        owner: str,
        producer: Hashable,
    ) -> Ticket:
        """Delete a project; its prompts and commands are cancelled with it, which users are told."""
        ending = [(one, cancelled(one)) for one in self._ending(project.project_id)]
        now = self.timestamp()
        mirrors = []
        for one, outcome in ending:
            for topic in one.matter.topics[1:]:
                mirror = self.shelf.get(topic)
                if mirror is not None:  # else it cannot be read
                    mirrors.append((mirror, [Event(one.resolution, ProjectId(topic), outcome, now)]))
        settles = [Settled(one.id, encode_json(outcome)) for one, outcome in ending]
        settles += self.matters.unreadable(project.project_id)
        ticket = self.ingest.accept(
            project,
            events,
            key=key,
            digest=digest_of,
            settles=settles,
            mirrors=mirrors,
            owner=owner,
            producer=producer,
        )
        for one, outcome in ending:
            one.settling = ticket
            ticket.settled.append(partial(self.settled, one, outcome))
        ticket.settled.append(self._ended)
        return ticket

    def _ended(self, ticket: Ticket) -> None:
        if ticket.error is None:
            self.matters.forget_unreadable(ticket.project.project_id)

    def settled(self, pending: Pending, outcome: Json, ticket: Ticket) -> None:
        """What settles a prompt or a command is through, or has failed."""
        pending.settling = None
        if ticket.error is None and not isinstance(ticket.outcome, Duplicate):
            pending.outcome = outcome
            self.matters.remove(pending)
            self.meter.settled(pending.matter.kind, outcome.get("how") or outcome["status"])
        else:
            self.stands_open(pending)
        pending.changed()

    def stands_open(self, pending: Pending) -> None:
        """It is kept, told of, and nothing is on its way that settles it."""

    def _check_open(self) -> None:
        if self.draining:
            raise Unavailable("the hub is stopping", code="draining", retry_after=1.0)

    def _check(self, events: Sequence[Event]) -> str:
        most = self.settings.limits.max_events_per_publish
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

    async def broadcast_to_project(self, project: str, message: Mapping[str, Any]) -> Published:
        """Publish one message, ``{"type", "data"?, "timestamp"?}``, to a project and all who watch it.

        Raises:
            PeerError: as `publish`, and if the message is no event.
        """
        named = project_id(project)
        event = parse_event(plain(dict(message)), now=self.timestamp(), field="message", project=named)
        refuse_reserved(event.type, "message.type")
        return await self.publish(event)

    async def delete_project(self, name: str) -> Published:
        """End a project's life.

        Raises:
            Refused: ``not_found``.
        """
        project = await self.shelf.hold(project_id(name))
        if project.epoch == "" and not project.pending:
            if project.damage is not None:
                raise ProjectDamaged(name, project.damage)
            raise Refused(f"there is no project {name!r}", code="not_found", field="project_id")
        data: Json = {"project_id": name, "cleanup_performed": True}
        return await self.publish(Event("project_deleted", ProjectId(name), data, self.timestamp()))
