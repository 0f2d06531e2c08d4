"""Commands: from whoever watches a project to the orchestrator that serves it, and what became of them.

A command is given to one orchestrator connection at a time, that which was opened first. When it dies, the
command is given to the next, or waits for one until its time is up.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from functools import partial
from typing import Protocol

from tasktree_rt.brokers.base import Matter
from tasktree_rt.core.access import Grants
from tasktree_rt.core.control import SETTLING, read_instruction, read_result
from tasktree_rt.core.events import Json, project_id
from tasktree_rt.dialects.base import encode_json, plain
from tasktree_rt.errors import InvalidInput, Refused
from tasktree_rt.hub.matters import COMMAND, Pending, place_of
from tasktree_rt.hub.receipts import ended, through
from tasktree_rt.hub.settling import Settlement, Settling, closed
from tasktree_rt.hub.ticket import Ticket


class Obedient(Protocol):
    """A connection that takes commands."""

    def give(self, pending: Pending) -> None:
        """Take this one."""


class Commanding(Settling):
    """What `Hub` does for those who command, and those who obey."""

    async def command(self, project: str, given: Json, *, grants: Grants, via: Json) -> Pending:
        """Send a command to the orchestrator of a project; durable and given when this returns.

        Raises:
            Refused: ``no_orchestrator``, ``forbidden``, …; nothing was kept.
        """
        pending, ticket = await self.stage_command(project, given, grants=grants, via=via)
        await through(ticket)
        return pending

    async def stage_command(
        self, project: str, given: Json, *, grants: Grants, via: Json
    ) -> tuple[Pending, Ticket]:
        """The same, only queued for the next commit when this returns.

        Raises:
            Refused: as `command`, as far as it is known before the commit.
        """
        name = project_id(project)
        if not grants.command.covers(name):
            raise Refused(f"you may not command {name!r}")
        instruction = read_instruction(plain(given))
        most = self.settings.limits.max_args_size
        if len(encode_json(instruction)) > most:
            raise InvalidInput(f"expected at most {most} bytes", code="too_large", field="args")
        if not self.serving.get(name):
            raise Refused(f"nobody takes commands for {name!r}", code="no_orchestrator", field="project_id")
        data = {"command_id": secrets.token_hex(8), **instruction, "by": grants.subject or None, "via": via}
        now = self.wall()
        deadline = now + self._patience
        body = encode_json(data)
        matter = Matter(data["command_id"], COMMAND, (name,), now, deadline, b"", body, owner=grants.owner)
        pending = Pending(matter, data, deadline)
        most = self.settings.limits.max_open_commands
        return pending, await self.stage_opening(pending, COMMAND, most)

    @property
    def _patience(self) -> int:
        return round(self.settings.people.command_timeout * 1_000_000)

    def stands_open(self, pending: Pending) -> None:
        """A command goes to an orchestrator at once, unless one has it."""
        if pending.matter.kind == COMMAND and pending.holder is None:
            self._assign(pending)

    # --- who obeys --------------------------------------------------------------------------------

    def serve(self, one: Obedient, projects: Iterable[str]) -> None:
        """`one` takes commands of `projects` from now on; those that wait are given."""
        for name in projects:
            self.serving.setdefault(name, {})[one] = None
            for pending in self.matters.of(name, COMMAND):
                if pending.holder is None:
                    self._assign(pending)

    def leave(self, one: Obedient, projects: Iterable[str]) -> None:
        """`one` is gone; what it held goes to the next."""
        for name in projects:
            others = self.serving.get(name, {})
            others.pop(one, None)
            if not others:
                self.serving.pop(name, None)
            for pending in self.matters.of(name, COMMAND):
                if pending.holder is one:
                    pending.holder = None
                    self.matters.expect(pending, self.wall() + self._patience)
                    self._assign(pending)

    def _assign(self, pending: Pending) -> None:
        if pending.settling or not pending.kept:
            return  # `stands_open` follows, if it does
        one = next(iter(self.serving.get(pending.home, ())), None)
        if one is not None:
            pending.holder = one
            one.give(pending)

    async def obeyed(self, one: Obedient, given: Json) -> None:
        """Take what the orchestrator at `one` says of a command it was given; durable when this returns.

        Raises:
            PeerError: it was given to another, is settled already, or bad input.
        """
        found = await self.stage_result(one, given)
        await ended(found.ticket)
        found.check()

    async def stage_result(self, one: Obedient, given: Json) -> Settlement:
        """The same, only queued for the next commit when this returns, so that later publishes join it.

        Raises:
            PeerError: as `obeyed`, as far as it is known before the commit.
        """
        said = read_result(given)
        pending = await self._command(said["command_id"])
        if pending.outcome is not None:
            raise closed(pending)
        if pending.holder is not one:
            raise Refused("the command was given to another orchestrator", field="command_id")
        result = {**said, **place_of(pending)}
        if said["status"] in SETTLING:
            return await self.stage(pending, result, producer=one)
        found = await self.tell(pending, result, producer=one)
        if not found.late:
            found.ticket.settled.append(partial(self._accepted, one, pending))
        return found

    async def _command(self, name: str) -> Pending:
        """A command, without waiting for the commit that opens it: until then nobody holds it."""
        pending = self.matters.get(name)
        return (
            pending
            if pending is not None and pending.matter.kind == COMMAND
            else await self.matter(COMMAND, name)
        )

    def _accepted(self, one: Obedient, pending: Pending, ticket: Ticket) -> None:
        """It may take as long as it likes, while it lives."""
        if ticket.error is None and pending.holder is one:
            self.matters.expect(pending, None)


def not_obeyed(pending: Pending) -> Json:
    """What a command comes to if no orchestrator says anything."""
    return {"command_id": pending.id, "status": "timeout", **place_of(pending)}
