"""Send commands from watchers of a project to its orchestrator, and accept its results."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import partial

from tasktree_rt.brokers.base import Interaction
from tasktree_rt.core.access import OPEN, Grants, Verb
from tasktree_rt.core.announcement import read_announcement
from tasktree_rt.core.commands import SETTLING, read_instruction, read_result
from tasktree_rt.core.events import Json, project_id
from tasktree_rt.dialects.base import encode_json, plain
from tasktree_rt.errors import InvalidInput, Refused
from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.access.hooks import Decisions
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.interactions.command_routing import Obedient, Orchestrators
from tasktree_rt.hub.interactions.lookup import InteractionLookup
from tasktree_rt.hub.interactions.registry import (
    COMMAND,
    InteractionRegistry,
    OpenInteraction,
    missing,
    place_of,
)
from tasktree_rt.hub.interactions.resolution import Resolution, StagedOutcome, closed
from tasktree_rt.hub.interactions.schema_checks import SchemaChecks
from tasktree_rt.hub.publish.pending_publish import PendingPublish


class Commands:
    """Send commands, and accept results from orchestrators."""

    def __init__(
        self,
        context: HubContext,
        lookup: InteractionLookup,
        resolution: Resolution,
        registry: InteractionRegistry,
        orchestrators: Orchestrators,
        decisions: Decisions,
    ) -> None:
        self._decisions = decisions
        self._context = context
        self._lookup = lookup
        self._resolution = resolution
        self._registry = registry
        self._orchestrators = orchestrators
        self._checks = SchemaChecks()

    async def send(self, project: str, given: Json, *, grants: Grants, via: Json) -> OpenInteraction:
        """Send a command to a project's orchestrator. Returns when it is stored and an orchestrator has it.

        Raises:
            Refused: ``no_orchestrator``, ``forbidden``, …; the hub stores nothing.
        """
        pending, publish = await self.stage(project, given, grants=grants, via=via)
        await publish.wait()
        return pending

    async def stage(
        self, project: str, given: Json, *, grants: Grants, via: Json
    ) -> tuple[OpenInteraction, PendingPublish]:
        """Send a command; returns before the commit.

        Raises:
            Refused: as `send`, as far as it is known before the commit.
        """
        name = project_id(project)
        access.require(grants, Verb.COMMAND, name)
        instruction = read_instruction(plain(given))
        most = self._context.settings.limits.max_args_size
        if len(encode_json(instruction)) > most:
            raise InvalidInput(f"expected at most {most} bytes", code="too_large", field="args")
        if not self._orchestrators.serving.get(name):
            raise Refused(
                f"no orchestrator takes commands for {name!r}", code="no_orchestrator", field="project_id"
            )
        data = {"command_id": secrets.token_hex(8), **instruction, "by": grants.subject or None, "via": via}
        now = self._context.wall()
        deadline = now + self._orchestrators.patience
        body = encode_json(data)
        interaction = Interaction(
            data["command_id"], COMMAND, (name,), now, deadline, b"", body, owner=grants.owner
        )
        pending = OpenInteraction(interaction, data, deadline)
        most = self._context.settings.limits.max_open_commands
        give = self._orchestrators.give
        return pending, await self._resolution.stage_opening(pending, COMMAND, most, give)

    async def announce(self, one: Obedient, projects: Sequence[str], given: object, *, owner: str) -> None:
        """Note the commands that the orchestrator at `one` obeys, until its connection ends.

        Raises:
            InvalidInput: naming the field.
        """
        most = self._context.settings.limits.max_args_size
        commands = plain(given)
        if len(encode_json(commands)) > most:
            raise InvalidInput(f"expected at most {most} bytes", code="too_large", field="commands")
        read = await self._checks.of(owner, partial(read_announcement, commands))
        self._orchestrators.announce(one, projects, read)

    async def report(self, one: Obedient, given: Json) -> None:
        """Accept a result from the orchestrator at `one` for its command. Returns when it is stored.

        Raises:
            PeerError: another orchestrator has the command, it is resolved already, or bad input.
        """
        found = await self.stage_report(one, given)
        await found.publish.ended()
        found.check()

    async def stage_report(self, one: Obedient, given: Json, *, grants: Grants = OPEN) -> StagedOutcome:
        """Accept a result; returns before the commit, so that later publishes can join it.

        A command of a project that `grants` may not push to is unknown to the caller.

        Raises:
            PeerError: as `report`, as far as it is known before the commit.
        """
        said = read_result(given)
        pending = await self._command(said["command_id"])
        if Verb.PUSH in self._decisions.asked:
            grants = await self._decisions.extended(grants, Verb.PUSH, pending.home)
        if not access.may(grants, Verb.PUSH, pending.home):
            raise missing(COMMAND, pending.id)  # as for one that does not exist
        if pending.outcome is not None:
            raise closed(pending)
        if pending.holder is not one:
            raise Refused("the command was given to another orchestrator", field="command_id")
        result = {**said, **place_of(pending)}
        if said["status"] in SETTLING:
            return await self._resolution.stage(pending, result, producer=one)
        found = await self._resolution.tell(pending, result, producer=one)
        if not found.late:
            found.publish.callbacks.append(partial(self._accepted, one, pending))
        return found

    async def _command(self, name: str) -> OpenInteraction:
        """Return a command, without a wait for the commit that opens it: until then it has no holder."""
        pending = self._registry.get(name)
        return (
            pending
            if pending is not None and pending.interaction.kind == COMMAND
            else await self._lookup.find(COMMAND, name)
        )

    def _accepted(self, one: Obedient, pending: OpenInteraction, publish: PendingPublish) -> None:
        """Remove the deadline of an accepted command while its orchestrator is connected."""
        if publish.error is None and pending.holder is one:
            self._registry.expect(pending, None)


def not_obeyed(pending: OpenInteraction) -> Json:
    """What a command comes to if no orchestrator says anything."""
    return {"command_id": pending.id, "status": "timeout", **place_of(pending)}
