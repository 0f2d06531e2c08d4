"""Give commands to orchestrator connections.

The hub gives a command to one connection at a time, the oldest that serves the project, and of those rather
to one that announced the command. When that one ends, the next one gets the command, or the command waits for
one until its deadline. What a connection announced ends with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import trio
from attrs import frozen

from tasktree_rt.core.events import Json
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.interactions.registry import COMMAND, InteractionRegistry, OpenInteraction


class Obedient(Protocol):
    """A connection that takes commands."""

    def give(self, pending: OpenInteraction) -> None:
        """Send a command on this connection."""


@frozen
class AvailableCommands:
    """What can be commanded in a project now.

    Attributes:
        listening: connections that take its commands.
        any: at least one of them announced nothing: what it obeys is not known.
        commands: what the others announced, by name; of two announcements the older connection's counts.
    """

    listening: int
    any: bool
    commands: tuple[Json, ...]


class Orchestrators:
    """See the module's docstring.

    Attributes:
        serving: the connections that take a project's commands, by project, the oldest first.
    """

    def __init__(self, context: HubContext, registry: InteractionRegistry) -> None:
        self._context = context
        self._registry = registry
        self.patience = round(context.settings.people.command_timeout * 1_000_000)
        """Microseconds that a command waits for an orchestrator."""
        self.serving: dict[str, dict[Any, None]] = {}
        self._announced: dict[Any, tuple[Json, ...]] = {}
        self._waiting: dict[str, trio.lowlevel.ParkingLot] = {}

    def serve(self, one: Obedient, projects: Iterable[str]) -> None:
        """Give commands of `projects` to `one` from now on, and those that wait."""
        for name in projects:
            self.serving.setdefault(name, {})[one] = None
            for pending in self._registry.of(name, COMMAND):
                if pending.holder is None:
                    self._assign(pending)
            self._changed(name)

    def announce(self, one: Obedient, projects: Sequence[str], commands: Sequence[Json]) -> None:
        """Note the commands that `one` obeys, in place of those that it announced before."""
        if not any(one in self.serving.get(name, {}) for name in projects):
            return  # its connection has ended meanwhile
        self._announced[one] = tuple(commands)
        for name in projects:
            self._changed(name)

    def available(self, name: str) -> AvailableCommands:
        """Return what can be commanded in a project now."""
        serving = self.serving.get(name, {})
        known = [self._announced.get(one) for one in serving]
        commands: dict[str, Json] = {}
        for announced in known:
            for command in announced or ():
                commands.setdefault(command["name"], command)
        return AvailableCommands(len(serving), None in known, tuple(commands.values()))

    async def until_changed(self, name: str) -> None:
        """Wait until `available` may say something else."""
        waiting = self._waiting.setdefault(name, trio.lowlevel.ParkingLot())
        try:
            await waiting.park()
        finally:
            if not waiting and self._waiting.get(name) is waiting:
                del self._waiting[name]

    def _changed(self, name: str) -> None:
        waiting = self._waiting.pop(name, None)
        if waiting is not None:
            waiting.unpark_all()

    def leave(self, one: Obedient, projects: Iterable[str]) -> None:
        """Give no more commands to `one`; the next connection gets the commands that it had."""
        self._announced.pop(one, None)
        for name in projects:
            others = self.serving.get(name, {})
            others.pop(one, None)
            if not others:
                self.serving.pop(name, None)
            for pending in self._registry.of(name, COMMAND):
                if pending.holder is one:
                    pending.holder = None
                    self._registry.expect(pending, self._context.wall() + self.patience)
                    self._assign(pending)
            self._changed(name)

    def give(self, pending: OpenInteraction) -> None:
        """Give an open command to an orchestrator, unless one has it."""
        if pending.interaction.kind == COMMAND and pending.holder is None:
            self._assign(pending)

    def _assign(self, pending: OpenInteraction) -> None:
        if pending.resolving or not pending.kept:
            return  # `give` follows, if it stays open
        one = self._best(pending.home, str(pending.data.get("name")))
        if one is not None:
            pending.holder = one
            one.give(pending)

    def _best(self, project: str, command: str) -> Any:  # noqa: ANN401 - an `Obedient`
        """Return the oldest connection that announced a command, else the oldest that announced nothing, else
        the oldest; None without any.
        """
        serving = self.serving.get(project, {})

        def rank(one: object) -> int:
            announced = self._announced.get(one)
            if announced is None:
                return 1
            return 0 if any(known["name"] == command for known in announced) else 2

        return min(serving, key=rank, default=None)
