"""The publishing face of the hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import trio
from attrs import evolve

from tasktree_rt.brokers.base import Key
from tasktree_rt.core.commands import Broadcast, Personal
from tasktree_rt.core.events import Event, Json, ProjectId, parse_event, project_id
from tasktree_rt.dialects.base import digest, plain
from tasktree_rt.errors import InvalidInput, Refused, Unavailable
from tasktree_rt.hub.ingest import Ticket
from tasktree_rt.hub.receipts import Accepted, Published, known, result
from tasktree_rt.hub.workings import Workings


class Publishing(Workings):
    """What `Hub` does for those who have something to say."""

    async def publish(
        self, events: Event | Sequence[Event], *, key: Key | None = None, body_digest: bytes | None = None
    ) -> Published:
        """Publish events of one project, all or none, and wait until they are durable and handed on.

        With `key` the same publish is kept once, however often it is sent. Cancelling the wait does
        not take the events back.

        Raises:
            PeerError: refused; nothing of it was kept.
        """
        listed = [events] if isinstance(events, Event) else list(events)
        found = await self.submit(
            [evolve(one, data=plain(one.data)) for one in listed], key=key, body_digest=body_digest
        )
        if isinstance(found, Published):
            return found
        ticket = found.ticket
        over = trio.Event()
        ticket.settled.append(lambda _: over.set())
        await over.wait()
        return result(ticket, duplicate=found.repeat)

    async def submit(
        self, events: Sequence[Event], *, key: Key | None = None, body_digest: bytes | None = None
    ) -> Accepted | Published:
        """Accept a publish and return before it is committed; a known one is answered at once.

        The events' data must be as it came out of a JSON decoder. What an `Accepted` becomes is told to
        its ticket's `settled`, to which the caller adds before it yields to the loop.

        Raises:
            PeerError: refused.
        """
        name = self._check(events)
        fingerprint = b""
        if key is not None:
            body = body_digest or digest([[one.type, one.data, one.timestamp] for one in events])
            # The body of an HTTP request need not name the project: the same for another is not the same.
            fingerprint = digest([name, body.hex()])
        while True:
            if self.draining:
                raise Unavailable("the hub is stopping", code="draining", retry_after=1.0)
            project = self.shelf.get(name) or await self.shelf.load(name)
            if key is not None:
                before = await self.ingest.known(key, fingerprint)
                if before is not None:
                    return Accepted(before, True) if isinstance(before, Ticket) else known(before)
            if self.shelf.get(name) is project:
                break
        if project.epoch == "" and not project.pending:
            self._check_room()
        return Accepted(self.ingest.accept(project, events, key=key, digest=fingerprint), False)

    def _check(self, events: Sequence[Event]) -> str:
        most = self.settings.limits.max_events_per_publish
        if not events:
            raise InvalidInput("expected at least one event", code="invalid_event", field="events")
        if len(events) > most:
            raise InvalidInput(f"expected at most {most} events", code="too_large", field="events")
        name = events[0].project_id
        for index, event in enumerate(events):
            if event.project_id != name:
                expected = f"expected {name!r} as in events[0]"
                raise InvalidInput(expected, code="mixed_projects", field=f"events[{index}].project_id")
            if event.type == "project_deleted" and index + 1 < len(events):
                expected = "project_deleted must be the last event of its publish"
                raise InvalidInput(expected, code="invalid_event", field=f"events[{index}].type")
        return project_id(name)

    def _check_room(self) -> None:
        most = self.settings.limits.max_projects
        unborn = sum(1 for one in self.shelf if one.epoch == "" and one.pending)
        if self.stored_projects + unborn >= most:
            raise Refused(f"the hub already holds {most} projects", code="project_full", field="project_id")

    async def broadcast_to_project(self, project: str, message: Mapping[str, Any]) -> Published:
        """Publish one message, ``{"type", "data"?, "timestamp"?}``, to a project and all who watch it.

        Raises:
            PeerError: as `publish`, and if the message is no event.
        """
        named = project_id(project)
        event = parse_event(plain(dict(message)), now=self.timestamp(), field="message", project=named)
        return await self.publish(event)

    def broadcast(self, message: Mapping[str, Any]) -> int:
        """Send ``{"type", "data"?}`` to every watcher. It has no project, no position, and is not stored.

        Returns how many it was handed to.

        Raises:
            InvalidInput: it is no such object.
        """
        given = plain(dict(message))
        kind, data = given.get("type"), given.get("data", {})
        if not isinstance(kind, str) or not isinstance(data, dict):
            raise InvalidInput('expected {"type": string, "data": object}', field="message")
        said = Broadcast(kind, data, self.timestamp())
        watchers = [one for one in self._subscribers.values() if one in self.index and not one.closing]
        encoded = {one.dialect.name: one.dialect for one in watchers}
        finished = {name: dialect.encode(said) for name, dialect in encoded.items()}
        for subscriber in watchers:
            data_out = finished[subscriber.dialect.name]
            if data_out is not None:
                subscriber.say(data_out, said)
        return len(watchers)

    def send_personal_message(self, connection_id: str, message: Json) -> bool:
        """Send any JSON object to one connection; False if there is no such connection.

        Raises:
            InvalidInput: it cannot be written as JSON.
        """
        subscriber = self._subscribers.get(connection_id)
        if subscriber is None or subscriber.closing:
            return False
        subscriber.reply(Personal(plain(dict(message))))
        return True

    async def delete_project(self, name: str) -> Published:
        """End a project's life.

        Raises:
            Refused: ``not_found``.
        """
        project = await self.shelf.load(project_id(name))
        if project.epoch == "" and not project.pending:
            raise Refused(f"there is no project {name!r}", code="not_found", field="project_id")
        data: Json = {"project_id": name, "cleanup_performed": True}
        return await self.publish(Event("project_deleted", ProjectId(name), data, self.timestamp()))
